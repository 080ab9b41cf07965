/** Policies in words, for a person who decides whether to negotiate. The connector decides by the policy itself. */

const OPERATORS: Record<string, string> = {
  eq: 'is',
  neq: 'is not',
  lt: 'before or below',
  lteq: 'at most',
  gt: 'after or above',
  gteq: 'at least',
  isAnyOf: 'one of',
  isNoneOf: 'none of',
  isPartOf: 'within',
};

type Json = Readonly<Record<string, unknown>>;

/** @returns one line for each rule, for instance `may use: purpose one of …; columns within date, delay` */
export function describePolicy(policy: Json): string[] {
  return [
    ...rules(policy.permission).map((rule) => describeRule('may', rule)),
    ...rules(policy.prohibition).map((rule) => describeRule('must not', rule)),
    ...rules(policy.obligation).map((rule) => describeRule('must', rule)),
  ];
}

function describeRule(modal: string, rule: Json): string {
  const constraints = rules(rule.constraint).map(
    ({ leftOperand, operator, rightOperand }) =>
      `${short(leftOperand)} ${OPERATORS[short(operator)] ?? short(operator)} ${describeValue(rightOperand)}`,
  );
  return `${modal} ${short(rule.action)}${constraints.length === 0 ? '' : `: ${constraints.join('; ')}`}`;
}

const rules = (value: unknown): Json[] =>
  (Array.isArray(value) ? value : value === undefined ? [] : [value]).filter(
    (one): one is Json => typeof one === 'object' && one !== null,
  );

/** The last part of an IRI or of a prefixed name. */
const short = (term: unknown): string => describeValue(term).replace(/^.*[#/:](?=[^#/:]+$)/, '');

function describeValue(value: unknown): string {
  if (Array.isArray(value)) return value.map(describeValue).join(', ');
  if (typeof value !== 'object' || value === null) return String(value);
  if ('@value' in value) return describeValue(value['@value']);
  if ('@id' in value) return describeValue(value['@id']);
  return JSON.stringify(value);
}
