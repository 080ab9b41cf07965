/** What each example of the IDS usage-control classes says, as uses that it permits and uses that it does not. */
import type { UsageEvent, UsageRequest, UsageState, Values } from '@foedus/usage-policies';

export interface Use {
  readonly permit: boolean;
  readonly request?: Partial<UsageRequest>;
  readonly state?: Partial<UsageState>;
  /** Duties that the decision reports, by action. */
  readonly duties?: readonly string[];
  /** A pattern that one of the reasons matches. */
  readonly reason?: RegExp;
}

export interface Expectation {
  /** The user that the policy names; for an offer, whoever accepts it. */
  readonly assignee: string;
  readonly target?: string;
  readonly uses: readonly Use[];
}

const CODE = 'https://w3id.org/idsa/code/';
const EURO = 'http://dbpedia.org/resource/Euro';
const ODRL_USER = 'http://example.com/ids/party/456';
const IDS_USER = 'http://example.com/ids/party/consumer-party';

/** Of the policies written in ODRL. */
const odrl = (...uses: Use[]): Expectation => ({
  assignee: ODRL_USER,
  target: 'http://example.com/ids/data/789',
  uses,
});
/** Of the policies written in the terms of the IDS information model. */
const ids = (...uses: Use[]): Expectation => ({
  assignee: IDS_USER,
  target: 'http://example.com/ids/data/d1234',
  uses,
});
const plan = (...uses: Use[]): Expectation => ({
  ...ids(...uses),
  target: 'http://example.com/ids-data/production-plan',
});

const yes = (values: Values, more: Partial<UsageRequest> = {}): Use => ({ permit: true, request: { values, ...more } });
const no = (values: Values, more: Partial<UsageRequest> = {}): Use => ({ permit: false, request: { values, ...more } });
const at = (moment: string) => new Date(moment);
const done = (action: string, values: Values, when = '2022-06-15T00:00:00Z'): Omit<UsageEvent, 'by'> => ({
  action,
  at: at(when),
  values,
});
/** A history of the user's own events. */
const after = (by: string, ...events: Omit<UsageEvent, 'by'>[]) => ({
  history: events.map((event) => ({ ...event, by })),
});

/** `name` is one of `right`, and nothing else is. */
const only = (name: string, right: readonly string[], more: Partial<UsageRequest> = {}): Use[] => [
  ...right.map((value) => yes({ [name]: value }, more)),
  no({ [name]: 'urn:something-else' }, more),
  no({}, more),
];
const forPurposes = (...right: string[]): Use[] => [
  ...right.map((purpose): Use => ({ permit: true, request: { purpose } })),
  { permit: false, request: { purpose: 'urn:something-else' } },
  { permit: false },
];
const replaced = { [`${CODE}REPLACE_WITH`]: 'xxxx', [`${CODE}JSON_PATH`]: '$.name' };
const modifiedBefore = (by: string): Use[] => [
  { permit: false, reason: /duty to .*REPLACE is not fulfilled/, duties: [`${CODE}REPLACE`] },
  { permit: true, state: after(by, done(`${CODE}REPLACE`, replaced)) },
  { permit: false, state: after(by, done(`${CODE}REPLACE`, { ...replaced, [`${CODE}JSON_PATH`]: '$.age' })) },
  { permit: false, state: after('urn:somebody-else', done(`${CODE}REPLACE`, replaced)) },
];
const paid = (amount: number, when: string, unit = EURO) =>
  done('compensate', { payAmount: { value: amount, unit } }, when);
const paidOnce: Use[] = [
  { permit: false },
  { permit: true, state: after(ODRL_USER, paid(500, '2021-01-01T00:00:00Z')) },
  { permit: false, state: after(ODRL_USER, paid(499, '2022-06-01T00:00:00Z')) },
  { permit: false, state: after(ODRL_USER, paid(500, '2022-06-01T00:00:00Z', 'http://dbpedia.org/resource/Yen')) },
];
const paidEveryYear: Use[] = [
  { permit: false },
  { permit: true, state: after(ODRL_USER, paid(500, '2022-01-01T00:00:00Z')) },
  { permit: false, state: after(ODRL_USER, paid(500, '2021-01-01T00:00:00Z')) },
];

/** By file name without `-example.json`; those that are not JSON are not here. */
export const EXPECTATIONS: Readonly<Record<string, Expectation>> = {
  'pc1-odrl-restrict-consumer': odrl(
    { permit: true },
    { permit: true, request: { action: 'distribute' } },
    { permit: false, request: { action: 'sell' } },
    { permit: false, request: { assignee: 'urn:somebody-else' } },
  ),
  'pc1-ids-restrict-consumer': ids({ permit: true }, { permit: false, request: { assignee: 'urn:somebody-else' } }),
  'pc2-odrl-restrict-connector': odrl(
    ...only(`${CODE}CONNECTOR`, ['?connector1URI', '?connector2URI'], { action: 'display' }),
    no({ [`${CODE}CONNECTOR`]: '?connector1URI' }, { action: 'use' }),
  ),
  'pc2-ids-restrict-connector': ids(...only(`${CODE}CONNECTOR`, ['?connector1URI', '?connector2URI'])),
  'pc3-odrl-restrict-application': odrl(...only(`${CODE}APPLICATION`, ['?DataAppURI'], { action: 'execute' })),
  'pc3-ids-restrict-application': ids(
    ...only(`${CODE}APPLICATION`, [
      'http://example.com/ids/application/smart-app1',
      'http://example.com/ids/application/smart-app2',
    ]),
  ),
  'pc4-odrl-restrict-user-role-example2': odrl(...only(`${CODE}ROLE`, ['?userRole'], { action: 'execute' })),
  'pc4-ids-restrict-user-role': ids(...only(`${CODE}ROLE`, ['?userRole'])),
  'pc5-odrl-restrict-location-of-usage': odrl(...only('spatial', ['http://ontologi.es/place/DE'])),
  'pc5-odrl-restrict-location-of-usage-example2': odrl(...only('spatial', ['http://ontologi.es/place/DE'])),
  'pc5-ids-restrict-location-of-usage': ids(...only('spatial', ['http://ontologi.es/place/DE'])),
  'pc6-odrl-restrict-purpose': odrl(...forPurposes('Research')),
  'pc6-odrl-restrict-purpose-example2': odrl(...forPurposes('Educational Use', 'Risk Management', 'Defect Analysis')),
  'pc6-odrl-restrict-purpose-example3': odrl(...forPurposes('Research')),
  'pc6-ids-restrict-purpose': ids(...forPurposes('http://example.com/ids/purpose/marketing')),
  'pc7-odrl-restrict-event': odrl(...during('Hannover Messe 2022')),
  'pc7-ids-restrict-event': ids(...during('http://example.com/ids/event/exhibition')),
  'pc8-odrl-restrict-security-level': odrl(
    ...only(`${CODE}SECURITY_LEVEL`, ['idsc:TRUST_PLUS_SECURITY_PROFILE', 'idsc:TRUST_SECURITY_PROFILE'], {
      action: 'derive',
    }),
  ),
  'pc8-ids-restrict-security-level': ids(
    ...only(`${CODE}SECURITY_LEVEL`, ['idsc:TRUST_PLUS_SECURITY_PROFILE', 'idsc:TRUST_SECURITY_PROFILE']),
  ),
  'pc9-odrl-restrict-time-interval': odrl(
    { permit: false, request: { at: at('2022-05-31T08:00:00Z') } },
    { permit: true, request: { at: at('2022-06-01T08:00:00Z') } },
    { permit: true, request: { at: at('2022-10-01T08:00:00Z') } },
    { permit: false, request: { at: at('2022-10-01T08:00:01Z') } },
  ),
  'pc10-odrl-restrict-duration-offer': odrl(
    { permit: true },
    { permit: true, state: after(ODRL_USER, done('use', {}, '2022-04-02T00:00:00Z')) },
    { permit: false, state: after(ODRL_USER, done('use', {}, '2022-03-31T00:00:00Z')) },
  ),
  'pc10-ids-restrict-duration-offer': ids(
    { permit: true, state: after(IDS_USER, done('use', {}, '2020-04-02T00:00:00Z')) },
    { permit: false, state: after(IDS_USER, done('use', {}, '2020-03-31T00:00:00Z')) },
  ),
  'pc11-odrl-restrict-number-of-usage': odrl(...times(10)),
  'pc11-ids-restrict-number-of-usage': ids(...times(30)),
  'pc12-odrl-delete-data': odrl({ permit: true, request: { action: 'print' }, duties: ['delete'] }),
  'pc12-odrl-delete-data-example2': odrl(
    { permit: true, duties: ['delete'] },
    { permit: false, request: { at: at('2023-10-02T00:00:00Z') }, reason: /duty to delete was not fulfilled in time/ },
  ),
  'pc12-ids-delete-data': plan({ permit: true, duties: ['delete'] }),
  'pc13-odrl-modify-in-transit': odrl(...modifiedBefore(ODRL_USER)),
  'pc13-ids-modify-in-transit': { assignee: IDS_USER, uses: modifiedBefore(IDS_USER) },
  'pc14-ids-modify-in-rest': ids({ permit: false, reason: /no permission for use/, duties: ['anonymize'] }),
  'pc15-odrl-log-usage-information': odrl({ permit: true, duties: [`${CODE}LOG`] }),
  'pc15-ids-log-usage-information': plan({ permit: true, duties: [`${CODE}LOG`] }),
  'pc16-odrl-notify-party': odrl({ permit: true, duties: ['inform'] }),
  'pc16-ids-notify-party': plan({ permit: true, duties: ['inform'] }),
  'pc17-ids-distribute-next-policy': plan(
    { permit: false, request: { action: 'distribute' }, reason: /duty to nextPolicy is not fulfilled/ },
    {
      permit: true,
      request: { action: 'distribute' },
      state: after(
        IDS_USER,
        done('nextPolicy', { [`${CODE}TARGET_POLICY`]: 'http://example.com/policy/modify-in-transit/42' }),
      ),
    },
  ),
  'pc18-ids-restrict-artifact-state': ids(...only(`${CODE}ARTIFACT_STATE`, ['idsc:ENCRYPTED'])),
  'pc19-odrl-restrict-payment-sale': odrl(...paidOnce),
  'pc19-odrl-restrict-payment-sale-example2': odrl(...paidOnce),
  'pc19-ids-restrict-payment-sale': ids(
    { permit: false },
    { permit: true, state: after(IDS_USER, paid(500, '2021-01-01T00:00:00Z')) },
  ),
  'pc20-odrl-restrict-payment-rent': odrl(...paidEveryYear),
  'pc20-odrl-restrict-payment-rent-example2': odrl(...paidEveryYear),
  // Its fee is a blank to be filled in: it permits nothing, and says so.
  'pc20-ids-restrict-payment-rent': ids({
    permit: false,
    reason: /payAmount cannot be checked: \?fee is not a number/,
  }),
  'pc21-odrl-restrict-state': odrl(...only(`${CODE}STATE`, ['emergency'])),
  'pc21-ids-restrict-state': ids(...only(`${CODE}STATE`, ['emergency'])),
  'odrl-complex-policy': odrl(...complexOdrl()),
  'ids-complex-policy': { ...ids(...complexIds()), target: 'http://example.com/ids/data/1234' },
};

function during(event: string): Use[] {
  const period = (from: string, to: string) => ({ events: { [event]: { from: at(from), to: at(to) } } });
  return [
    { permit: true, state: period('2022-06-30T00:00:00Z', '2022-07-02T00:00:00Z') },
    { permit: false, state: period('2022-07-02T00:00:00Z', '2022-07-04T00:00:00Z') },
    { permit: false, state: period('2022-06-02T00:00:00Z', '2022-06-04T00:00:00Z') },
    { permit: false },
  ];
}

function times(limit: number): Use[] {
  const spent = (uses: number) => ({ spent: { uses, rounds: 0, epsilon: 0 } });
  return [
    { permit: true, state: spent(limit - 1) },
    { permit: false, state: spent(limit), reason: /number of uses is spent/ },
  ];
}

function complexOdrl(): Use[] {
  const right = { [`${CODE}CONNECTOR`]: '?connector1URI', [`${CODE}SECURITY_LEVEL`]: 'idsc:TRUST_SECURITY_PROFILE' };
  const modified = after(ODRL_USER, done(`${CODE}REPLACE`, replaced));
  return [
    { permit: true, request: { action: 'display', values: right }, state: modified },
    { permit: false, request: { action: 'display', values: right } },
    { permit: false, request: { action: 'use', values: right }, state: modified },
    { permit: false, request: { action: 'display', values: { ...right, [`${CODE}CONNECTOR`]: 'x' } }, state: modified },
    { permit: false, request: { action: 'display', values: right, at: at('2022-10-02T00:00:00Z') }, state: modified },
  ];
}

function complexIds(): Use[] {
  const right = {
    values: { [`${CODE}CONNECTOR`]: 'http://example.com/ids/connector/34' },
    purpose: 'http://example.com/ids/purpose/Marketing',
  };
  const modified = after(IDS_USER, done(`${CODE}REPLACE`, replaced));
  const spent = { uses: 10, rounds: 0, epsilon: 0 };
  return [
    {
      permit: true,
      request: right,
      state: modified,
      duties: [`${CODE}REPLACE`, 'delete', `${CODE}INCREMENT_COUNTER`, `${CODE}LOG`, 'inform'],
    },
    { permit: false, request: right },
    { permit: false, request: { ...right, purpose: 'urn:something-else' }, state: modified },
    { permit: false, request: right, state: { ...modified, spent } },
    { permit: false, request: { ...right, action: 'distribute' }, state: modified, reason: /forbids distribute/ },
    { permit: false, request: { ...right, at: at('2023-05-01T00:00:00Z') }, state: modified },
  ];
}
