/** What a policy asks somebody to do, as a node that keeps track of it needs it: by whom, when, and a name for each. */
import { ODRL } from './actions.ts';
import { dutyKeys } from './duty-keys.ts';
import { conditionWords, dutyWords } from './explain/explain.ts';
import { isLogical, type Condition, type DutyTiming, type Policy, type Rule } from './model.ts';
import { isTiming } from './parse-condition.ts';
import { Unreadable } from './policy-error.ts';
import { after, readDuration, readSpan } from './time.ts';
import { onlyItem } from './values.ts';

const IDSC = 'https://w3id.org/idsa/code/';
/** The IDS action of usage-control class 15. */
export const LOG = `${IDSC}LOG`;
export const INFORM = 'inform';

/** What a schedule is counted from. */
export interface DutyClock {
  readonly agreedAt: Date;
  /** When data could first be used under the agreement; absent: not yet. */
  readonly receivedAt?: Date;
}

/** When something has to be done. */
export interface DutyTimes {
  /** Not before. Absent: at any time from the beginning, or once `receivedAt` is known. */
  readonly opensAt?: Date;
  /** The last moment at which it is in time. Absent: no end is set, or it is not known yet. */
  readonly dueAt?: Date;
  /** Its clock has not started: nothing was received yet. */
  readonly waits: boolean;
}

/** A duty of a permission or an obligation of the policy, one for each that says something else. */
export interface OwedDuty {
  /** Its IRI, or else its place in the policy. Both parties of an agreement have the same text, so the same keys. */
  readonly key: string;
  readonly kind: 'obligation' | 'duty';
  /** Canonical where it is known. */
  readonly action: string;
  readonly timing: DutyTiming;
  /** Who has to, where the policy names somebody; absent: the consumer. */
  readonly by?: string;
  /** Of a duty to inform: whom. */
  readonly informedParty?: string;
  /** Of a duty to log: in which system. */
  readonly system?: string;
  /** In plain words, one line. */
  readonly text: string;
  /** Arises anew with every use, and is done with it: to log and to inform. */
  readonly everyUse: boolean;
  /** It has consequences, which are owed too once it was not fulfilled in time. */
  readonly hasConsequences: boolean;
  /** Absent where it depends on more than time: then only a decision can say how it stands. */
  readonly schedule?: (clock: DutyClock) => DutyTimes;
}

/** Parties that say who performs a duty, where it has no assignee of its own. */
const PERFORMERS = ['compensatingParty', 'attributingParty', 'informingParty', 'consentedParty'];

/** Everything that a policy asks somebody to do: duties of permissions and obligations, each once. */
export function owedDuties(policy: Policy): readonly OwedDuty[] {
  const keys = dutyKeys(policy);
  const owed = new Map<string, OwedDuty>();
  const add = (rule: Rule, kind: OwedDuty['kind']): void => {
    const key = keys.get(rule)!;
    if (!owed.has(key)) owed.set(key, owedDuty(rule, kind, key, policy));
  };
  for (const rule of policy.obligations) add(rule, 'obligation');
  for (const { duties } of policy.permissions) for (const rule of duties) add(rule, 'duty');
  return [...owed.values()];
}

function owedDuty(rule: Rule, kind: OwedDuty['kind'], key: string, policy: Policy): OwedDuty {
  const action = ODRL.resolve(rule.action) ?? rule.action;
  const by = rule.assignee ?? PERFORMERS.map((role) => rule.parties[role]).find((party) => party !== undefined);
  const conditions = [...rule.constraints, ...rule.actionRefinements];
  const informedParty = rule.parties['informedParty'] ?? named(conditions, 'recipient');
  const system = named(conditions, 'systemDevice');
  const schedule = scheduleOf(conditions);
  const words = conditions.filter((each) => isLogical(each) || !isTiming(each));
  return {
    key,
    kind,
    action,
    timing: rule.timing ?? 'before',
    ...(by !== undefined && { by }),
    ...(informedParty !== undefined && { informedParty }),
    ...(system !== undefined && { system }),
    text: [dutyWords(rule, policy, 'en'), ...words.map((each) => conditionWords(each, policy, 'en'))].join('; '),
    everyUse: kind === 'duty' && (action === LOG || action === INFORM),
    hasConsequences: rule.consequences.length > 0,
    ...(schedule !== undefined && { schedule }),
  };
}

/** The one text that a condition asks an operand to be. */
function named(conditions: readonly Condition[], operand: string): string | undefined {
  for (const condition of conditions) {
    if (isLogical(condition) || condition.leftOperand !== operand || condition.operator !== 'eq') continue;
    const value: unknown = condition.rightOperand;
    if (typeof value === 'string') return value;
    if (Array.isArray(value) && value.length === 1 && typeof value[0] === 'string') return value[0];
  }
  return undefined;
}

/** Conditions that say how something is done, not when. */
const MANNERS: ReadonlySet<string> = new Set([
  'systemDevice',
  'recipient',
  `${IDSC}LOG_LEVEL`,
  `${IDSC}NOTIFICATION_LEVEL`,
]);

/** A bound in milliseconds since 1970, or counted from the first reception. */
type Bound = (clock: DutyClock) => number | undefined;

/** @returns undefined where the conditions say more than when */
function scheduleOf(conditions: readonly Condition[]): OwedDuty['schedule'] {
  const opens: Bound[] = [];
  const ends: Bound[] = [];
  let counted = false;
  const take = (condition: Condition): boolean => {
    if (isLogical(condition)) return condition.logical === 'and' && condition.operands.every(take);
    if (isTiming(condition) || MANNERS.has(condition.leftOperand)) return true;
    const { leftOperand, operator, rightOperand, unread, references = [] } = condition;
    if (unread.length > 0 || references.length > 0) return false;
    const early = operator === 'gt' || operator === 'gteq';
    const late = operator === 'lt' || operator === 'lteq';
    // Milliseconds are the finest that there is: before a moment is up to the one before it.
    const step = operator === 'gt' ? 1 : operator === 'lt' ? -1 : 0;
    if (leftOperand === 'dateTime' && (early || late)) {
      const { from, to, slack } = readSpan(onlyItem(rightOperand));
      // A day without a zone is taken as it begins last, and as it ends first.
      if (early) opens.push(() => (operator === 'gt' ? to : from) + slack);
      else ends.push(() => (operator === 'lteq' ? to : from) - 1 - slack);
      return true;
    }
    if (leftOperand === 'elapsedTime' && (early || late || operator === 'eq')) {
      counted = true;
      const period = readDuration(onlyItem(rightOperand));
      const bound: Bound = ({ receivedAt }) => receivedAt && after(receivedAt.getTime(), period) + step;
      (early ? opens : ends).push(bound);
      return true;
    }
    if (leftOperand === 'delayPeriod' && (early || operator === 'eq')) {
      const period = readDuration(onlyItem(rightOperand));
      opens.push(({ agreedAt }) => after(agreedAt.getTime(), period) + step);
      return true;
    }
    return false;
  };
  try {
    if (!conditions.every(take)) return undefined;
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
  return (clock) => {
    const of = (bounds: readonly Bound[]) => bounds.map((bound) => bound(clock)).filter((at) => at !== undefined);
    const [from, until] = [of(opens), of(ends)];
    return {
      ...(from.length > 0 && { opensAt: new Date(Math.max(...from)) }),
      ...(until.length > 0 && { dueAt: new Date(Math.min(...until)) }),
      waits: counted && clock.receivedAt === undefined,
    };
  };
}
