import type { ServerResponse } from 'node:http';
import { resetConnection } from '../identity/index.ts';

/**
 * Hands `body` on, and resets the connection when it fails: no terminating chunk is sent, so the reader of the HTTP
 * answer gets an error and never a clean end, and what is still on its way is dropped. (The server would end the answer in an orderly way, with the error's
 * message in the place of data.)
 *
 * @param outgoing the answer that the body goes to
 * @param onFailure told the error once
 */
export function cutOffOnFailure(
  body: ReadableStream<Uint8Array>,
  outgoing: Pick<ServerResponse, 'destroy' | 'socket'>,
  onFailure: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  // Not only when a read fails: an aborted body must cut the connection also while the other side reads nothing.
  reader.closed.catch((error: unknown) => {
    onFailure(error);
    if (outgoing.socket !== null) resetConnection(outgoing.socket);
    outgoing.destroy();
  });
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      // What fails is cut off above. The server cancels this stream when it sees the connection closed.
      const next = await reader.read().catch(() => undefined);
      if (next === undefined) return;
      if (!next.done) return controller.enqueue(next.value);
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
