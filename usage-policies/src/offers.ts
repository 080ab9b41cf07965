import { problemsOf } from './compile.ts';
import { FOEDUS, type Mask, type PrivacyUnit, type RowFilter } from './model.ts';
import { parsePolicy } from './parse.ts';
import { PolicyError, Unreadable } from './policy-error.ts';
import { PROFILE, TRAIN, USE } from './terms.ts';
import { readInstant } from './values.ts';

/** An ODRL Offer as JSON, in the form that the Dataspace Protocol's schemas accept: every right operand is a string, an object or an array. */
export type OfferJson = Record<string, unknown>;

/** Conditions that both kinds of offers may set. Absent: no such condition. */
interface Conditions {
  /** The offer's `@id`; a connector gives published offers their own. */
  readonly id?: string;
  /** IRIs, for instance `https://w3id.org/dpv#ResearchAndDevelopment`. At least one. */
  readonly purposes?: readonly string[];
  /** First moment of use. */
  readonly from?: Date | string;
  /** Use is allowed before this moment. A text must be an xsd:dateTime with a zone. */
  readonly until?: Date | string;
  /** Columns that may be read; absent: all of the data set. */
  readonly columns?: readonly string[];
}

export interface RowsOfferOptions extends Conditions {
  readonly rowFilter?: RowFilter;
  readonly masks?: Readonly<Record<string, Mask>>;
  /** Uses in all. */
  readonly uses?: number;
  /** Purposes that are forbidden whatever else is agreed. */
  readonly forbiddenPurposes?: readonly string[];
}

export interface TrainingOfferOptions extends Conditions {
  /** Total privacy loss; absent: updates may be released without noise. */
  readonly privacyBudget?: { readonly epsilon: number; readonly delta: number };
  /** Rounds in all. */
  readonly rounds: number;
  /** Participants whose updates are summed before anybody sees a sum. */
  readonly minimumCohort: number;
  /** Metrics about held-out rows that may be released. @default none */
  readonly metrics?: readonly string[];
  /** Updates are summed under masks. @default false */
  readonly secureAggregation?: boolean;
  /** What noise has to hide at least; absent: what the session's plan says. */
  readonly privacyUnit?: PrivacyUnit;
  /** SHA-256 of the only session plan, hex; absent: any plan within the other conditions. */
  readonly planHash?: string;
}

type ConstraintJson = { leftOperand: string; operator: string; rightOperand: unknown };

/**
 * An offer to read rows.
 *
 * @throws PolicyError for options that make no policy that this package can enforce
 */
export function rowsOffer(options: RowsOfferOptions): OfferJson {
  const constraints = [
    ...conditionsJson(options),
    ...optional(options.rowFilter, (filter) => ours('rowFilter', 'eq', filter)),
    ...optional(options.masks, (masks) => ours('masks', 'eq', masks)),
    ...optional(options.uses, (uses) => constraint('count', 'lteq', String(uses))),
  ];
  const forbidden = options.forbiddenPurposes?.length ? [purposes(options.forbiddenPurposes)] : [];
  return offer(options.id, USE, constraints, forbidden);
}

/**
 * An offer to train a model on the rows, which stay where they are.
 *
 * @throws PolicyError for options that make no policy that this package can enforce
 */
export function trainingOffer(options: TrainingOfferOptions): OfferJson {
  const constraints = [
    ...conditionsJson(options),
    ...optional(options.privacyBudget, ({ epsilon, delta }) =>
      ours('privacyBudget', 'lteq', { epsilon: String(epsilon), delta: String(delta) }),
    ),
    ...optional(options.privacyUnit, (unit) => ours('privacyUnit', 'gteq', unit)),
    ours('rounds', 'lteq', String(options.rounds)),
    ours('minimumCohort', 'gteq', String(options.minimumCohort)),
    ours('metrics', 'isPartOf', [...(options.metrics ?? [])]),
    ...(options.secureAggregation === true ? [ours('secureAggregation', 'eq', 'required')] : []),
    ...optional(options.planHash, (hash) => ours('planHash', 'eq', hash)),
  ];
  return offer(options.id, TRAIN, constraints, []);
}

function offer(
  id: string | undefined,
  action: string,
  constraints: ConstraintJson[],
  forbidden: ConstraintJson[],
): OfferJson {
  const json = {
    ...(id === undefined ? {} : { '@id': id }),
    '@type': 'Offer',
    profile: PROFILE,
    permission: [constraints.length === 0 ? { action } : { action, constraint: constraints }],
    ...(forbidden.length === 0 ? {} : { prohibition: [{ action, constraint: forbidden }] }),
  };
  return checkedOffer(json);
}

/** The offer itself, once it reads without a problem. @throws PolicyError */
export function checkedOffer(json: OfferJson): OfferJson {
  const [problem] = problemsOf(parsePolicy(json));
  if (problem !== undefined) throw new PolicyError('$', problem);
  return json;
}

function conditionsJson({ purposes: agreed, from, until, columns }: Conditions): ConstraintJson[] {
  return [
    ...optional(agreed, purposes),
    ...optional(from, (moment) => constraint('dateTime', 'gteq', dateTimeText(moment))),
    ...optional(until, (moment) => constraint('dateTime', 'lt', dateTimeText(moment))),
    ...optional(columns, (names) => ours('columns', 'isPartOf', [...names])),
  ];
}

function purposes(agreed: readonly string[]): ConstraintJson {
  const [only] = agreed;
  return agreed.length === 1 && only !== undefined
    ? constraint('purpose', 'eq', only)
    : constraint('purpose', 'isAnyOf', [...agreed]);
}

function dateTimeText(moment: Date | string): string {
  if (typeof moment === 'string') {
    // Policies of others may leave the zone out, and are then decided with care; ours say what they mean.
    try {
      return readInstant(moment).text;
    } catch (cause) {
      throw cause instanceof Unreadable ? new PolicyError('$', cause.message, { cause }) : cause;
    }
  }
  // toISOString throws a bare RangeError for an invalid date; as text it is refused with a path and a sentence.
  return Number.isNaN(moment.getTime()) ? 'an invalid date' : moment.toISOString();
}

function constraint(leftOperand: string, operator: string, rightOperand: unknown): ConstraintJson {
  return { leftOperand, operator, rightOperand };
}

function ours(name: string, operator: string, rightOperand: unknown): ConstraintJson {
  return constraint(FOEDUS + name, operator, rightOperand);
}

function optional<T>(value: T | undefined, write: (value: T) => ConstraintJson): ConstraintJson[] {
  return value === undefined ? [] : [write(value)];
}
