/**
 * One round under secure aggregation as the coordinator holds it: which step it is at, who has answered, what to tell
 * whom. In memory only: a coordinator that was killed abandons the round (fl-core/src/secure-aggregation/README.md).
 */
import { FoedusError } from '@foedus/connector/errors';
import {
  type ConfirmationsStage,
  type InputsStage,
  type KeysStage,
  type Outgoing,
  RoundFailure,
  type SealedShares,
  type SecureStep,
  type SecureTask,
  type SharesStage,
  type UnmaskingStage,
  openRound,
  secureSteps,
  termsHash,
} from '@foedus/fl-core';
import type { Dropouts } from '../store/records.ts';

/** The sum over the survivors, as ring elements. */
export interface MaskedSum {
  readonly sum: Uint32Array;
  readonly survivors: readonly string[];
}

export type SecureProgress =
  /** Somebody's answer, or the step's time, is waited for. */
  | { readonly kind: 'wait' }
  /** The next step has begun. */
  | { readonly kind: 'step'; readonly step: SecureStep; readonly lost: Dropouts }
  | { readonly kind: 'summed'; readonly sum: MaskedSum; readonly lost: Dropouts }
  /** The round is over without output. */
  | { readonly kind: 'failed'; readonly reason: string; readonly lost: Dropouts };

export interface SecureRound {
  readonly round: number;
  readonly task: SecureTask;
  readonly termsHash: string;
  readonly step: SecureStep;
  /** When the step closes at the latest, in ms since 1970. */
  readonly deadline: number;
  /** The last step that each member has answered; null: none. */
  answered(): Record<string, SecureStep | null>;
  /** Whether the participant is a member that can still answer. */
  has(participantId: string): boolean;
  /**
   * Whether a message would be read now: the member's first for the step that the round is at, or one more for a step
   * that it has answered, which `accept` compares.
   *
   * @throws FoedusError as accept
   */
  admit(step: SecureStep, participantId: string): void;
  /**
   * Takes what a member has for a step.
   *
   * @param digest of the message: the same again is fine, another one is not
   * @returns whether it is new
   * @throws FoedusError `dropped-out`, `bad-request`
   */
  accept(step: SecureStep, participantId: string, message: unknown, digest: string): Promise<boolean>;
  /** Nobody waits for it any more in this round. What it has sent already counts. */
  leave(participantId: string): void;
  /**
   * A member leaves because of what another one has sealed for it, which nobody else can look into. Whom most of those say
   * so of that it has shared with, and not only one, is taken to be at fault.
   */
  accuse(participantId: string, of: string): void;
  /**
   * What came of a step for a member.
   *
   * @returns null when nothing has come of it after `waitMs`
   * @throws FoedusError `dropped-out`, `round-over`
   */
  outcome(step: SecureStep, participantId: string, waitMs: number, signal: AbortSignal): Promise<object | null>;
  /** Closes the step if everybody who `isHere` has answered or its time is over. */
  advance(isHere: (participantId: string) => boolean): SecureProgress;
  /** Whoever waits is told that the round is over. */
  end(): void;
}

/** A stage of the protocol, whichever it is. */
interface OpenStage {
  readonly step: SecureStep;
  accept(member: number, message: unknown): void | Promise<void>;
  close(): { readonly next: OpenStage; readonly outgoing: Outgoing<object> } | { readonly sum: Uint32Array };
}

type Closed<Next> = { readonly next: Next; readonly outgoing: Outgoing<object> };

/** A stage whose next one is opened by `open`. */
function stageOf<Next>(
  step: SecureStep,
  accept: OpenStage['accept'],
  close: () => Closed<Next>,
  open: (next: Next) => OpenStage,
): OpenStage {
  return {
    step,
    accept,
    close() {
      const { next, outgoing } = close();
      return { next: open(next), outgoing };
    },
  };
}
const keysStage = (stage: KeysStage): OpenStage =>
  stageOf(
    'keys',
    (member, message) => stage.accept(member, message),
    () => stage.close(),
    sharesStage,
  );
const sharesStage = (stage: SharesStage): OpenStage =>
  stageOf(
    'shares',
    (member, message) => stage.accept(member, message),
    () => stage.close(),
    inputsStage,
  );
const inputsStage = (stage: InputsStage): OpenStage =>
  stageOf(
    'input',
    (member, packed) => stage.accept(member, packed as Uint8Array),
    () => stage.close(),
    confirmationsStage,
  );
const confirmationsStage = (stage: ConfirmationsStage): OpenStage =>
  stageOf(
    'confirmation',
    (member, message) => stage.accept(member, (message as { readonly signature: string }).signature),
    () => stage.close(),
    unmaskingStage,
  );
const unmaskingStage = (stage: UnmaskingStage): OpenStage => ({
  step: 'unmasking',
  accept: (member, message) => stage.accept(member, message),
  close: () => stage.close(),
});

/**
 * @param options `stepSeconds`: the time of a step without training; `inputSeconds`: of the step with it, from the
 *   round's beginning
 * @throws RoundFailure when the terms do not hold together
 */
export function createSecureRound(options: {
  readonly task: SecureTask;
  readonly verify: (signature: string, document: object, participant: string) => Promise<void>;
  readonly stepSeconds: number;
  readonly inputSeconds: number;
  /** Called with the member whose doing it is that the round ends without output, where that is known. */
  readonly onCulprit: (participantId: string) => void;
  /** In ms since 1970. */
  readonly now: () => number;
}): SecureRound {
  const { task, verify, stepSeconds, inputSeconds, onCulprit, now } = options;
  const { cohort, round } = task.terms;
  const indices = new Map(cohort.map((participantId, member) => [participantId, member]));
  const beganAt = now();
  const answers = new Map<SecureStep, Map<number, string>>(secureSteps.map((step) => [step, new Map()]));
  const outgoing = new Map<SecureStep, Outgoing<object>>();
  const gone = new Set<number>();
  const accusers = new Map<number, Set<number>>();
  let stage = keysStage(openRound(task.terms, verify));
  let awaited: readonly number[] = [...cohort.keys()];
  let since = beganAt;
  let isOver = false;
  let changed = Promise.withResolvers<void>();

  const tell = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const deadline = (): number =>
    Math.max(since + stepSeconds * 1000, stage.step === 'input' ? beganAt + inputSeconds * 1000 : 0);
  const answersOf = (step: SecureStep): Map<number, string> => answers.get(step)!;
  const droppedOut = (why: string): FoedusError =>
    new FoedusError('dropped-out', `${why} Round ${round} goes on without this member. Join the next one.`);
  const memberOf = (participantId: string): number => {
    const member = indices.get(participantId);
    if (member === undefined) throw droppedOut(`${participantId} is not of the cohort that the round began with.`);
    return member;
  };
  const roundOver = (): FoedusError =>
    new FoedusError('round-over', `Round ${round} is over. Forget its secrets and ask for the next task.`);

  const requireOpen = (step: SecureStep, member: number): void => {
    if (isOver) throw roundOver();
    if (stage.step === step && awaited.includes(member)) return;
    if (secureSteps.indexOf(stage.step) < secureSteps.indexOf(step)) {
      throw new FoedusError('bad-request', `The round is at the ${words[stage.step]}, not yet at the ${words[step]}.`);
    }
    throw droppedOut(`The ${words[step]} of ${cohort[member]} came too late.`);
  };

  const closeStep = (): SecureProgress => {
    const { step } = stage;
    const isLate = now() >= deadline();
    const missing = awaited.filter((member) => !answersOf(step).has(member));
    const lost: Dropouts = { step, participantIds: missing.map((member) => cohort[member]!) };
    const silent = missing.filter((member) => !gone.has(member));
    try {
      const closed = stage.close();
      if ('sum' in closed) {
        const survivors = [...answersOf('input').keys()].toSorted((a, b) => a - b).map((member) => cohort[member]!);
        return { kind: 'summed', sum: { sum: closed.sum, survivors }, lost };
      }
      outgoing.set(step, closed.outgoing);
      stage = closed.next;
      awaited = [...closed.outgoing.keys()];
      since = now();
      tell();
      return { kind: 'step', step: stage.step, lost };
    } catch (error) {
      if (!(error instanceof RoundFailure)) throw error;
      const names = silent.map((member) => cohort[member]).join(', ');
      const why = names === '' ? '' : isLate ? `no ${words[step]} from ${names} in time; ` : `${names} dropped out; `;
      if (error.culprit !== null) onCulprit(cohort[error.culprit]!);
      return { kind: 'failed', reason: why + error.message, lost };
    }
  };

  return {
    round,
    task,
    termsHash: termsHash(task.terms),
    get step() {
      return stage.step;
    },
    get deadline() {
      return deadline();
    },
    answered: () =>
      Object.fromEntries(
        cohort.map((participantId, member) => [
          participantId,
          secureSteps.findLast((step) => answersOf(step).has(member)) ?? null,
        ]),
      ),
    has(participantId) {
      const member = indices.get(participantId);
      return member !== undefined && !gone.has(member);
    },
    admit(step, participantId) {
      const member = memberOf(participantId);
      if (!answersOf(step).has(member)) requireOpen(step, member);
    },
    async accept(step, participantId, message, digest) {
      const member = memberOf(participantId);
      const before = answersOf(step).get(member);
      if (before === digest) return false;
      if (isOver) throw roundOver();
      if (before !== undefined) {
        // Only somebody who has lost its state says something else: it can answer nothing that builds on the first.
        gone.add(member);
        throw droppedOut(`${participantId} has sent other ${words[step]} already.`);
      }
      requireOpen(step, member);
      const current = stage;
      try {
        await current.accept(member, message);
      } catch (error) {
        if (!(error instanceof RoundFailure)) throw error;
        // Twice at the same time: the other one was taken.
        if (answersOf(step).get(member) === digest) return false;
        throw new FoedusError('bad-request', error.message, { cause: error });
      }
      if (stage !== current || isOver) throw droppedOut(`The ${words[step]} of ${participantId} came too late.`);
      answersOf(step).set(member, digest);
      return true;
    },
    leave(participantId) {
      const member = indices.get(participantId);
      if (member !== undefined) gone.add(member);
    },
    accuse(participantId, of) {
      const [from, accused] = [indices.get(participantId), indices.get(of)];
      if (from === undefined || accused === undefined || from === accused) return;
      // Whoever has nothing sealed by it has nothing to say; neighbours have each other's, so it shared with as many.
      const inboxes = outgoing.get('shares') as Outgoing<SealedShares> | undefined;
      if (inboxes?.get(from)?.shares.some(([other]) => other === accused) !== true) return;
      const by = (accusers.get(accused) ?? new Set()).add(from);
      accusers.set(accused, by);
      if (by.size > 1 && by.size * 2 > inboxes.get(accused)!.shares.length) onCulprit(of);
    },
    async outcome(step, participantId, waitMs, signal) {
      const member = memberOf(participantId);
      const until = performance.now() + waitMs;
      for (;;) {
        const to = outgoing.get(step);
        if (to !== undefined) {
          const message = to.get(member);
          if (message === undefined) throw droppedOut(`${participantId} was not in time with its ${words[step]}.`);
          return message;
        }
        if (isOver) throw roundOver();
        const rest = until - performance.now();
        if (rest <= 0 || signal.aborted) return null;
        await within(changed.promise, rest, signal);
      }
    },
    advance(isHere) {
      const isLate = now() >= deadline();
      const waits = awaited.some(
        (member) => !answersOf(stage.step).has(member) && !gone.has(member) && isHere(cohort[member]!),
      );
      return waits && !isLate ? { kind: 'wait' } : closeStep();
    },
    end() {
      isOver = true;
      tell();
    },
  };
}

const words: Readonly<Record<SecureStep, string>> = {
  keys: 'keys',
  shares: 'shares',
  input: 'masked input',
  confirmation: 'confirmation of the survivors',
  unmasking: 'shares for unmasking',
};

/** Resolves with the event, after `milliseconds`, or when `signal` aborts, whichever is first. */
async function within(event: Promise<void>, milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  const onAbort = (): void => resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([event, promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
