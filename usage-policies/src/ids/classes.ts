/** The 25 usage-control classes of the International Data Spaces, as clauses of an offer. */
import { FOEDUS, type Mask } from '../model.ts';

const IDSC = 'https://w3id.org/idsa/code/';
const VCARD_GEO = 'http://www.w3.org/2006/vcard/ns#hasGeo';
const SKOS_CONCEPT = 'http://www.w3.org/2004/02/skos/core#concept';

type Json = Readonly<Record<string, unknown>>;

/** What one class adds to an offer; idsOffer puts several together. */
export interface Clause {
  /** Conditions of the permission. */
  readonly constraints?: readonly Json[];
  /** Duties of that permission. */
  readonly duties?: readonly Json[];
  /** Who may use: a participant, or a selection among them. */
  readonly assignee?: string | Json;
  /** What may be used: a selection among data sets. */
  readonly target?: Json;
  /** What is permitted, where it is not `use`. */
  readonly action?: string;
  /** Duties of the consumer, whether it uses anything or not. */
  readonly obligations?: readonly Json[];
}

const constraint = (leftOperand: string, operator: string, rightOperand: unknown): Json => ({
  leftOperand,
  operator,
  rightOperand,
});
const restrict = (leftOperand: string, operator: string, rightOperand: unknown): Clause => ({
  constraints: [constraint(leftOperand, operator, rightOperand)],
});
const refined = (action: string, ...refinement: Json[]): Json => ({
  action: [{ 'rdf:value': { '@id': action }, refinement }],
});
const moment = (at: Date | string): string => (typeof at === 'string' ? at : at.toISOString());
const ON_EACH_USE = `${IDSC}ON_ALLOW`;
/** Due before the use: pre-duties are told apart by it where their action alone does not say so. */
const BEFORE_USE = [constraint('event', 'lt', { '@id': 'odrl:policyUsage' })];

/** Class 1: one participant may use the data, with whichever of its connectors. */
export const restrictConsumer = (consumer: string): Clause => ({ assignee: consumer });

/** Class 2: only the listed connectors. */
export const restrictConnector = (connectors: readonly string[]): Clause =>
  restrict(`${IDSC}CONNECTOR`, 'isPartOf', connectors);

/** Class 3: only the listed applications. */
export const restrictApplication = (applications: readonly string[]): Clause =>
  restrict(`${IDSC}APPLICATION`, 'isPartOf', applications);

/** Class 4: only people in the listed roles. */
export const restrictUserRole = (roles: readonly string[]): Clause => restrict(`${IDSC}ROLE`, 'isPartOf', roles);

/** Class 5: only in the listed places, and places within them. IRIs. */
export const restrictLocationOfUsage = (locations: readonly string[]): Clause =>
  restrict('spatial', 'isPartOf', locations);

/** Class 6: only for the listed purposes, and kinds of them in the W3C Data Privacy Vocabulary. IRIs. */
export const restrictPurpose = (purposes: readonly string[]): Clause => restrict('purpose', 'isA', purposes);

/** Class 7: only while an event takes place. */
export const restrictEvent = (event: string): Clause => restrict('event', 'eq', event);

/** Class 8: only connectors certified for one of the levels, for instance `…/code/TRUST_SECURITY_PROFILE`. */
export const restrictSecurityLevel = (levels: readonly string[]): Clause =>
  restrict(`${IDSC}SECURITY_LEVEL`, 'isPartOf', levels);

/** Class 9: from one moment (included) until another (excluded). Texts are xsd:dateTime with a zone. */
export const restrictTimeInterval = (from: Date | string, until: Date | string): Clause => ({
  constraints: [constraint('dateTime', 'gteq', moment(from)), constraint('dateTime', 'lt', moment(until))],
});

/** Class 10: for some time after the first use. An ISO 8601 duration such as `P3M`. */
export const restrictDuration = (duration: string): Clause => restrict('elapsedTime', 'lteq', duration);

/** Class 11: so many uses in all. */
export const restrictNumberOfUsage = (uses: number): Clause => restrict('count', 'lteq', String(uses));

/** Class 12, a post-duty: the data are deleted after use, by a moment. */
export const deleteData = (until: Date | string): Clause => ({
  duties: [{ action: 'delete', constraint: [constraint('dateTime', 'lteq', moment(until))] }],
});

/** Class 13: columns leave changed. The provider's node does it, so it is a cut and no duty. */
export const modifyInTransit = (masks: Readonly<Record<string, Mask>>): Clause =>
  restrict(`${FOEDUS}masks`, 'eq', masks);

/** Class 14: the consumer anonymises what it keeps, by a moment. */
export const modifyInRest = (until: Date | string): Clause => ({
  obligations: [{ action: 'anonymize', constraint: [constraint('dateTime', 'lteq', moment(until))] }],
});

/** Class 15, a post-duty: each use is logged in a system. */
export const logUsageInformation = (system: string): Clause => ({
  duties: [
    refined(`${IDSC}LOG`, constraint('systemDevice', 'eq', system), constraint(`${IDSC}LOG_LEVEL`, 'eq', ON_EACH_USE)),
  ],
});

/** Class 16, a post-duty: somebody is told of each use. */
export const notifyParty = (party: string): Clause => ({
  duties: [{ ...refined('inform', constraint(`${IDSC}NOTIFICATION_LEVEL`, 'eq', ON_EACH_USE)), informedParty: party }],
});

/**
 * Class 17, a pre-duty: the data may be passed on once a further policy is agreed with those who get them. The
 * permission is to `distribute` alone: one to `use` would include passing them on without that (ODRL Vocabulary).
 */
export const distributeNextPolicy = (policy: string): Clause => ({
  action: 'distribute',
  duties: [refined('nextPolicy', constraint(`${IDSC}TARGET_POLICY`, 'eq', policy))],
});

/** Class 18: only while the data are in all of the listed states, for instance `…/code/ENCRYPTED`. */
export const restrictArtifactState = (states: readonly string[]): Clause =>
  restrict(`${IDSC}ARTIFACT_STATE`, 'isAllOf', states);

/** Class 19, a pre-duty: an amount is paid once. `currency` is an IRI. */
export const restrictPaymentSale = (amount: number, currency: string): Clause => ({
  duties: [{ ...refined('compensate', payment(amount, currency)), constraint: BEFORE_USE }],
});

/** Class 20, a pre-duty: an amount is paid anew in every period, for instance `http://purl.org/cld/freq/annual`. */
export const restrictPaymentRent = (amount: number, currency: string, period: string): Clause => ({
  duties: [
    {
      ...refined('compensate', { ...payment(amount, currency), 'dct:frequency': { '@id': period } }),
      constraint: BEFORE_USE,
    },
  ],
});

function payment(amount: number, currency: string): Json {
  return { ...constraint('payAmount', 'eq', String(amount)), unit: currency };
}

/** Class 21: only in a state of the environment, for instance an emergency. */
export const restrictState = (state: string): Clause => restrict(`${IDSC}STATE`, 'eq', state);

/** Class 22: those of a group of participants that have their seat in one of the places. */
export const restrictLocationOfParticipant = (participants: string, locations: readonly string[]): Clause => ({
  assignee: {
    '@type': 'PartyCollection',
    source: participants,
    refinement: [constraint(VCARD_GEO, 'isAnyOf', locations)],
  },
});

/** Class 23, a pre-duty: somebody has consented. */
export const obtainConsent = (party: string): Clause => ({
  duties: [{ action: 'obtainConsent', consentingParty: party, constraint: BEFORE_USE }],
});

/** Class 24: those of a collection of data sets that are classified within the list. */
export const restrictDataClassification = (collection: string, classifications: readonly string[]): Clause => ({
  target: {
    '@type': 'AssetCollection',
    source: collection,
    refinement: [constraint(SKOS_CONCEPT, 'isPartOf', classifications)],
  },
});

/** Class 25, a pre-duty: a function is computed by multi-party computation, so that nobody sees single values. */
export const anonymizeWithMpc = (computed: string): Clause => ({
  duties: [{ ...refined(`${IDSC}MPC`, constraint(`${IDSC}MPC_FUNCTION`, 'eq', computed)), constraint: BEFORE_USE }],
});
