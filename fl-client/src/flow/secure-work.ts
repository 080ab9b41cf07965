/**
 * A member's part of a round under secure aggregation: see fl-core/src/secure-aggregation/README.md. Secrets live in
 * memory, within one call; on disk are the masked input before it is charged and the answer to the unmasking before it
 * is sent. After a restart these go out again as they are, and nothing else of their round does.
 */
import { FoedusError } from '@foedus/connector/errors';
import type { Identity } from '@foedus/connector/identity';
import type { SignedHead } from '@foedus/connector/operator-client';
import {
  type Encoding,
  type MemberEdges,
  type MemberPolicy,
  RoundFailure,
  type SecureStep,
  type SecureTask,
  type SessionPlan,
  type Shared,
  type Task,
  advertiseKeys,
  checkSecureTask,
  confirmSurvivors,
  createRandomBits,
  createSkellam,
  encode,
  encodeMaskedInput,
  maskInput,
  rationalOf,
  secureEncoding,
  shareSecrets,
  termsHash,
  unmask,
} from '@foedus/fl-core';
import type { Logger } from 'pino';
import { ALREADY_RELEASED, type Quote, type RoundUse } from './charge.ts';
import type { CoordinatorClient } from './coordinator-client.ts';
import { Refused, type RoundCalls, codeOf } from './round-calls.ts';
import type { UpdateFiles } from './update-files.ts';

type TrainTask = Extract<Task, { kind: 'train' }>;

export interface SecureWorkOptions {
  readonly plan: SessionPlan;
  readonly planHash: string;
  readonly agreementId: string;
  /** SHA-256 of the session's initial parameters, hex. */
  readonly modelHash: string;
  readonly identity: Identity;
  readonly coordinator: CoordinatorClient;
  readonly calls: RoundCalls;
  readonly masked: UpdateFiles;
  readonly answers: UpdateFiles;
  /** SHA-256 of the agreement that both sides signed, hex. */
  readonly agreementHash: () => Promise<string>;
  /** Trains from the task's parameters. */
  readonly trainRound: (task: TrainTask, signal: AbortSignal) => Promise<Float32Array>;
  readonly logger: Logger;
}

export interface SecureWork {
  /**
   * @param signal the task is not wanted any more; what is charged already is still sent
   * @param ended everything stops
   * @throws Refused, OutOfStep
   */
  train(task: TrainTask, signal: AbortSignal, ended: AbortSignal): Promise<void>;
  /** Deletes what lies on disk for other rounds than this one; null: for all. */
  keepOnly(round: number | null): Promise<void>;
}

/** A member gets a signed advertisement of each neighbour, with its certificate, and the hash of every member's. */
const BYTES_A_NEIGHBOUR = 24_576;
const BYTES_A_MEMBER = 128;
const MESSAGE_BYTES = 65_536;
/** Room for ten thousand neighbours and more with certificates as they are, and no more than a node can hold. */
const LONGEST_MESSAGE = 1 << 26;

/** @returns the most bytes that are read of what came of a step: the cohort is what the coordinator says it is */
function longestOutcome({ cohort, degree }: SecureTask['terms']): number {
  const neighbours = Math.min(degree ?? cohort.length, cohort.length);
  return Math.min(LONGEST_MESSAGE, MESSAGE_BYTES + BYTES_A_MEMBER * cohort.length + BYTES_A_NEIGHBOUR * neighbours);
}

/** What no other try can mend: the round is over for this node. */
const fatalCodes: ReadonlySet<string> = new Set(['bad-request', 'too-large', 'not-permitted', 'bad-answer']);
const isFatal = (error: unknown): boolean => fatalCodes.has(codeOf(error) ?? '');

export function createSecureWork(options: SecureWorkOptions): SecureWork {
  const { plan, planHash, agreementId, modelHash, identity, coordinator, calls, masked, answers, logger } = options;
  const { participantId } = identity;
  const edges: MemberEdges = {
    random: createRandomBits(),
    sign: (document) => identity.sign(document),
    verify: (signature, document, participant) => identity.verify(signature, document, participant),
  };
  /** The one set of terms that this process has taken part in, of the newest round. */
  let begun: { readonly round: number; readonly hash: string } | null = null;

  /** What comes of a step that this member has answered: with the answer to that, or later. */
  const outcome = async (
    { terms }: SecureTask,
    step: SecureStep,
    send: (maxBytes: number) => Promise<object | null>,
    signal: AbortSignal,
  ): Promise<object> => {
    const maxBytes = longestOutcome(terms);
    let message = await send(maxBytes);
    const poll = () => coordinator.stepOutcome(terms.round, step, maxBytes, signal);
    while (message === null) message = await calls.ask(poll, signal, isFatal);
    return message;
  };
  const answer = (
    secure: SecureTask,
    step: 'keys' | 'shares' | 'confirmation',
    message: object,
    signal: AbortSignal,
  ): Promise<object> => {
    const body = JSON.stringify(message);
    const { round } = secure.terms;
    const send = (maxBytes: number) =>
      calls.ask(() => coordinator.answerStep(round, step, body, signal, maxBytes), signal, isFatal);
    return outcome(secure, step, send, signal);
  };
  /** @param maxBytes of what comes of the input; without it that is not waited for */
  const release = (
    round: number,
    input: Uint8Array<ArrayBuffer>,
    head: SignedHead,
    signal: AbortSignal,
    maxBytes?: number,
  ) => {
    const send = (newest: SignedHead) => coordinator.sendInput(round, input, newest, signal, maxBytes);
    return calls.send(agreementId, head, send, signal, isFatal);
  };

  /** keys and shares, beside the training. */
  const exchange = async (secure: SecureTask, signal: AbortSignal): Promise<{ state: Shared; inbox: object }> => {
    const { terms } = secure;
    const keys = await advertiseKeys(terms, participantId, edges);
    const roster = await answer(secure, 'keys', keys.message, signal);
    const shares = await shareSecrets(keys.state, roster, edges);
    return { state: shares.state, inbox: await answer(secure, 'shares', shares.message, signal) };
  };

  /** Both, or neither: who has dropped out of the round need not train for it. */
  const besides = async <A, B>(
    one: (signal: AbortSignal) => Promise<A>,
    other: (signal: AbortSignal) => Promise<B>,
    signal: AbortSignal,
  ): Promise<[A, B]> => {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    let first: unknown;
    const guarded = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work;
      } catch (error) {
        first ??= error;
        failed.abort();
        throw error;
      }
    };
    const [a, b] = await Promise.allSettled([guarded(one(either)), guarded(other(either))]);
    if (a.status === 'rejected' || b.status === 'rejected') throw first;
    return [a.value, b.value];
  };

  /** After a restart: what has been masked already may still count, but there are no secrets to answer with. */
  const sendAgain = async (use: RoundUse, hash: string, ended: AbortSignal): Promise<boolean> => {
    const { round } = use;
    const [input, given] = [await masked.find(round), await answers.find(round)];
    if (input === undefined && given === undefined) return false;
    if ((given ?? input)?.of !== hash) {
      throw new Refused(ALREADY_RELEASED, `The input of round ${round} was masked under other terms.`);
    }
    if (given !== undefined) {
      const text = Buffer.from(await given.read()).toString('utf8');
      await calls.ask(() => coordinator.answerStep(round, 'unmasking', text, ended), ended, isFatal);
      return true;
    }
    const bytes = await input!.read();
    const head = await calls.charge(use, bytes, ended);
    await release(round, bytes, head, ended);
    logger.info({ round }, `Round ${round}: masked input sent again; its secrets are lost`);
    const reason = 'This node was started again: its secrets of the round are lost.';
    await calls.ask(() => coordinator.refuse(round, { code: 'secrets-lost', reason }, ended), ended, isFatal);
    return true;
  };

  const unmaskSum = async (
    secure: SecureTask,
    state: ReturnType<typeof maskInput>['state'],
    survivors: object,
    ended: AbortSignal,
  ) => {
    const { round } = secure.terms;
    const confirmed = await confirmSurvivors(state, survivors, edges);
    const confirmations = await answer(secure, 'confirmation', { signature: confirmed.message }, ended);
    calls.tell(round, 'unmasking', ended);
    const shares = await unmask(confirmed.state, confirmations, edges);
    // Whatever happens from here on, no other answer of this round leaves the node.
    const bytes = Buffer.from(JSON.stringify(shares));
    await answers.write(round, termsHash(secure.terms), bytes);
    await calls.ask(() => coordinator.answerStep(round, 'unmasking', bytes.toString('utf8'), ended), ended, isFatal);
  };

  const encodingOf = ({ terms }: SecureTask): Encoding => {
    try {
      return secureEncoding(plan, terms);
    } catch (error) {
      if (error instanceof RangeError) throw new Refused('plan-rejected', error.message);
      throw error;
    }
  };

  /** This member's share of the noise that hides an organisation; a round has one input, so it is drawn once. */
  const noiseOf = ({ noiseVariance }: Encoding): (() => number) | undefined =>
    noiseVariance === 0 ? undefined : createSkellam(rationalOf(noiseVariance), edges.random);

  /**
   * Whether training came to numbers at all is something about the rows. Where the organisation is to be hidden, a member
   * whose training came to none takes part with its noise alone, and nobody can tell.
   */
  const contribution = async (task: TrainTask, length: number, signal: AbortSignal): Promise<Float32Array> => {
    try {
      return await options.trainRound(task, signal);
    } catch (error) {
      if (plan.privacy?.unit !== 'organisation' || codeOf(error) !== 'training-diverged') throw error;
      logger.warn({ err: error, round: task.round }, `Round ${task.round}: training diverged; only noise is sent`);
      return new Float32Array(length);
    }
  };

  const takePart = async (
    task: TrainTask,
    secure: SecureTask,
    { use, quote, encoding }: { readonly use: RoundUse; readonly quote: Quote; readonly encoding: Encoding },
    signal: AbortSignal,
    ended: AbortSignal,
  ): Promise<void> => {
    const { round, terms } = { round: task.round, terms: secure.terms };
    const hash = termsHash(terms);
    const [{ state, inbox }, update] = await besides(
      (either) => exchange(secure, either),
      (either) => contribution(task, terms.length, either),
      signal,
    );
    const { state: secrets, message: packed } = maskInput(state, inbox, encode(update, encoding, noiseOf(encoding)));
    const { privacy } = quote;
    const bytes = encodeMaskedInput({ sessionId: plan.sessionId, round, termsHash: hash, privacy }, packed);
    await masked.write(round, hash, bytes);
    signal.throwIfAborted();
    calls.tell(round, 'charging', ended);
    const head = await calls.charge(use, bytes, ended);
    calls.tell(round, 'uploading', ended);
    const send = (maxBytes: number) => release(round, bytes, head, ended, maxBytes);
    const survivors = await outcome(secure, 'input', send, ended);
    logger.info({ round, bytes: bytes.length }, `Round ${round}: masked input sent`);
    await unmaskSum(secure, secrets, survivors, ended);
  };

  return {
    async train(task, signal, ended) {
      const { round, secure } = task;
      if (secure === undefined) {
        throw new Refused(
          'plan-rejected',
          'The plan asks for secure aggregation, and the coordinator for a bare update.',
        );
      }
      try {
        const policy: MemberPolicy = [participantId, await calls.own(options.agreementHash, signal)];
        checkSecureTask(secure, { plan, planHash, round, modelHash: task.modelHash, policy });
        const hash = termsHash(secure.terms);
        if (begun?.round === round && begun.hash !== hash) {
          throw new Refused('terms-changed', `The terms of round ${round} were changed while it was under way.`);
        }
        const cohort = secure.terms.minimumCohort;
        const use: RoundUse = { agreementId, plan, planHash, modelHash, round, cohort, terms: secure.terms };
        const encoding = encodingOf(secure);
        if (begun?.round === round) return;
        if (await sendAgain(use, hash, ended)) return;
        const quote = await calls.quote(use, signal);
        begun = { round, hash };
        await takePart(task, secure, { use, quote, encoding }, signal, ended);
      } catch (error) {
        if (error instanceof RoundFailure) {
          const about = error.culprit === null ? undefined : secure.terms.cohort[error.culprit];
          throw new Refused('secure-aggregation-failed', error.message, about);
        }
        if (error instanceof FoedusError && isFatal(error)) {
          throw new Refused('secure-aggregation-failed', error.message);
        }
        throw error;
      }
    },
    async keepOnly(round) {
      await masked.keepOnly(round);
      await answers.keepOnly(round);
    },
  };
}
