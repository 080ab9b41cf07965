/** Requests and states with values that types cannot exclude: these are denied before any rule is looked at. */
import type { UsageEvent, UsageRequest, UsageState } from './model.ts';
import { TRAIN } from './terms.ts';

const isAmount = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0;
const isMoment = (moment: Date | undefined): boolean => moment === undefined || !Number.isNaN(moment.getTime());

/** What is wrong with a request, if anything: a negative loss would refund what was spent, NaN would pass comparisons. */
export function malformedRequest({ action, assignee, at, columns, training }: UsageRequest): string[] | undefined {
  const reasons: string[] = [];
  if (assignee === '') reasons.push('The request does not say who asks.');
  if (Number.isNaN(at.getTime())) reasons.push('The time of the use is not known.');
  if (columns !== undefined && columns.length === 0) reasons.push('The request asks for no column at all.');
  if (action === TRAIN && training === undefined) {
    reasons.push('A request to train states its round, plan, cohort, privacy loss and metrics; this one does not.');
  }
  if (training !== undefined) {
    const { round, cohort, privacyLoss } = training;
    if (!Number.isSafeInteger(round) || round < 1) reasons.push('The round is not a whole number of 1 or more.');
    if (!Number.isSafeInteger(cohort) || cohort < 1) reasons.push('The cohort is not a whole number of 1 or more.');
    if (
      privacyLoss !== null &&
      !(isAmount(privacyLoss.epsilon) && isAmount(privacyLoss.delta) && privacyLoss.delta < 1)
    ) {
      reasons.push('The privacy loss is not an ε of 0 or more at a δ from 0 to below 1.');
    }
  }
  return reasons.length === 0 ? undefined : reasons;
}

/** What is wrong with a state, if anything. */
export function malformedState({ spent, history, agreedAt, events }: UsageState): string[] | undefined {
  const { uses, rounds, epsilon, rows = 0, bytes = 0 } = spent;
  if (![uses, rounds, epsilon, rows, bytes].every(isAmount)) {
    return ['The ledger does not say what is spent: no use can be charged.'];
  }
  if (history !== undefined && !history.every(isDated)) return ['The history has an event at no time.'];
  if (!isMoment(agreedAt)) return ['The time of the agreement is not known.'];
  if (events !== undefined && !Object.values(events).every(({ from, to }) => isMoment(from) && isMoment(to))) {
    return ['An event is at no time.'];
  }
  return undefined;
}

function isDated({ at, until }: UsageEvent): boolean {
  return isMoment(at) && isMoment(until);
}
