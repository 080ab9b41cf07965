import { Hono } from 'hono';
import type { Database } from '../store/database.ts';

/** `GET /health`: the process lives. `GET /ready`: it can take work, which needs its store. Both without a token. */
export function healthRoutes({ database, stopping }: { database: Database; stopping: AbortSignal }): Hono {
  const probe = database.sql.prepare('SELECT 1');
  const app = new Hono();
  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.get('/ready', (c) => {
    try {
      probe.get();
      if (!stopping.aborted) return c.json({ status: 'ready' });
    } catch {
      // The answer below says it.
    }
    return c.json({ status: 'not ready' }, 503);
  });
  return app;
}
