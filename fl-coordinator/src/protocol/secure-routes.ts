/** The steps of a round under secure aggregation, below `/fl/v1`: see fl-core/src/session/messages.ts. */
import { FoedusError } from '@foedus/connector/errors';
import { callerOf } from '@foedus/connector/identity';
import { HEAD_HEADER, readHeadHeader, type SignedHead } from '@foedus/connector/operator-client';
import {
  MAX_UPDATE_HEADER_BYTES,
  type SecureStep,
  confirmationMessageSchema,
  readMaskedInput,
  sealedSharesSchema,
  secureSteps,
  signedAdvertisementSchema,
  unmaskingSchema,
} from '@foedus/fl-core';
import { type Context, Hono } from 'hono';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { checked } from '../problem.ts';
import { bodyOf, chunksOf, discard, passingChunksOf } from './body.ts';
import type { Participation } from './participation.ts';
import type { Staging } from './staging.ts';
import type { Waits } from './waits.ts';

/** A message has at most so many bytes, and so many more for each member of the cohort. */
const MESSAGE_BYTES = 65_536;
const BYTES_A_MEMBER = 512;

/** What may be said while a message is still under way: the sender gets the answer, and no broken connection. */
export const answeredBeforeTheEnd: ReadonlySet<string> = new Set([
  'round-over',
  'dropped-out',
  'older-head',
  'bad-request',
]);

const stepParameter = z.enum(secureSteps);

const schemas: Readonly<Record<Exclude<SecureStep, 'input'>, z.ZodType>> = {
  keys: signedAdvertisementSchema,
  shares: sealedSharesSchema,
  confirmation: confirmationMessageSchema,
  unmasking: unmaskingSchema,
};

/** An upload that is the newest of its participant. */
export interface UploadTurn extends Disposable {
  readonly signal: AbortSignal;
}

export interface SecureRoutesOptions {
  readonly participation: Participation;
  readonly staging: Staging;
  readonly waits: Waits;
  /** The longest silence within a message, in milliseconds. */
  readonly uploadIdleMs: number;
  /** The longest that a long poll is held open, in seconds. */
  readonly longestWaitSeconds: number;
  readonly sessionId: (c: Context) => string;
  readonly roundOf: (c: Context) => number;
  /** Aborts when the program stops or the caller goes away. */
  readonly signalOf: (c: Context) => AbortSignal;
  /** The same; and a newer upload of the same participant takes the place of this one. */
  readonly takeOver: (c: Context) => UploadTurn;
}

export function secureRoutes(options: SecureRoutesOptions): Hono {
  const { participation, staging, waits, uploadIdleMs, longestWaitSeconds } = options;
  const { sessionId, roundOf, signalOf, takeOver } = options;
  const stepOf = (c: Context): SecureStep => checked(c.req.param('step'), stepParameter, 'This is no step of a round.');
  const waitParameters = z.object({ wait: z.coerce.number().min(0).max(longestWaitSeconds).default(0) });
  const app = new Hono();

  const waitOf = (c: Context): number => checked(c.req.query(), waitParameters, 'The query is not valid.').wait * 1000;
  const outcomeOf = async (c: Context, step: SecureStep, waitMs: number): Promise<Response> => {
    const asked = { number: roundOf(c), step, waitMs };
    const outcome = await waits.hold(`${sessionId(c)} ${callerOf(c)}`, () =>
      participation.stepOutcome(sessionId(c), callerOf(c), asked, signalOf(c)),
    );
    return outcome === null ? c.body(null, 204) : c.json(outcome);
  };

  app.get('/sessions/:id/rounds/:round/secure/:step', (c) => outcomeOf(c, stepOf(c), waitOf(c)));

  /** Reads the packed words into a staging buffer, which the round adds to its sum. */
  const takeInput = async (c: Context, signal: AbortSignal): Promise<void> => {
    const [id, caller, number] = [sessionId(c), callerOf(c), roundOf(c)];
    const { bytes } = participation.admitMasked(id, caller, number);
    participation.keepHead(id, caller, headOf(c));
    await staging.use(id, bytes, signal, async (into) => {
      // It may have waited for long.
      const { termsHash } = participation.admitMasked(id, caller, number);
      const source = passingChunksOf(bodyOf(c), uploadIdleMs, signal);
      const { payloadHash, privacy } = await readMaskedInput(source, { sessionId: id, round: number, termsHash }, into);
      const released = { privacy, bytes };
      await participation.answerStep(id, caller, number, {
        step: 'input',
        message: into,
        digest: payloadHash,
        released,
      });
    });
  };

  const takeMessage = async (c: Context, step: Exclude<SecureStep, 'input'>, signal: AbortSignal): Promise<void> => {
    const [id, caller, number] = [sessionId(c), callerOf(c), roundOf(c)];
    const most = MESSAGE_BYTES + BYTES_A_MEMBER * participation.cohortOf(id, caller, number);
    const text = await textOf(c, most, uploadIdleMs, signal);
    const message = checked(jsonOf(text), schemas[step], 'The message is not valid.');
    const digest = createHash('sha256').update(text).digest('hex');
    await participation.answerStep(id, caller, number, { step, message, digest });
  };

  app.put('/sessions/:id/rounds/:round/secure/:step', async (c) => {
    const step = stepOf(c);
    const waitMs = waitOf(c);
    await take(c, step);
    // Nothing comes of the last step but the end of the round, which the next task tells.
    const isHeld = waitMs > 0 && step !== 'unmasking' && waits.isFree(`${sessionId(c)} ${callerOf(c)}`);
    return isHeld ? await outcomeOf(c, step, waitMs) : c.body(null, 204);
  });

  const take = async (c: Context, step: SecureStep): Promise<void> => {
    using turn = step === 'input' ? takeOver(c) : null;
    const signal = turn?.signal ?? signalOf(c);
    try {
      if (step === 'input') await takeInput(c, signal);
      else await takeMessage(c, step, signal);
    } catch (error) {
      if (error instanceof FoedusError && answeredBeforeTheEnd.has(error.code)) {
        const most = participation.member(sessionId(c), callerOf(c)).session.parameters * 4 + MAX_UPDATE_HEADER_BYTES;
        await discard(bodyOf(c), most + MESSAGE_BYTES, uploadIdleMs, signal).catch(() => undefined);
      }
      if (signal.aborted && !(error instanceof FoedusError)) {
        throw new FoedusError('unavailable', 'The message was cut off. Send it again.', { cause: error });
      }
      throw error;
    }
  };
  return app;
}

/** The head of the sender's ledger, which every release brings. @throws FoedusError `bad-request` */
export function headOf(c: Context): SignedHead {
  const text = c.req.header(HEAD_HEADER);
  if (text !== undefined) return readHeadHeader(text);
  throw new FoedusError(
    'bad-request',
    `What is released under an agreement comes with the signed head of its sender's ledger: send the one of the release's charge in the header ${HEAD_HEADER}.`,
  );
}

async function textOf(c: Context, most: number, idleMs: number, signal: AbortSignal): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(bodyOf(c), idleMs, signal)) {
    bytes += chunk.length;
    if (bytes > most) throw new FoedusError('too-large', `A message of this step has at most ${most} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FoedusError('bad-request', 'The body is not JSON.', { cause });
  }
}
