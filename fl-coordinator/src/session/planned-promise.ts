/** What a planned session promises under its partners' agreements, and whether it may be planned at all. */
import { FoedusError } from '@foedus/connector/errors';
import type { TrainingLimits } from '@foedus/connector/operator-client';
import {
  checkPromise,
  type Contract,
  histogramEvent,
  plannedRoundEvent,
  type PrivacyEvent,
  type Reason,
  type SessionPlan,
  type SessionPromise,
} from '@foedus/fl-core';
import type { SessionRecord } from '../store/records.ts';
import type { SessionStore } from '../store/session-store.ts';

/** A partner with what its agreement asks of training, as the own connector reads it. */
export interface Invited {
  readonly participantId: string;
  readonly agreementId: string;
  readonly limits: TrainingLimits;
}

type History = Pick<SessionStore, 'sessions' | 'participants' | 'contributions'>;

/** What the partners' agreements ask for, and what they have paid for in other sessions until now. */
export function contractsOf(sessionId: string, invited: readonly Invited[], store: History): Contract[] {
  const earlier = historyOf(sessionId, store);
  return invited.map(({ participantId, agreementId, limits }) => ({
    participantId,
    limits,
    history: earlier(participantId, agreementId),
  }));
}

/** @param initialHash SHA-256 of the initial parameters, hex */
export function promiseOf(
  session: Pick<SessionRecord, 'id' | 'plan' | 'initialHash'>,
  invited: readonly Invited[],
  store: History,
): SessionPromise {
  return checkPromise(session.plan, contractsOf(session.id, invited, store), { modelHash: session.initialHash });
}

/** What other sessions held under an agreement: the updates and histograms that came, so at least what was charged for. */
function historyOf(sessionId: string, store: History) {
  const held = new Map<string, { rounds: number; events: PrivacyEvent[] }>();
  for (const { id, plan } of store.sessions()) {
    if (id === sessionId) continue;
    const received = Map.groupBy(
      store.contributions(id).filter(({ status }) => status === 'received'),
      ({ participantId }) => participantId,
    );
    const invited = store.participants(id);
    for (const { participantId, agreementId } of invited) {
      const own = received.get(participantId) ?? [];
      const rounds = own.length;
      if (rounds === 0) continue;
      const evaluations = own.filter(({ auc, logLoss }) => auc !== null || logLoss !== null).length;
      const key = JSON.stringify([participantId, agreementId]);
      const before = held.get(key) ?? { rounds: 0, events: [] };
      const events = eventsOf(plan, invited.length, rounds, evaluations);
      held.set(key, { rounds: before.rounds + rounds, events: [...before.events, ...events] });
    }
  }
  return (participantId: string, agreementId: string): NonNullable<Contract['history']> =>
    held.get(JSON.stringify([participantId, agreementId])) ?? { rounds: 0, events: [] };
}

function eventsOf(plan: SessionPlan, invited: number, rounds: number, evaluations: number): PrivacyEvent[] {
  const event = plannedRoundEvent(plan, invited);
  const { noise } = plan.evaluation;
  if (event === null) return [];
  return [
    { ...event, steps: event.steps * rounds },
    ...(noise === null || evaluations === 0 ? [] : [{ ...histogramEvent(noise), steps: evaluations }]),
  ];
}

/** A session can begin with these, and ends when they come true. */
const LATER: ReadonlySet<Reason['code']> = new Set(['budget-exceeded', 'too-many-rounds']);
const MOST_SHOWN = 10;

/**
 * @param endsEarly whether a session may be planned that some partner's budget or rounds will not last for
 * @throws FoedusError `conflict` with every reason, and what to change
 */
export function requirePromise(promise: SessionPromise, endsEarly: boolean): void {
  const counts = ({ code }: Reason): boolean => !(endsEarly && LATER.has(code));
  const words = [
    ...promise.reasons.filter(counts).map((reason) => reason.words),
    ...promise.partners.flatMap(({ participantId, reasons }) =>
      reasons.filter(counts).map((reason) => `${participantId}: ${reason.words}`),
    ),
  ];
  if (words.length === 0) return;
  const shown = words.slice(0, MOST_SHOWN).join(' ');
  const more = words.length > MOST_SHOWN ? ` And ${words.length - MOST_SHOWN} more reasons.` : '';
  throw new FoedusError('conflict', `The session cannot be held as planned. ${shown}${more}`);
}
