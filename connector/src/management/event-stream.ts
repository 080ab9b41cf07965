import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { EVENTS_TOPIC, type Events } from '../events.ts';
import type { Changes } from '../protocol/changes.ts';

/** A line of silence after so long keeps proxies and callers from giving up, in milliseconds. */
const KEEP_ALIVE = 25_000;

/**
 * `GET /events`: business events as server-sent events, `event:` the type, `id:` the number, `data:` JSON. Goes on
 * after `Last-Event-ID`, or with what comes from now on.
 */
export function eventRoutes(events: Events, changes: Changes): Hono {
  const app = new Hono();
  app.get('/events', (c) => {
    const last = Number(c.req.header('last-event-id') ?? NaN);
    let sent = Number.isSafeInteger(last) && last >= 0 ? last : events.latest();
    return streamSSE(c, async (stream) => {
      const left = new AbortController();
      stream.onAbort(() => left.abort());
      await stream.write(': events\n\n');
      while (!left.signal.aborted && !changes.stopping.aborted) {
        const next = events.since(sent);
        for (const { sequence, at, type, body } of next) {
          await stream.writeSSE({ id: String(sequence), event: type, data: `{"at":"${at}",${body.slice(1)}` });
          sent = sequence;
        }
        if (next.length > 0) continue;
        await changes.wait(EVENTS_TOPIC, KEEP_ALIVE, left.signal);
        if (events.latest() === sent) await stream.write(': \n\n');
      }
    });
  });
  return app;
}
