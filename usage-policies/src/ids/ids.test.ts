import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CONSUMER, PURPOSE, agreement, decideBy, nothingSpent, spentSoFar, useRequest } from '../agreement.fixture.ts';
import { problemsOf } from '../compile.ts';
import type { Decision, UsageEvent, UsageRequest, UsageState } from '../model.ts';
import { rowsOffer, type OfferJson } from '../offers.ts';
import { parsePolicy } from '../parse.ts';
import { PolicyError } from '../policy-error.ts';
import { sameRules } from '../same-rules.ts';
import { instantiate, type PolicyTemplate } from '../templates.ts';
import * as ids from './index.ts';

const library = join(import.meta.dirname, '..', '..', 'library', 'ids');
const IDSC = 'https://w3id.org/idsa/code/';
const DPV = 'https://w3id.org/dpv#';
const EURO = 'http://dbpedia.org/resource/Euro';
const DE = 'http://ontologi.es/place/DE';

const template = (name: string) => JSON.parse(readFileSync(join(library, `${name}.json`), 'utf8')) as PolicyTemplate;

interface Try {
  readonly request?: Partial<UsageRequest>;
  readonly state?: Partial<UsageState>;
}
interface Case {
  /** Name of the template. */
  readonly name: string;
  readonly clause: ids.Clause;
  readonly parameters: Record<string, unknown>;
  readonly permits: Try;
  /** Each of these is denied, with a reason that says this. */
  readonly denies: readonly (Try & { readonly because: RegExp })[];
  readonly more?: (decide: (attempt: Try) => Decision) => void;
}

const stating = (name: string, value: string | readonly string[]): Try => ({ request: { values: { [name]: value } } });
const at = (moment: string): Try => ({ request: { at: new Date(moment) } });
const done = (action: string, moment: string, values: UsageEvent['values'] = {}): UsageEvent => ({
  action,
  by: CONSUMER,
  at: new Date(moment),
  values,
});
const after = (...history: UsageEvent[]): Try => ({ state: { history } });
const none = after();
const nextPolicy = (policy: string) => done('nextPolicy', '2026-05-01T00:00:00Z', { [`${IDSC}TARGET_POLICY`]: policy });
const paid = (moment: string, value = 500, unit = EURO) => done('compensate', moment, { payAmount: { value, unit } });

const cases: readonly Case[] = [
  {
    name: 'restrict-consumer',
    clause: ids.restrictConsumer(CONSUMER),
    parameters: { consumer: CONSUMER },
    permits: {},
    denies: [{ request: { assignee: 'did:web:other.example' }, because: /not with did:web:other/ }],
  },
  {
    name: 'restrict-connector',
    clause: ids.restrictConnector([CONSUMER, 'did:web:second.example']),
    parameters: { connectors: [CONSUMER, 'did:web:second.example'] },
    permits: stating(`${IDSC}CONNECTOR`, CONSUMER),
    denies: [
      { because: /CONNECTOR/ },
      { ...stating(`${IDSC}CONNECTOR`, 'did:web:third.example'), because: /CONNECTOR/ },
      { ...stating(`${IDSC}CONNECTOR`, [CONSUMER, 'did:web:third.example']), because: /CONNECTOR/ },
    ],
  },
  {
    name: 'restrict-application',
    clause: ids.restrictApplication(['urn:app']),
    parameters: { applications: ['urn:app'] },
    permits: stating(`${IDSC}APPLICATION`, 'urn:app'),
    denies: [{ because: /APPLICATION/ }, { ...stating(`${IDSC}APPLICATION`, 'urn:other'), because: /APPLICATION/ }],
  },
  {
    name: 'restrict-user-role',
    clause: ids.restrictUserRole(['Team leader']),
    parameters: { roles: ['Team leader'] },
    permits: stating(`${IDSC}ROLE`, 'Team leader'),
    denies: [{ because: /ROLE/ }, { ...stating(`${IDSC}ROLE`, 'Designer'), because: /ROLE/ }],
  },
  {
    name: 'restrict-location-of-usage',
    clause: ids.restrictLocationOfUsage([DE]),
    parameters: { locations: [DE] },
    permits: stating('spatial', DE),
    denies: [{ because: /spatial/ }, { ...stating('spatial', 'http://ontologi.es/place/FR'), because: /spatial/ }],
    more: (decide) => {
      const memberships = { 'http://ontologi.es/place/DE-BY': [DE] };
      expect(decide({ ...stating('spatial', 'http://ontologi.es/place/DE-BY'), state: { memberships } }).permit).toBe(
        true,
      );
    },
  },
  {
    name: 'restrict-purpose',
    clause: ids.restrictPurpose([PURPOSE]),
    parameters: { purposes: [PURPOSE] },
    permits: { request: { purpose: `${DPV}AcademicResearch` } },
    denies: [
      { request: { purpose: `${DPV}Marketing` }, because: /[Pp]urpose/ },
      { request: { purpose: '' }, because: /No purpose was stated/ },
    ],
  },
  {
    name: 'restrict-event',
    clause: ids.restrictEvent('urn:fair'),
    parameters: { event: 'urn:fair' },
    permits: { state: { events: { 'urn:fair': { from: new Date('2026-05-31T00:00:00Z') } } } },
    denies: [
      { because: /urn:fair/ },
      { state: { events: { 'urn:fair': { from: new Date('2026-06-02T00:00:00Z') } } }, because: /urn:fair/ },
    ],
  },
  {
    name: 'restrict-security-level',
    clause: ids.restrictSecurityLevel([`${IDSC}TRUST_SECURITY_PROFILE`]),
    parameters: { levels: [`${IDSC}TRUST_SECURITY_PROFILE`] },
    permits: stating(`${IDSC}SECURITY_LEVEL`, `${IDSC}TRUST_SECURITY_PROFILE`),
    denies: [
      { because: /SECURITY_LEVEL/ },
      { ...stating(`${IDSC}SECURITY_LEVEL`, `${IDSC}BASE_SECURITY_PROFILE`), because: /SECURITY_LEVEL/ },
    ],
  },
  {
    name: 'restrict-time-interval',
    clause: ids.restrictTimeInterval('2026-06-01T00:00:00Z', new Date('2026-10-01T00:00:00Z')),
    parameters: { from: '2026-06-01T00:00:00Z', until: new Date('2026-10-01T00:00:00Z') },
    permits: at('2026-06-01T00:00:00Z'),
    denies: [
      { ...at('2026-05-31T23:59:59Z'), because: /begins/ },
      { ...at('2026-10-01T00:00:00Z'), because: /ended/ },
    ],
  },
  {
    name: 'restrict-duration',
    clause: ids.restrictDuration('P3M'),
    parameters: { duration: 'P3M' },
    permits: after(done('use', '2026-03-01T00:00:00Z')),
    denies: [{ ...after(done('use', '2026-02-28T00:00:00Z')), because: /period of P3M is over/ }],
  },
  {
    name: 'restrict-number-of-usage',
    clause: ids.restrictNumberOfUsage(2),
    parameters: { uses: 2 },
    permits: { state: spentSoFar({ uses: 1 }) },
    denies: [{ state: spentSoFar({ uses: 2 }), because: /number of uses is spent/ }],
    more: (decide) => expect(decide({ state: spentSoFar({ uses: 2 }) }).exhausted).toBe(true),
  },
  {
    name: 'delete-data',
    clause: ids.deleteData('2027-01-01T00:00:00Z'),
    parameters: { until: '2027-01-01T00:00:00Z' },
    permits: none,
    denies: [],
    more: (decide) => {
      expect(decide(none).duties).toMatchObject([{ action: 'delete', timing: 'after', state: 'not-set' }]);
      const deleted = after(done('use', '2026-05-01T00:00:00Z'), done('delete', '2026-05-02T00:00:00Z'));
      expect(decide(deleted).duties).toMatchObject([{ state: 'fulfilled' }]);
      const late = { ...none, request: { at: new Date('2027-01-02T00:00:00Z') } };
      expect(decide(late).duties).toMatchObject([{ state: 'violated' }]);
    },
  },
  {
    name: 'modify-in-transit',
    clause: ids.modifyInTransit({ name: { method: 'constant', value: 'xxxx' } }),
    parameters: { masks: { name: { method: 'constant', value: 'xxxx' } } },
    permits: {},
    denies: [],
    more: (decide) => expect(decide({}).plan?.masks).toEqual({ name: { method: 'constant', value: 'xxxx' } }),
  },
  {
    name: 'modify-in-rest',
    clause: ids.modifyInRest('2027-01-01T00:00:00Z'),
    parameters: { until: '2027-01-01T00:00:00Z' },
    permits: none,
    denies: [],
    more: (decide) => {
      expect(decide(none).duties).toMatchObject([{ kind: 'obligation', action: 'anonymize', state: 'not-set' }]);
      expect(decide(after(done('anonymize', '2026-05-01T00:00:00Z'))).duties).toMatchObject([{ state: 'fulfilled' }]);
    },
  },
  {
    name: 'log-usage-information',
    clause: ids.logUsageInformation('urn:log'),
    parameters: { system: 'urn:log' },
    permits: none,
    denies: [],
    more: (decide) => {
      expect(decide(none).duties).toMatchObject([{ action: `${IDSC}LOG`, timing: 'after', state: 'not-set' }]);
    },
  },
  {
    name: 'notify-party',
    clause: ids.notifyParty('did:web:provider.example'),
    parameters: { party: 'did:web:provider.example' },
    permits: none,
    denies: [],
    more: (decide) =>
      expect(decide(none).duties).toMatchObject([{ action: 'inform', timing: 'after', state: 'not-set' }]),
  },
  {
    name: 'distribute-next-policy',
    clause: ids.distributeNextPolicy('urn:next'),
    parameters: { policy: 'urn:next' },
    permits: { request: { action: 'distribute' }, ...after(nextPolicy('urn:next')) },
    denies: [
      { request: { action: 'distribute' }, ...none, because: /nextPolicy/ },
      { request: { action: 'distribute' }, ...after(nextPolicy('urn:other')), because: /nextPolicy/ },
      { ...after(nextPolicy('urn:next')), because: /no permission for use/ },
    ],
  },
  {
    name: 'restrict-artifact-state',
    clause: ids.restrictArtifactState([`${IDSC}ENCRYPTED`, `${IDSC}ANONYMIZED`]),
    parameters: { states: [`${IDSC}ENCRYPTED`, `${IDSC}ANONYMIZED`] },
    permits: stating(`${IDSC}ARTIFACT_STATE`, [`${IDSC}ANONYMIZED`, `${IDSC}ENCRYPTED`, `${IDSC}COMBINED`]),
    denies: [
      { because: /ARTIFACT_STATE/ },
      { ...stating(`${IDSC}ARTIFACT_STATE`, [`${IDSC}ENCRYPTED`]), because: /ARTIFACT_STATE/ },
    ],
  },
  {
    name: 'restrict-payment-sale',
    clause: ids.restrictPaymentSale(500, EURO),
    parameters: { amount: 500, currency: EURO },
    permits: after(paid('2020-01-01T00:00:00Z')),
    denies: [
      { ...none, because: /compensate/ },
      { ...after(paid('2026-05-01T00:00:00Z', 499)), because: /compensate/ },
      { ...after(paid('2026-05-01T00:00:00Z', 500, 'http://dbpedia.org/resource/Yen')), because: /compensate/ },
    ],
  },
  {
    name: 'restrict-payment-rent',
    clause: ids.restrictPaymentRent(500, EURO, 'http://purl.org/cld/freq/annual'),
    parameters: { amount: 500, currency: EURO, period: 'http://purl.org/cld/freq/annual' },
    permits: after(paid('2026-01-01T00:00:00Z')),
    denies: [
      { ...none, because: /compensate/ },
      { ...after(paid('2025-05-31T00:00:00Z')), because: /compensate/ },
    ],
  },
  {
    name: 'restrict-state',
    clause: ids.restrictState('emergency'),
    parameters: { state: 'emergency' },
    permits: stating(`${IDSC}STATE`, 'emergency'),
    denies: [{ because: /STATE/ }, { ...stating(`${IDSC}STATE`, 'normal'), because: /STATE/ }],
  },
  {
    name: 'restrict-location-of-participant',
    clause: ids.restrictLocationOfParticipant('urn:group', [DE]),
    parameters: { participants: 'urn:group', locations: [DE] },
    permits: {
      state: {
        memberships: { [CONSUMER]: ['urn:group'] },
        descriptions: { [CONSUMER]: { 'http://www.w3.org/2006/vcard/ns#hasGeo': DE } },
      },
    },
    denies: [
      { because: /urn:group/ },
      { state: { memberships: { [CONSUMER]: ['urn:group'] } }, because: /urn:group/ },
      {
        state: {
          memberships: { [CONSUMER]: ['urn:group'] },
          descriptions: { [CONSUMER]: { 'http://www.w3.org/2006/vcard/ns#hasGeo': 'http://ontologi.es/place/FR' } },
        },
        because: /urn:group/,
      },
    ],
  },
  {
    name: 'obtain-consent',
    clause: ids.obtainConsent('urn:sara'),
    parameters: { party: 'urn:sara' },
    permits: after(done('obtainConsent', '2026-05-01T00:00:00Z', { consentingParty: 'urn:sara' })),
    denies: [
      { ...none, because: /obtainConsent/ },
      {
        ...after(done('obtainConsent', '2026-05-01T00:00:00Z', { consentingParty: 'urn:john' })),
        because: /obtainConsent/,
      },
    ],
  },
  {
    name: 'restrict-data-classification',
    clause: ids.restrictDataClassification('urn:data', ['health', 'traffic']),
    parameters: { collection: 'urn:data', classifications: ['health', 'traffic'] },
    permits: classified(['health']),
    denies: [
      { request: { target: 'urn:flights' }, because: /urn:data/ },
      { ...classified(['health', 'secret']), because: /urn:data/ },
    ],
  },
  {
    name: 'anonymize-with-mpc',
    clause: ids.anonymizeWithMpc('SUM'),
    parameters: { function: 'SUM' },
    permits: after(done(`${IDSC}MPC`, '2026-05-01T00:00:00Z', { [`${IDSC}MPC_FUNCTION`]: 'SUM' })),
    denies: [
      { ...none, because: /MPC/ },
      { ...after(done(`${IDSC}MPC`, '2026-05-01T00:00:00Z', { [`${IDSC}MPC_FUNCTION`]: 'MAX' })), because: /MPC/ },
    ],
  },
];

function classified(classes: readonly string[]): Try {
  return {
    request: { target: 'urn:flights' },
    state: {
      memberships: { 'urn:flights': ['urn:data'] },
      descriptions: { 'urn:flights': { 'http://www.w3.org/2004/02/skos/core#concept': classes } },
    },
  };
}

/** The agreement that is made of an offer. Rules that name their own consumer or asset keep them. */
function agreed(offer: OfferJson, name: string): OfferJson {
  const own = {
    'restrict-consumer': 'assignee',
    'restrict-location-of-participant': 'assignee',
    'restrict-data-classification': 'target',
  };
  const { [own[name as keyof typeof own] ?? '']: _, ...rest } = agreement({});
  return { ...rest, ...offer, '@type': 'Agreement' };
}

describe.each(cases)('IDS class $name', ({ name, clause, parameters, permits, denies, more }) => {
  const offer = ids.idsOffer([clause]);
  const decide = ({ request = {}, state = {} }: Try) =>
    decideBy(agreed(offer, name), useRequest(request), { ...nothingSpent, ...state });

  test('has a template that says the same as its builder', () => {
    expect(sameRules(instantiate(template(name), parameters), offer)).toBe(true);
    expect(problemsOf(parsePolicy(offer))).toEqual([]);
  });

  test('permits what it is meant to permit', () => {
    const decision = decide(permits);
    expect(decision.reasons.join(' ')).toMatch(/^The agreement permits/);
    expect(decision.permit).toBe(true);
    more?.(decide);
  });

  test('denies everything else', () => {
    for (const { because, ...attempt } of denies) {
      const decision = decide(attempt);
      expect(decision.permit).toBe(false);
      expect(decision.reasons.join(' ')).toMatch(because);
    }
  });
});

test('there are 25 classes, each with a template', () => {
  const files = readdirSync(library).map((file) => file.replace(/\.json$/, ''));
  expect(files.sort()).toEqual(cases.map(({ name }) => name).sort());
  expect(files).toHaveLength(25);
});

describe('several classes in one offer', () => {
  test('all count', () => {
    const offer = ids.idsOffer(
      [ids.restrictPurpose([PURPOSE]), ids.restrictNumberOfUsage(2), ids.deleteData('2027-01-01T00:00:00Z')],
      { id: 'urn:offer' },
    );
    expect(offer).toMatchObject({ '@id': 'urn:offer' });
    const decide = (request: Partial<UsageRequest>, uses: number) =>
      decideBy(agreed(offer, ''), useRequest(request), spentSoFar({ uses }));
    expect(decide({}, 1).permit).toBe(true);
    expect(decide({}, 1).duties).toHaveLength(1);
    expect(decide({}, 2).permit).toBe(false);
    expect(decide({ purpose: `${DPV}Marketing` }, 0).permit).toBe(false);
  });

  test('that both say who may use are refused', () => {
    expect(() => ids.idsOffer([ids.restrictConsumer('urn:a'), ids.restrictConsumer('urn:b')])).toThrow(PolicyError);
  });

  test('without any is an offer to use', () => {
    expect(sameRules(ids.idsOffer([]), rowsOffer({}))).toBe(true);
  });
});
