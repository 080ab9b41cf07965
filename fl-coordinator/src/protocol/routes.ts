/** The rounds' HTTP API, `/fl/v1`, over mutual TLS: see fl-core/src/session/messages.ts. */
import { FoedusError } from '@foedus/connector/errors';
import { callerOf } from '@foedus/connector/identity';
import {
  type Evaluation,
  MAX_UPDATE_HEADER_BYTES,
  UPDATE_MEDIA_TYPE,
  clientPhaseSchema,
  enrolmentSchema,
  evaluationSchema,
  readUpdateInto,
  refusalSchema,
} from '@foedus/fl-core';
import { type Context, Hono } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import { answerErrors, answerNotFound, checked, limitBody, readBody } from '../problem.ts';
import type { Presence } from '../session/presence.ts';
import type { Rounds } from '../session/rounds.ts';
import { bodyOf, discard, passingChunksOf } from './body.ts';
import type { Participation } from './participation.ts';
import { type UploadTurn, answeredBeforeTheEnd, headOf, secureRoutes } from './secure-routes.ts';
import type { Staging } from './staging.ts';
import { createWaits } from './waits.ts';

/** The longest that a long poll is held open, in seconds. */
export const LONGEST_WAIT_SECONDS = 60;
const MAX_JSON_BYTES = 65_536;

const roundParameter = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const pollParameters = z.object({
  after: z.coerce.number().int().default(0),
  wait: z.coerce.number().min(0).max(LONGEST_WAIT_SECONDS).default(0),
});

export interface RoundRoutesOptions {
  readonly participation: Participation;
  readonly rounds: Rounds;
  readonly presence: Presence;
  readonly staging: Staging;
  /** The longest silence within an upload, in milliseconds. */
  readonly uploadIdleMs: number;
  readonly logger: Logger;
  /** Aborts when the program stops: long polls end, uploads are cut. */
  readonly stopping: AbortSignal;
}

export function roundRoutes(options: RoundRoutesOptions): Hono {
  const { participation, rounds, presence, staging, uploadIdleMs, logger, stopping } = options;
  /** A client that was started again may upload while its old connection still seems open: the newer one counts. */
  const uploads = new Map<string, AbortController>();

  const waits = createWaits();

  const sessionId = (c: Context): string => c.req.param('id') ?? '';
  const roundOf = (c: Context): number => checked(c.req.param('round'), roundParameter, 'This is no round number.');

  const signalOf = (c: Context): AbortSignal => AbortSignal.any([c.req.raw.signal, stopping]);
  const takeOver = (c: Context): UploadTurn => {
    const upload = new AbortController();
    const key = `${sessionId(c)} ${callerOf(c)}`;
    uploads.get(key)?.abort(new FoedusError('conflict', 'A newer upload of the same participant took its place.'));
    uploads.set(key, upload);
    return {
      signal: AbortSignal.any([signalOf(c), upload.signal]),
      [Symbol.dispose]() {
        if (uploads.get(key) === upload) uploads.delete(key);
      },
    };
  };

  const app = new Hono().basePath('/fl/v1');
  app.onError(answerErrors(logger));
  app.notFound(answerNotFound);
  app.use('/sessions/:id/*', presenceOf(participation, presence));
  // Everything but an update is a small document.
  app.post('*', limitBody(MAX_JSON_BYTES));

  app.get('/sessions/:id', (c) => c.json(participation.describe(sessionId(c), callerOf(c))));

  app.post('/sessions/:id/enrolment', async (c) => {
    const ledgerHead = await participation.enrol(sessionId(c), callerOf(c), await readBody(c, enrolmentSchema));
    return c.json({ ledgerHead });
  });

  app.get('/sessions/:id/task', async (c) => {
    const { after, wait } = checked(c.req.query(), pollParameters, 'The query is not valid.');
    const task = await waits.hold(`${sessionId(c)} ${callerOf(c)}`, () =>
      participation.nextTask(sessionId(c), callerOf(c), after, wait * 1000, signalOf(c)),
    );
    return task === null ? c.body(null, 204) : c.json(task);
  });

  app.get('/sessions/:id/models/:round', (c) => {
    const { length, body } = participation.model(sessionId(c), callerOf(c), roundOf(c));
    return c.body(body, 200, { 'content-type': UPDATE_MEDIA_TYPE, 'content-length': String(length) });
  });

  app.put('/sessions/:id/rounds/:round/update', async (c) => {
    const caller = callerOf(c);
    const id = sessionId(c);
    const round = roundOf(c);
    const { session } = participation.member(id, caller);
    const maxBytes = session.parameters * 4 + MAX_UPDATE_HEADER_BYTES + 16;
    if (Number(c.req.header('content-length') ?? 0) > maxBytes) {
      throw new FoedusError('too-large', `An update of this session has at most ${maxBytes} bytes.`);
    }
    using turn = takeOver(c);
    const { signal } = turn;
    const body = bodyOf(c);
    try {
      const head = headOf(c);
      if (participation.admitUpdate(id, caller, round) === 'received') {
        await discard(body, maxBytes, uploadIdleMs, signal);
        return c.body(null, 204);
      }
      await staging.use(id, session.parameters * Float32Array.BYTES_PER_ELEMENT, signal, async ({ buffer }) => {
        const values = new Float32Array(buffer, 0, session.parameters);
        // It may have waited for long.
        participation.admitUpdate(id, caller, round);
        const expected = { sessionId: id, planHash: session.planHash, round, kind: 'update' } as const;
        const source = passingChunksOf(body, uploadIdleMs, signal);
        const header = await readUpdateInto(source, { maxCount: session.parameters, expected }, values);
        // Nothing is awaited after this: the round cannot close in between.
        participation.keepHead(id, caller, head);
        if (participation.admitUpdate(id, caller, round) === 'received') return;
        const bytes = Number(c.req.header('content-length') ?? 0) || session.parameters * 4;
        rounds.receive(id, round, caller, { header, values, bytes });
      });
      return c.body(null, 204);
    } catch (error) {
      if (error instanceof FoedusError && answeredBeforeTheEnd.has(error.code)) {
        await discard(body, maxBytes, uploadIdleMs, signal).catch(() => undefined);
      }
      if (signal.aborted && !(error instanceof FoedusError)) {
        throw new FoedusError('unavailable', 'The upload was ended before it was complete. Send it again.', {
          cause: error,
        });
      }
      throw error;
    }
  });

  app.route(
    '/',
    secureRoutes({
      participation,
      staging,
      waits,
      uploadIdleMs,
      longestWaitSeconds: LONGEST_WAIT_SECONDS,
      sessionId,
      roundOf,
      signalOf,
      takeOver,
    }),
  );

  app.post('/sessions/:id/rounds/:round/refusal', async (c) => {
    const refusal = await readBody(c, refusalSchema);
    participation.refuse(sessionId(c), callerOf(c), roundOf(c), refusal);
    return c.body(null, 204);
  });

  app.post('/sessions/:id/rounds/:round/evaluation', async (c) => {
    const evaluation = await readBody(c, evaluationSchema);
    // A reason for sending nothing is no release.
    if (isRelease(evaluation)) participation.keepHead(sessionId(c), callerOf(c), headOf(c));
    participation.evaluate(sessionId(c), callerOf(c), roundOf(c), evaluation);
    return c.body(null, 204);
  });

  app.post('/sessions/:id/phase', async (c) => {
    participation.phase(sessionId(c), callerOf(c), await readBody(c, clientPhaseSchema));
    return c.body(null, 204);
  });

  app.post('/sessions/:id/departure', async (c) => {
    participation.depart(sessionId(c), callerOf(c), await readBody(c, refusalSchema));
    return c.body(null, 204);
  });

  return app;
}

const isRelease = ({ metrics, histogram }: Evaluation): boolean =>
  histogram !== undefined || Object.keys(metrics).length > 0;

/** Every request of a participant, for as long as it lasts, says that it is there. Strangers get 404. */
function presenceOf(participation: Participation, presence: Presence) {
  return async (c: Context, next: () => Promise<void>): Promise<void> => {
    const caller = callerOf(c);
    const id = c.req.param('id') ?? '';
    participation.member(id, caller);
    const retryAfterSeconds = presence.count(id, caller);
    if (retryAfterSeconds > 0) {
      throw new FoedusError(
        'too-many-requests',
        `${caller} has sent more requests than this node answers in so short a time. Send this one again after ${retryAfterSeconds} s.`,
        { details: { retryAfterSeconds } },
      );
    }
    const leave = presence.enter(id, caller);
    try {
      await next();
    } finally {
      leave();
    }
  };
}
