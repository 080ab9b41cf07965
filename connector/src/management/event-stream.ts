import { streamSSE } from 'hono/streaming';
import { z } from 'zod';
import { EVENTS_TOPIC, eventTypes, type Events } from '../events.ts';
import type { Changes } from '../protocol/changes.ts';
import { operation, raw, type Operation } from './operation.ts';
import { oneOrMore } from './requests.ts';

/** A line of silence after so long keeps proxies and callers from giving up, in milliseconds. */
const KEEP_ALIVE = 25_000;

/** `GET /events`: business events as server-sent events. */
export function eventOperations(events: Events, changes: Changes): Operation[] {
  return [
    operation({
      tag: 'Events',
      method: 'get',
      path: '/events',
      id: 'watchEvents',
      summary: 'Tells every change as a server-sent event',
      description:
        '`event:` the type, `id:` a number that grows, `data:` JSON. Goes on after the header `Last-Event-ID`, or with what comes from now on.',
      scope: 'read',
      query: z.strictObject({
        type: oneOrMore(eventTypes).optional().describe('Only events of these types.'),
      }),
      answer: raw('text/event-stream', 'Events without an end.'),
      errors: [],
      handle: ({ query, context: c }) => {
        const last = Number(c.req.header('last-event-id') ?? NaN);
        let sent = Number.isSafeInteger(last) && last >= 0 ? last : events.latest();
        return streamSSE(c, async (stream) => {
          const left = new AbortController();
          stream.onAbort(() => left.abort());
          await stream.write(': events\n\n');
          while (!left.signal.aborted && !changes.stopping.aborted) {
            const next = events.since(sent);
            for (const { sequence, at, type, body } of next) {
              sent = sequence;
              if (query.type !== undefined && !query.type.includes(type)) continue;
              await stream.writeSSE({ id: String(sequence), event: type, data: `{"at":"${at}",${body.slice(1)}` });
            }
            if (next.length > 0) continue;
            await changes.wait(EVENTS_TOPIC, KEEP_ALIVE, left.signal);
            if (events.latest() === sent) await stream.write(': \n\n');
          }
        });
      },
    }),
  ];
}
