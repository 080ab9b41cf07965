/** The operator's API: see docs/architecture.md. */
import { FoedusError } from '@foedus/connector/errors';
import { UPDATE_MEDIA_TYPE } from '@foedus/fl-core';
import { type Context, Hono } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import { answerErrors, answerNotFound, limitBody, readBody } from '../problem.ts';
import { modelBody, streamOf } from '../protocol/model-body.ts';
import type { ChangeFeed } from '../session/change-feed.ts';
import { type Sessions, sessionRequestSchema } from '../session/sessions.ts';
import type { SessionView } from '../session/view.ts';
import type { ModelRegistry } from '../store/model-registry.ts';
import { jsonOnly, loopbackHostOnly } from './browser-guard.ts';
import { sessionEvents } from './event-stream.ts';
import type { Logins } from './login.ts';

const MAX_JSON_BYTES = 4 << 20;

const loginSchema = z.strictObject({ token: z.string().min(1).max(1_000) });
const stopSchema = z.strictObject({ reason: z.string().min(1).max(500).optional() });
const extendSchema = z.strictObject({ additional: z.int().min(1).max(100_000) });
const nothingSchema = z.strictObject({});

export interface OperatorRoutesOptions {
  readonly sessions: Sessions;
  readonly models: ModelRegistry;
  /** All sessions, newest first. */
  readonly views: () => readonly SessionView[];
  readonly view: (sessionId: string) => SessionView | undefined;
  readonly changes: ChangeFeed;
  readonly logins: Logins;
  /** The API listens beyond loopback, where only the own organisation reaches it: other host names are allowed. */
  readonly allowRemote: boolean;
  /** The page: static files that need no login. */
  readonly dashboard: Hono;
  /** Whether the program can do its work now. */
  readonly ready: () => Promise<{ readonly isReady: boolean; readonly reason: string | null }>;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
}

export function operatorRoutes(options: OperatorRoutesOptions): Hono {
  const { sessions, models, views, view, changes, logins, allowRemote, dashboard, ready, logger, stopping } = options;

  const viewOf = (id: string): SessionView => {
    const found = view(id);
    if (found === undefined) throw new FoedusError('not-found', `There is no session ${id}.`);
    return found;
  };
  const id = (c: Context): string => c.req.param('id') ?? '';

  const api = new Hono();
  api.post('*', jsonOnly, limitBody(MAX_JSON_BYTES));
  api.post('/login', async (c) => {
    logins.login(c, (await readBody(c, loginSchema)).token);
    return c.body(null, 204);
  });
  api.use('*', logins.required);
  api.use('*', async (c, next) => {
    await next();
    c.header('cache-control', 'no-store');
  });

  api.get('/sessions', (c) => c.json(views()));
  api.post('/sessions', async (c) => {
    const session = await sessions.create(await readBody(c, sessionRequestSchema));
    return c.json(viewOf(session.id), 201);
  });
  api.get('/sessions/:id', (c) => c.json(viewOf(id(c))));
  api.get('/sessions/:id/promise', async (c) => c.json(await sessions.promise(id(c))));
  api.get('/sessions/:id/trade-off', async (c) => c.json(await sessions.tradeOff(id(c))));
  api.post('/sessions/:id/start', async (c) => {
    await readBody(c, nothingSchema);
    sessions.start(id(c));
    return c.json(viewOf(id(c)));
  });
  api.post('/sessions/:id/pause', async (c) => {
    await readBody(c, nothingSchema);
    sessions.pause(id(c));
    return c.json(viewOf(id(c)));
  });
  api.post('/sessions/:id/resume', async (c) => {
    await readBody(c, nothingSchema);
    sessions.resume(id(c));
    return c.json(viewOf(id(c)));
  });
  api.post('/sessions/:id/stop', async (c) => {
    sessions.stop(id(c), (await readBody(c, stopSchema)).reason);
    return c.json(viewOf(id(c)));
  });
  api.post('/sessions/:id/rounds', async (c) => {
    sessions.extend(id(c), (await readBody(c, extendSchema)).additional);
    return c.json(viewOf(id(c)));
  });
  api.get('/sessions/:id/model', (c) => {
    const { planHash, parameters } = viewOf(id(c));
    const entry = models.newest(id(c));
    if (entry === undefined) throw new FoedusError('not-found', `Session ${id(c)} has no model.`);
    const model = modelBody(models, { id: id(c), planHash, parameters }, entry);
    return c.body(streamOf(model), 200, {
      'content-type': UPDATE_MEDIA_TYPE,
      'content-length': String(model.length),
      'content-disposition': `attachment; filename="${id(c)}-round-${entry.round}.fdup"`,
    });
  });
  api.get('/events', (c) => sessionEvents(c, { changes, ids: () => views().map((one) => one.id), view, stopping }));

  const app = new Hono();
  app.onError(answerErrors(logger));
  app.notFound(answerNotFound);
  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.get('/ready', async (c) => {
    const { isReady, reason } = await ready();
    return c.json({ ready: isReady, reason }, isReady ? 200 : 503);
  });
  if (!allowRemote) app.use('*', loopbackHostOnly);
  app.route('/api', api);
  app.route('/', dashboard);
  return app;
}
