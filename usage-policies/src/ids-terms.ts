/**
 * The terms of the International Data Spaces' information model and code lists (`ids:`, `idsc:`), as ODRL has them.
 *
 * IDS contracts are an older dialect of ODRL: the same model under other names. What ODRL has no term for keeps its
 * IRI in the code list.
 */

const IDS = 'https://w3id.org/idsa/core/';
const IDSC = 'https://w3id.org/idsa/code/';
const NAME = /^(idsc:|ids:|https:\/\/w3id\.org\/idsa\/code\/|https:\/\/w3id\.org\/idsa\/core\/)([A-Za-z][\w-]*)$/;

/** Codes and classes whose ODRL term has another name. */
const CODES: Readonly<Record<string, string>> = {
  // actions
  USE: 'use',
  READ: 'read',
  WRITE: 'modify',
  MODIFY: 'modify',
  DISTRIBUTE: 'distribute',
  DELETE: 'delete',
  ANONYMIZE: 'anonymize',
  NOTIFY: 'inform',
  NEXT_POLICY: 'nextPolicy',
  DISPLAY: 'display',
  PRINT: 'print',
  GRANT_USE: 'grantUse',
  AGGREGATE: 'aggregate',
  DERIVE: 'derive',
  REPRODUCE: 'reproduce',
  COMPENSATE: 'compensate',
  // operands
  PURPOSE: 'purpose',
  COUNT: 'count',
  DATE_TIME: 'dateTime',
  POLICY_EVALUATION_TIME: 'dateTime',
  ELAPSED_TIME: 'elapsedTime',
  DELAY: 'delayPeriod',
  EVENT: 'event',
  ABSOLUTE_SPATIAL_POSITION: 'spatial',
  PAY_AMOUNT: 'payAmount',
  PAYMENT: 'payAmount',
  RECIPIENT: 'recipient',
  SYSTEM_DEVICE: 'systemDevice',
  // operators
  EQ: 'eq',
  EQUALS: 'eq',
  SAME_AS: 'eq',
  DEFINES_AS: 'eq',
  TEMPORAL_EQUALS: 'eq',
  DURATION_EQ: 'eq',
  NEQ: 'neq',
  GT: 'gt',
  AFTER: 'gt',
  LONGER: 'gt',
  GTEQ: 'gteq',
  LONGER_EQ: 'gteq',
  LT: 'lt',
  BEFORE: 'lt',
  SHORTER: 'lt',
  LTEQ: 'lteq',
  SHORTER_EQ: 'lteq',
  IN: 'isAnyOf',
  INSIDE: 'isPartOf',
  MEMBER_OF: 'isPartOf',
  CONTAINS: 'hasPart',
};

/** Operands of the code list that ODRL has no term for: facts about the user's side. */
export const IDS_OPERANDS: readonly string[] = [
  'APPLICATION',
  'ARTIFACT_STATE',
  'CONNECTOR',
  'JSON_PATH',
  'LOG_LEVEL',
  'MPC_FUNCTION',
  'NOTIFICATION_LEVEL',
  'REPLACE_WITH',
  'ROLE',
  'SECURITY_LEVEL',
  'STATE',
  'TARGET_POLICY',
].map((name) => IDSC + name);

const TYPES: Readonly<Record<string, string>> = {
  ContractAgreement: 'Agreement',
  ContractOffer: 'Offer',
  Permission: 'Permission',
  Prohibition: 'Prohibition',
  Duty: 'Duty',
  Constraint: 'Constraint',
};

const KEYS: Readonly<Record<string, string>> = {
  provider: 'assigner',
  consumer: 'assignee',
  ...Object.fromEntries(
    'permission prohibition obligation target action constraint leftOperand operator rightOperand refinement unit'
      .split(' ')
      .map((name) => [name, name]),
  ),
  rightOperandReference: 'rightOperandReference',
  preDuty: 'ids:preDuty',
  postDuty: 'ids:postDuty',
  pipEndpoint: 'ids:pipEndpoint',
  pxpEndpoint: 'ids:pxpEndpoint',
  frequency: 'ids:frequency',
  contract: 'ids:contract',
};

/** Where a value comes from and what carries a duty out: said for a machine, no rule depends on it. */
export const IDS_ENDPOINTS: ReadonlySet<string> = new Set(['ids:pipEndpoint', 'ids:pxpEndpoint']);

/** An IDS action, operand, operator or type as ODRL's term or a full IRI; undefined for what is no IDS term. */
export function idsTerm(term: string): string | undefined {
  const [, prefix, name] = NAME.exec(term) ?? [];
  if (prefix === undefined || name === undefined) return undefined;
  const code = name.replaceAll('-', '_').toUpperCase();
  if (prefix === 'idsc:' || prefix === IDSC) return CODES[code] ?? IDSC + code;
  if (Object.hasOwn(TYPES, name)) return TYPES[name];
  // Written as `ids:purpose` and `ids:artifact_state` in published policies, for the codes of that name.
  const operand = CODES[code];
  if (operand !== undefined) return operand;
  return IDS_OPERANDS.includes(IDSC + code) ? IDSC + code : IDS + name;
}

/** An IDS property as the property that is read here; undefined for what is none of those. */
export function idsKey(key: string): string | undefined {
  const [, prefix, name] = NAME.exec(key) ?? [];
  if (name === undefined || (prefix !== 'ids:' && prefix !== IDS)) return undefined;
  return Object.hasOwn(KEYS, name) ? KEYS[name] : undefined;
}

/** Whether an `@type` is a contract of the IDS information model. */
export function isIdsContract(type: string): boolean {
  const [, prefix, name] = NAME.exec(type) ?? [];
  return (prefix === 'ids:' || prefix === IDS) && (name === 'ContractAgreement' || name === 'ContractOffer');
}
