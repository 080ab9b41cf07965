/** Server-sent events: every session once, then each again whenever it has changed. */
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { ChangeFeed } from '../session/change-feed.ts';
import type { SessionView } from '../session/view.ts';

/** A comment this often keeps proxies and the browser from giving the connection up, in milliseconds. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Every event is a whole view, so nothing has to be replayed after a lost connection, and changes that come faster than
 * the reader takes them are left out.
 */
export function sessionEvents(
  c: Context,
  sources: {
    readonly changes: ChangeFeed;
    readonly ids: () => readonly string[];
    readonly view: (sessionId: string) => SessionView | undefined;
    readonly stopping: AbortSignal;
  },
): Response {
  const { changes, ids, view, stopping } = sources;
  return streamSSE(c, async (stream) => {
    const pending = new Set(ids());
    let wake: (() => void) | null = null;
    const unsubscribe = changes.subscribe((sessionId) => {
      pending.add(sessionId);
      wake?.();
    });
    const end = (): void => {
      unsubscribe();
      stream.abort();
      wake?.();
    };
    stream.onAbort(end);
    stopping.addEventListener('abort', end, { once: true });
    try {
      while (!stream.aborted && !stopping.aborted) {
        for (const sessionId of pending) {
          pending.delete(sessionId);
          const data = view(sessionId);
          if (data !== undefined) await stream.writeSSE({ event: 'session', data: JSON.stringify(data) });
          if (stream.aborted) return;
        }
        if (pending.size > 0) continue;
        const isQuiet = await quiet((resume) => (wake = resume));
        wake = null;
        if (isQuiet && !stream.aborted) await stream.write(': keep-alive\n\n');
      }
    } finally {
      unsubscribe();
      stopping.removeEventListener('abort', end);
    }
  });
}

/** Waits until `resume` is called. @returns true when the keep-alive's time came first */
function quiet(onWait: (resume: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), KEEP_ALIVE_MS);
    onWait(() => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}
