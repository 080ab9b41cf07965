/**
 * What a participant can do in a session, apart from HTTP. The caller is always the participant of the verified
 * certificate. A session that it does not belong to does not exist for it.
 */
import { isDeepStrictEqual } from 'node:util';
import { FoedusError } from '@foedus/connector/errors';
import type { Identity } from '@foedus/connector/identity';
import { continuesHead, verifyHead, type SignedHead } from '@foedus/connector/operator-client';
import {
  type ClientPhase,
  type Enrolment,
  type EnrolmentClaims,
  type Evaluation,
  type MaskedInputHeader,
  type Refusal,
  type SecureStep,
  type SecureTask,
  type SessionDescription,
  type Task,
  packedBytes,
} from '@foedus/fl-core';
import type { CoordinatorEvents } from '../events.ts';
import type { ChangeFeed } from '../session/change-feed.ts';
import { metricsReported } from '../session/evaluation.ts';
import type { Presence } from '../session/presence.ts';
import type { Rounds } from '../session/rounds.ts';
import type { SecureRound } from '../session/secure-round.ts';
import type { SecureRounds } from '../session/secure-rounds.ts';
import { restingStates } from '../session/session-machine.ts';
import { taskOf } from '../session/task.ts';
import type { Transfers } from '../session/transfers.ts';
import type { LedgerHeads } from '../store/ledger-heads.ts';
import type { ModelRegistry } from '../store/model-registry.ts';
import type { ParticipantRecord, SessionRecord } from '../store/records.ts';
import type { SessionStore } from '../store/session-store.ts';
import { modelBody, streamOf, wholeOf } from './model-body.ts';

/** Encoded models up to so many bytes are held while they are downloaded. */
const MOST_HELD = 524_288;

/** How far a client's clock may be off. */
const CLOCK_TOLERANCE_MS = 3_600_000;

export interface ParticipationOptions {
  readonly store: SessionStore;
  readonly models: ModelRegistry;
  readonly identity: Identity;
  readonly rounds: Rounds;
  readonly secureRounds: Pick<SecureRounds, 'of'>;
  readonly transfers: Pick<Transfers, 'check'>;
  readonly heads: LedgerHeads;
  readonly presence: Presence;
  readonly changes: ChangeFeed;
  readonly events: CoordinatorEvents;
  readonly now: () => Date;
}

export interface Member {
  readonly session: SessionRecord;
  readonly participant: ParticipantRecord;
}

/** What a member has for a step of a secure round. */
export interface StepAnswer {
  readonly step: SecureStep;
  readonly message: unknown;
  /** SHA-256, hex. */
  readonly digest: string;
  /** What is told of a masked input. */
  readonly released?: { readonly privacy: MaskedInputHeader['privacy']; readonly bytes: number };
}

function olderHead(caller: string, held: SignedHead): FoedusError {
  const { agreementId, sequence } = held.head;
  return new FoedusError(
    'older-head',
    `The head of ${caller}'s ledger does not go on from the one that came before under agreement ${agreementId} (element ${sequence}). Present that one to the ledger and send the newest; a ledger that was set back has to be reconciled by its operator first.`,
    { details: { ledgerHead: held } },
  );
}

/** What is on record already need not be written, or told, again. */
const says = <T extends object>(record: T | undefined, changes: Partial<T>): boolean =>
  record !== undefined &&
  Object.entries(changes).every(([key, value]) => isDeepStrictEqual(record[key as keyof T], value));

/** Whether the participant is enrolled by the same statement, made at whatever time. */
function isEnrolledAs({ status, note, enrolment }: ParticipantRecord, claims: EnrolmentClaims): boolean {
  if (status !== 'enrolled' || note !== null || enrolment === null) return false;
  const known = (JSON.parse(enrolment) as Enrolment).claims;
  return isDeepStrictEqual({ ...known, issuedAt: '' }, { ...claims, issuedAt: '' });
}

export type Participation = ReturnType<typeof createParticipation>;

export function createParticipation(options: ParticipationOptions) {
  const { store, models, identity, rounds, secureRounds, transfers, heads, presence, changes, events, now } = options;
  /** The encoded model that is being downloaded by everybody, if it is small; nobody needs it once the updates are in. */
  const encoded = new Map<string, { readonly round: number; readonly bytes: Uint8Array<ArrayBuffer> }>();
  changes.subscribe((sessionId) => {
    if (encoded.has(sessionId) && store.lastRound(sessionId)?.phase === 'aggregating') encoded.delete(sessionId);
  });

  /** @throws FoedusError `not-found` for strangers, and as long as the session is only planned */
  const member = (sessionId: string, caller: string): Member => {
    const session = store.session(sessionId);
    const participant = session && store.participant(sessionId, caller);
    if (session === undefined || participant === undefined || session.state === 'planned') {
      throw new FoedusError('not-found', `There is no session ${sessionId} that ${caller} takes part in.`);
    }
    return { session, participant };
  };

  const isResting = ({ state }: SessionRecord): boolean => restingStates.has(state);

  const isOut = (status: ParticipantRecord['status'] | undefined): boolean =>
    status === undefined || status === 'invited' || status === 'departed';

  /** @throws FoedusError `not-enrolled` @returns the member; one that was away is back by calling */
  const enrolled = (sessionId: string, caller: string): Member => {
    const found = member(sessionId, caller);
    const { status, note } = found.participant;
    if (isResting(found.session)) return found;
    if (isOut(status)) {
      const why = note === null ? '' : ` (${note})`;
      throw new FoedusError('not-enrolled', `${caller} is not enrolled in session ${sessionId}${why}. Enrol first.`);
    }
    if (status !== 'away') return found;
    store.transaction(() => {
      store.updateParticipant(sessionId, caller, { status: 'enrolled', note: null });
      rounds.join(sessionId, caller);
    });
    events.participantChanged(sessionId, caller, 'enrolled', null);
    rounds.settle(sessionId);
    return member(sessionId, caller);
  };

  const currentTask = (session: SessionRecord, caller: string): Task => {
    const round = store.lastRound(session.id);
    const modelHash = models.newest(session.id)?.hash ?? session.initialHash;
    const here = new Set(
      store.participants(session.id).flatMap((one) => (one.status === 'enrolled' ? [one.participantId] : [])),
    );
    const contributions = round === undefined ? [] : store.contributions(session.id, round.round);
    const cohort = contributions.filter(
      ({ participantId, status }) => status === 'received' || here.has(participantId),
    );
    return taskOf(session, round, modelHash, cohort.length, secureTaskOf(session, caller));
  };

  /** @returns null for whoever is no member of the round; undefined without secure aggregation */
  const secureTaskOf = ({ id, plan }: SessionRecord, caller: string): SecureTask | null | undefined => {
    if (plan.secureAggregation === null) return undefined;
    const round = secureRounds.of(id);
    return round?.has(caller) === true ? round.task : null;
  };

  /** @throws FoedusError `round-over`, `not-enrolled` */
  const openSecureRound = (sessionId: string, caller: string, number: number): SecureRound => {
    const { session } = enrolled(sessionId, caller);
    const round = secureRounds.of(sessionId);
    if (session.state !== 'running' || round?.round !== number) throw roundOver(number);
    return round;
  };

  const roundOver = (round: number): FoedusError =>
    new FoedusError(
      'round-over',
      `Round ${round} is not open any more. Drop what it was for and ask for the next task.`,
    );

  /** @throws FoedusError `round-over` unless this round is in `phase` */
  const requireRound = ({ session }: Member, round: number, phase: 'training' | 'evaluating'): void => {
    const last = store.lastRound(session.id);
    if (isResting(session) || last?.round !== round || last.phase !== phase) throw roundOver(round);
  };
  const ownContribution = (sessionId: string, round: number, caller: string) =>
    store.contributions(sessionId, round).find(({ participantId }) => participantId === caller);
  /** Whether there is no round to join, or the caller is in it. */
  const hasJoined = (sessionId: string, caller: string): boolean => {
    const round = store.lastRound(sessionId);
    if (round?.phase !== 'training' || secureRounds.of(sessionId) !== undefined) return true;
    const own = ownContribution(sessionId, round.round, caller);
    return own?.status === 'received' || (own?.status === 'waiting' && own.reason === null);
  };

  return {
    member,

    describe(sessionId: string, caller: string): SessionDescription {
      const { session, participant } = member(sessionId, caller);
      const { plan, planHash, initialHash } = session;
      return { plan, planHash, modelHash: initialHash, agreementId: participant.agreementId };
    },

    /**
     * @returns the newest head of the participant's ledger that was sent here, for it to hold against its ledger
     * @throws FoedusError `not-permitted`, `bad-signature`, `conflict` (transfer not started), `unavailable`
     */
    async enrol(sessionId: string, caller: string, { claims, jws }: Enrolment): Promise<SignedHead | null> {
      const { session, participant } = member(sessionId, caller);
      const expected: Partial<EnrolmentClaims> = {
        sessionId: session.id,
        planHash: session.planHash,
        modelHash: session.initialHash,
        participantId: caller,
        coordinator: identity.participantId,
        agreementId: participant.agreementId,
      };
      for (const [claim, value] of Object.entries(expected)) {
        const stated = claims[claim as keyof EnrolmentClaims];
        if (stated !== value) {
          throw new FoedusError('not-permitted', `The enrolment's ${claim} is ${stated}, but ${value} was expected.`);
        }
      }
      if (Math.abs(now().getTime() - Date.parse(claims.issuedAt)) > CLOCK_TOLERANCE_MS) {
        throw new FoedusError('not-permitted', 'The enrolment was issued at another time. Set both clocks right.');
      }
      await identity.verify(jws, claims, caller);
      const head = heads.newest(participant.agreementId);
      if (isResting(session)) return head;
      await transfers.check(participant, claims);
      const current = member(sessionId, caller);
      if (isResting(current.session)) return head;
      if (isEnrolledAs(current.participant, claims) && hasJoined(sessionId, caller)) return head;
      store.transaction(() => {
        store.updateParticipant(sessionId, caller, {
          status: 'enrolled',
          note: null,
          lastSeenAt: now().toISOString(),
          enrolment: JSON.stringify({ claims, jws }),
        });
        rounds.join(sessionId, caller);
      });
      events.participantChanged(sessionId, caller, 'enrolled', null);
      rounds.settle(sessionId);
      return head;
    },

    /**
     * Keeps the head of the participant's ledger that comes with a release. It covers the release's own charge, and goes
     * on from the head that is held: a ledger that was set back, or a charge that was left out, does not pass.
     *
     * @throws FoedusError `bad-request`, `bad-signature` for what is no head of the agreement's ledger, `older-head` with
     *   the head that is held (details.ledgerHead)
     */
    keepHead(sessionId: string, caller: string, head: SignedHead): void {
      const { agreementId } = member(sessionId, caller).participant;
      verifyHead(head, { agreementId, signer: caller, trust: identity.trust });
      if (head.head.sequence === 0) {
        throw new FoedusError(
          'bad-request',
          `The head says that nothing was ever charged under agreement ${agreementId}. Charge the release, then send it with the head of that.`,
        );
      }
      // Durable with what comes of the release at the latest: until then the release itself is in memory only.
      store.passing(() => {
        const held = heads.newest(agreementId);
        if (isDeepStrictEqual(held, head)) return;
        if (held !== null && !continuesHead(held.head, head.head)) throw olderHead(caller, held);
        heads.keep(caller, head);
      });
    },

    /** @returns the task, or null when it is still number `after` after `waitMs` */
    async nextTask(
      sessionId: string,
      caller: string,
      after: number,
      waitMs: number,
      signal: AbortSignal,
    ): Promise<Task | null> {
      const until = performance.now() + waitMs;
      for (;;) {
        const { session } = enrolled(sessionId, caller);
        // Not "greater": a coordinator that was restored from a backup counts from an earlier number.
        if (session.seq !== after) return currentTask(session, caller);
        const rest = until - performance.now();
        if (rest <= 0 || signal.aborted) return null;
        // Asked at everything that happens in the session: most of it is no news for whoever waits.
        const isNews = (): boolean =>
          store.session(sessionId)?.seq !== after || isOut(store.participant(sessionId, caller)?.status);
        await changes.until(sessionId, isNews, rest, signal);
      }
    },

    /** @returns the encoded parameters after `round` rounds; rounds without output change nothing */
    model(
      sessionId: string,
      caller: string,
      round: number,
    ): { readonly length: number; readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> } {
      const { session } = enrolled(sessionId, caller);
      const newest = models.newest(sessionId)?.round ?? 0;
      const wanted = Math.min(round, newest);
      const cached = encoded.get(sessionId);
      if (cached?.round === wanted) return { length: cached.bytes.length, body: cached.bytes };
      const entry = models.entry(sessionId, wanted);
      if (entry === undefined) {
        throw new FoedusError('gone', `The parameters after round ${round} are not kept any more. Ask for the newest.`);
      }
      const stored = modelBody(models, session, entry);
      const { length } = stored;
      // A connection that is given all at once encrypts all at once: a large model would be there for each of them.
      if (wanted !== newest || length > MOST_HELD) return { length, body: streamOf(stored) };
      const bytes = wholeOf(stored);
      // One model at a time is enough: a session in which nobody asks any more gives its place to another.
      encoded.clear();
      encoded.set(sessionId, { round: wanted, bytes });
      return { length, body: bytes };
    },

    /** @returns whether the update is already in. @throws FoedusError `round-over`, `not-enrolled`, `bad-request` */
    admitUpdate(sessionId: string, caller: string, round: number): 'welcome' | 'received' {
      const found = enrolled(sessionId, caller);
      if (found.session.plan.secureAggregation !== null) {
        throw new FoedusError(
          'bad-request',
          'This session sums updates under masks and takes none without. Send the steps of its task.',
        );
      }
      requireRound(found, round, 'training');
      return ownContribution(sessionId, round, caller)?.status === 'received' ? 'received' : 'welcome';
    },

    /** @returns how many members the secure round has. @throws FoedusError `round-over`, `not-enrolled` */
    cohortOf: (sessionId: string, caller: string, number: number): number =>
      openSecureRound(sessionId, caller, number).task.terms.cohort.length,

    /**
     * @returns what a masked input of this round is about
     * @throws FoedusError `round-over`, `not-enrolled`, `dropped-out`, `bad-request` where the caller's would not be read
     */
    admitMasked(
      sessionId: string,
      caller: string,
      number: number,
    ): { readonly termsHash: string; readonly bytes: number } {
      const round = openSecureRound(sessionId, caller, number);
      round.admit('input', caller);
      const { task, termsHash } = round;
      return { termsHash, bytes: packedBytes(task.terms.length, task.terms.bits) };
    },

    /**
     * Takes what a member has for a step of a secure round.
     *
     * @param message checked as far as its size goes; the round checks the rest
     * @param digest of the message: the same again changes nothing
     * @throws FoedusError `round-over`, `dropped-out`, `not-enrolled`, `bad-request`
     */
    async answerStep(sessionId: string, caller: string, number: number, answer: StepAnswer): Promise<void> {
      const round = openSecureRound(sessionId, caller, number);
      const { step, message, digest, released } = answer;
      try {
        if (!(await round.accept(step, caller, message, digest))) return;
      } catch (error) {
        // Whoever has lost its secrets is not waited for any more.
        if (error instanceof FoedusError && error.code === 'dropped-out') rounds.stepAnswered(sessionId);
        throw error;
      }
      if (released !== undefined) rounds.receiveMasked(sessionId, number, caller, released);
      rounds.stepAnswered(sessionId);
    },

    /** @returns what came of the step for the caller; null: nothing yet. @throws FoedusError as answerStep */
    async stepOutcome(
      sessionId: string,
      caller: string,
      { number, step, waitMs }: { readonly number: number; readonly step: SecureStep; readonly waitMs: number },
      signal: AbortSignal,
    ): Promise<object | null> {
      return await openSecureRound(sessionId, caller, number).outcome(step, caller, waitMs, signal);
    },

    refuse(sessionId: string, caller: string, round: number, { reason, about }: Refusal): void {
      const found = enrolled(sessionId, caller);
      const open = secureRounds.of(sessionId);
      const secure = open?.round === round ? open : undefined;
      const own = ownContribution(sessionId, round, caller);
      const isIn = own?.status === 'received';
      if (secure !== undefined && isIn) {
        // Its input is in the sum: the others can take the masks off without it, or the round has no output.
        secure.leave(caller);
        rounds.stepAnswered(sessionId);
        return;
      }
      requireRound(found, round, 'training');
      if (isIn) {
        throw new FoedusError('conflict', `The update of round ${round} is already part of the sum.`);
      }
      // Whoever leaves because of another member has nothing against the next round.
      const status = secure !== undefined && about !== undefined ? 'enrolled' : 'refused';
      if (about !== undefined) secure?.accuse(caller, about);
      const refused = { status: 'refused', reason } as const;
      if (says(own, refused) && says(found.participant, { status, note: reason })) return;
      store.transaction(() => {
        store.updateContribution(sessionId, round, caller, refused);
        store.updateParticipant(sessionId, caller, { status, note: reason });
      });
      secure?.leave(caller);
      events.updateRefused(sessionId, round, caller, reason);
      rounds.settle(sessionId);
    },

    /** @throws FoedusError `bad-request` for what the plan does not ask for, `round-over`, `not-enrolled` */
    evaluate(sessionId: string, caller: string, round: number, evaluation: Evaluation): void {
      const found = enrolled(sessionId, caller);
      requireRound(found, round, 'evaluating');
      const metrics = metricsReported(found.session.plan, evaluation);
      const { reason, privacy } = evaluation;
      const answered = { evaluated: true, ...metrics };
      const stated = {
        ...(privacy === undefined ? {} : { privacy }),
        ...(reason === undefined ? {} : { note: `No metrics: ${reason}` }),
      };
      if (says(ownContribution(sessionId, round, caller), answered) && says(found.participant, stated)) return;
      store.transaction(() => {
        store.updateContribution(sessionId, round, caller, answered);
        store.updateParticipant(sessionId, caller, stated);
      });
      rounds.settle(sessionId);
    },

    phase(sessionId: string, caller: string, { phase }: ClientPhase): void {
      enrolled(sessionId, caller);
      presence.setPhase(sessionId, caller, phase);
      rounds.tellSoon(sessionId);
    },

    depart(sessionId: string, caller: string, { reason }: Refusal): void {
      const { session, participant } = member(sessionId, caller);
      if (isResting(session) || participant.status === 'departed') return;
      rounds.depart(sessionId, caller, reason);
    },
  };
}
