/** The secure rounds of all sessions, and who takes part in the next one. */
import { FoedusError } from '@foedus/connector/errors';
import { type Aggregate } from '../strategy/aggregate.ts';
import {
  COORDINATOR_IS_MEMBER,
  type MemberPolicy,
  RoundFailure,
  type SessionPlan,
  decode,
  openRound,
  planHash,
  secureEncoding,
  secureTask,
} from '@foedus/fl-core';
import type { ModelRegistry } from '../store/model-registry.ts';
import type { ParticipantRecord, SessionRecord } from '../store/records.ts';
import type { SessionStore } from '../store/session-store.ts';
import { type MaskedSum, type SecureRound, createSecureRound } from './secure-round.ts';

/** So many rounds without output in a row end a session: each may have cost its members budget. */
const MOST_ABANDONED = 5;

export interface SecureRounds {
  /** The round of a session that is not over, if there is one. */
  of(sessionId: string): SecureRound | undefined;
  /** Begins a round with these participants. */
  open(session: SessionRecord, round: number, participants: readonly ParticipantRecord[]): SecureRound;
  /** Ends the session's round, whatever it has come to. */
  forget(sessionId: string): void;
  /** The sum of a round's updates. */
  aggregateOf(session: SessionRecord, round: SecureRound, sum: MaskedSum): Aggregate;
  /** The smallest cohort of the session's next round: the plan's, or more where an agreement asks for more. */
  leastOf(session: SessionRecord): number;
  /** Whether there should be another round after one without output. */
  goesOn(session: SessionRecord): boolean;
}

export function createSecureRounds(options: {
  readonly store: SessionStore;
  readonly models: ModelRegistry;
  readonly verify: (signature: string, document: object, participant: string) => Promise<void>;
  readonly now: () => Date;
}): SecureRounds {
  const { store, models, verify, now } = options;
  const open = new Map<string, SecureRound>();
  /**
   * Members that have spoilt a round which the others had paid for, by session: as long as this process runs, the next ones
   * are held without them, where enough others are there.
   */
  const culprits = new Map<string, Set<string>>();
  const isTrusted =
    (sessionId: string) =>
    ({ participantId }: Pick<ParticipantRecord, 'participantId'>): boolean =>
      culprits.get(sessionId)?.has(participantId) !== true;

  const leastOf = (session: SessionRecord): number =>
    leastCohort(
      session.plan,
      store
        .participants(session.id)
        .filter(({ status }) => status !== 'departed')
        .filter(isTrusted(session.id)),
    );

  return {
    of: (sessionId) => open.get(sessionId),
    open(session, round, participants) {
      const { plan } = session;
      const trusted = participants.filter(isTrusted(session.id));
      const members = trusted.length >= leastCohort(plan, trusted) ? trusted : participants;
      const secure = createSecureRound({
        task: secureTask({
          plan,
          planHash: session.planHash,
          round,
          modelHash: models.newest(session.id)?.hash ?? session.initialHash,
          policies: members.map(policyOf),
          minimumCohort: leastCohort(plan, members),
        }),
        verify,
        stepSeconds: plan.secureAggregation?.stepTimeoutSeconds ?? plan.roundTimeoutSeconds,
        inputSeconds: plan.roundTimeoutSeconds,
        onCulprit(participantId) {
          const known = culprits.get(session.id) ?? new Set();
          culprits.set(session.id, known.add(participantId));
        },
        now: () => now().getTime(),
      });
      open.set(session.id, secure);
      return secure;
    },
    forget(sessionId) {
      open.get(sessionId)?.end();
      open.delete(sessionId);
    },
    aggregateOf({ plan }, { task }, { sum, survivors }) {
      const decoded = decode(sum, secureEncoding(plan, task.terms));
      if (decoded.buffer !== sum.buffer) (sum.buffer as ArrayBuffer).transfer(0);
      return { sum: decoded, updates: survivors.length };
    },
    leastOf,
    goesOn(session) {
      const rounds = store.rounds(session.id);
      const abandoned = rounds.length - 1 - rounds.findLastIndex(({ phase }) => phase !== 'abandoned');
      const possible = store
        .participants(session.id)
        .filter(({ status }) => status === 'enrolled' || status === 'away')
        .filter(isTrusted(session.id));
      return abandoned < MOST_ABANDONED && possible.length >= leastOf(session);
    },
  };
}

function leastCohort(plan: SessionPlan, participants: readonly Pick<ParticipantRecord, 'minimumCohort'>[]): number {
  return Math.max(2, plan.minimumCohort, ...participants.map(({ minimumCohort }) => minimumCohort ?? 1));
}

function policyOf({ participantId, agreementHash }: ParticipantRecord): MemberPolicy {
  if (agreementHash === null) throw new Error(`the agreement of ${participantId} was not read when it was planned`);
  return [participantId, agreementHash];
}

/**
 * Whether rounds under secure aggregation can be held at all as planned.
 *
 * @throws FoedusError `bad-request` with what to change
 */
export function checkSecureRounds(
  plan: SessionPlan,
  participants: readonly Pick<ParticipantRecord, 'participantId' | 'agreementHash' | 'minimumCohort'>[],
): void {
  if (plan.secureAggregation === null) return;
  if (participants.some(({ participantId }) => participantId === plan.coordinator)) {
    throw new FoedusError('bad-request', `${COORDINATOR_IS_MEMBER} Leave ${plan.coordinator} out.`);
  }
  const least = leastCohort(plan, participants);
  if (participants.length < least) {
    throw new FoedusError(
      'bad-request',
      `Under secure aggregation a round needs ${least} participants: what the plan and the agreements ask for, and at least 2. There are ${participants.length}.`,
    );
  }
  try {
    const task = secureTask({
      plan,
      planHash: planHash(plan),
      round: 1,
      modelHash: '0'.repeat(64),
      policies: participants.map(({ participantId, agreementHash }) => [
        participantId,
        agreementHash ?? '0'.repeat(64),
      ]),
      minimumCohort: least,
    });
    // As every round of the session will begin.
    openRound(task.terms, async () => {});
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof RoundFailure)) throw cause;
    throw new FoedusError('bad-request', cause.message, { cause });
  }
}
