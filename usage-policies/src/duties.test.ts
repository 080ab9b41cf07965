import { describe, expect, test } from 'vitest';
import { CONSUMER, agreement, constraint, nothingSpent, useRequest } from './agreement.fixture.ts';
import { compile } from './compile.ts';
import { decide } from './decide.ts';
import type { Decision, UsageEvent, UsageRequest, UsageState } from './model.ts';
import type { DutyMode, PolicyOptions } from './options.ts';
import { parsePolicy } from './parse.ts';

const day = (date: string): Date => new Date(`${date}T00:00:00Z`);
const NOW = day('2026-06-01');
const EURO = 'http://dbpedia.org/resource/Euro';
const did = (action: string, date: string, more: Partial<UsageEvent> = {}): UsageEvent => ({
  action,
  by: CONSUMER,
  at: day(date),
  ...more,
});
const paid = (amount: number, date: string, more: Partial<UsageEvent> = {}): UsageEvent =>
  did('compensate', date, { values: { payAmount: { value: amount, unit: EURO } }, ...more });
const pay = (amount: string) => ({
  'rdf:value': { '@id': 'odrl:compensate' },
  refinement: [{ ...constraint('payAmount', 'eq', amount), unit: EURO }],
});
const until = (date: string) => constraint('dateTime', 'lteq', `${date}T00:00:00Z`);

interface Given {
  readonly policy: Record<string, unknown>;
  readonly history?: readonly UsageEvent[];
  readonly state?: Partial<UsageState>;
  readonly request?: Partial<UsageRequest>;
  readonly options?: PolicyOptions;
}

function decideBy({ policy, history = [], state = {}, request = {}, options = {} }: Given): Decision {
  const compiled = compile(parsePolicy(agreement(policy), options), options);
  return decide(compiled, useRequest({ at: NOW, ...request }), { ...nothingSpent, history, ...state });
}

/** The decision by a permission to use with one duty. */
const underDuty = (duty: unknown, history: readonly UsageEvent[] = [], more: Partial<Given> = {}): Decision =>
  decideBy({ policy: { permission: [{ action: 'use', duty: [duty] }] }, history, ...more });
const states = ({ duties }: Decision): string[] =>
  duties.map(({ kind, action, state }) => `${kind} ${action}: ${state}`);

describe('a duty of a permission', () => {
  test('has to be fulfilled before the use', () => {
    const duty = { action: pay('5.00') };
    const before = underDuty(duty);
    expect(before.permit).toBe(false);
    expect(before.reasons).toEqual(['The duty to compensate is not fulfilled.']);
    expect(before.rules[0]).toMatchObject({ active: false, premises: { duties: 'fails', constraints: 'holds' } });
    expect(states(before)).toEqual(['duty compensate: not-set']);
    const after = underDuty(duty, [paid(5, '2026-05-01')]);
    expect(after.permit).toBe(true);
    expect(states(after)).toEqual(['duty compensate: fulfilled']);
  });

  test.each<[string, UsageEvent]>([
    ['of another amount', paid(4.99, '2026-05-01')],
    ['in another currency', did('compensate', '2026-05-01', { values: { payAmount: 5 } })],
    ['by somebody else', paid(5, '2026-05-01', { by: 'did:web:other.example' })],
    ['after the request', paid(5, '2026-06-02')],
    ['on another asset', paid(5, '2026-05-01', { target: 'urn:trains' })],
    ['for another rule', paid(5, '2026-05-01', { rule: 'urn:duty:other' })],
    ['of another kind', did('attribute', '2026-05-01')],
    ['of a wider kind', did('use', '2026-05-01')],
  ])('is not fulfilled by an action %s', (_, event) => {
    expect(underDuty({ '@id': 'urn:duty', action: pay('5') }, [event]).permit).toBe(false);
  });

  test.each<[string, UsageEvent]>([
    ['on the asset', paid(5, '2026-05-01', { target: 'urn:flights' })],
    ['for this rule', paid(5, '2026-05-01', { rule: 'urn:duty' })],
    ['under a deprecated name', { ...paid(5, '2026-05-01'), action: 'odrl:pay' }],
    ['at the moment of the request', paid(5, '2026-06-01')],
  ])('is fulfilled by an action %s', (_, event) => {
    expect(underDuty({ '@id': 'urn:duty', action: pay('5') }, [event]).permit).toBe(true);
  });

  test('is fulfilled by an action that its own includes', () => {
    expect(underDuty({ action: 'reproduce' }, [did('extract', '2026-05-01')]).permit).toBe(true);
    expect(underDuty({ action: 'extract' }, [did('reproduce', '2026-05-01')]).permit).toBe(false);
  });

  test('may bind another party, by name or by role', () => {
    const other = 'did:web:other.example';
    for (const party of [{ assignee: other }, { compensatingParty: other }]) {
      const duty = { ...party, action: pay('5') };
      expect(underDuty(duty, [paid(5, '2026-05-01')]).permit).toBe(false);
      expect(underDuty(duty, [paid(5, '2026-05-01', { by: other })]).permit).toBe(true);
    }
  });

  test('for a party is not fulfilled for another one', () => {
    const duty = { action: 'compensate', compensatedParty: 'http://wwf.example' };
    const to = (party: string) => did('compensate', '2026-05-01', { values: { compensatedParty: party } });
    expect(underDuty(duty, [to('http://other.example')]).permit).toBe(false);
    expect(underDuty(duty, [to('http://wwf.example')]).permit).toBe(true);
  });

  test('without a record of anything is not fulfilled', () => {
    const { permit, reasons } = underDuty({ action: 'attribute' }, [], { state: { history: undefined } as object });
    expect(permit).toBe(false);
    expect(reasons[0]).toMatch(/there is no record of it/);
  });

  test('may be established elsewhere', () => {
    const duty = { '@id': 'urn:duty', action: 'attribute' };
    const by = (state: 'fulfilled' | 'violated' | 'not-set', dutyMode: DutyMode) =>
      underDuty(duty, [], { state: { duties: { 'urn:duty': state } }, options: { dutyMode } }).permit;
    expect([by('fulfilled', 'precondition'), by('not-set', 'precondition'), by('violated', 'precondition')]).toEqual([
      true,
      false,
      false,
    ]);
    expect([by('fulfilled', 'not-violated'), by('not-set', 'not-violated'), by('violated', 'not-violated')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('all have to be fulfilled, and one that several permissions share once', () => {
    const policy = {
      permission: [
        { action: 'use', duty: [{ '@id': 'urn:duty', action: 'attribute' }, { action: 'reviewPolicy' }] },
        { action: 'distribute', duty: { '@id': 'urn:duty' } },
      ],
    };
    const attributed = did('attribute', '2026-05-01');
    expect(decideBy({ policy, history: [attributed] }).permit).toBe(false);
    expect(decideBy({ policy, history: [attributed, did('reviewPolicy', '2026-05-01')] }).permit).toBe(true);
    expect(decideBy({ policy, history: [attributed], request: { action: 'distribute' } }).permit).toBe(true);
    expect(decideBy({ policy, request: { action: 'distribute' } }).permit).toBe(false);
  });

  test('whose constraints are not satisfied asks for nothing', () => {
    const duty = { action: 'attribute', constraint: constraint('spatial', 'eq', 'urn:eu') };
    expect(states(underDuty(duty, [], { request: { values: { spatial: 'urn:us' } } }))).toEqual([
      'duty attribute: inactive',
    ]);
    expect(underDuty(duty, [], { request: { values: { spatial: 'urn:us' } } }).permit).toBe(true);
    expect(underDuty(duty, [], { request: { values: { spatial: 'urn:eu' } } }).permit).toBe(false);
    // Nobody says where: it may be asked for.
    expect(underDuty(duty).permit).toBe(false);
  });

  test('is not one of a permission for somebody or something else', () => {
    const policy = { permission: [{ action: 'use' }, { action: 'sell', duty: [{ action: 'attribute' }] }] };
    expect(decideBy({ policy }).duties).toEqual([]);
  });
});

describe('when a duty is due', () => {
  const usage = (operator: string) => constraint('event', operator, { '@id': 'odrl:policyUsage' });

  test.each<[string, Record<string, unknown>, 'before' | 'after']>([
    ['a duty', { action: 'attribute' }, 'before'],
    ['to delete', { action: 'delete' }, 'after'],
    ['to inform', { action: 'inform' }, 'after'],
    ['to inform before the use', { action: 'inform', constraint: usage('lt') }, 'before'],
    ['to attribute after the use', { action: 'attribute', constraint: usage('gt') }, 'after'],
    ['to attribute with the use', { action: 'attribute', constraint: usage('eq') }, 'after'],
    ['to log', { action: 'idsc:LOG' }, 'after'],
  ])('%s: it is due %j the use', (_, duty, timing) => {
    const { permit, duties } = underDuty(duty);
    expect(duties).toMatchObject([{ timing, state: 'not-set' }]);
    expect(permit).toBe(timing === 'after');
  });

  test('IDS contracts say so themselves', () => {
    const contract = (property: string) =>
      decide(
        compile(
          parsePolicy({
            '@type': 'ids:ContractAgreement',
            '@id': 'urn:contract',
            'ids:consumer': CONSUMER,
            'ids:permission': [
              { 'ids:action': [{ '@id': 'idsc:USE' }], [property]: [{ 'ids:action': { '@id': 'idsc:ANONYMIZE' } }] },
            ],
          }),
        ),
        useRequest({ at: NOW }),
        { ...nothingSpent, history: [] },
      );
    expect(contract('ids:preDuty')).toMatchObject({
      permit: false,
      duties: [{ timing: 'before', action: 'anonymize' }],
    });
    expect(contract('ids:postDuty')).toMatchObject({ permit: true, duties: [{ timing: 'after' }] });
  });
});

describe('a duty with a time limit', () => {
  test('may be fulfilled within it, also when the use comes after it', () => {
    const duty = { action: 'attribute', constraint: until('2026-05-01') };
    expect(underDuty(duty, [did('attribute', '2026-04-01')]).permit).toBe(true);
  });

  test('is violated when it is over', () => {
    for (const duty of [
      { action: 'attribute', constraint: until('2026-05-01') },
      { action: { 'rdf:value': { '@id': 'odrl:attribute' }, refinement: until('2026-05-01') } },
      { action: 'delete', constraint: until('2026-05-01') },
    ]) {
      const late = underDuty(duty, [did('attribute', '2026-05-15'), did('delete', '2026-05-15')]);
      expect(late.permit).toBe(false);
      expect(late.reasons[0]).toMatch(/was not fulfilled in time/);
      expect(underDuty(duty, [], { options: { dutyMode: 'not-violated' } }).permit).toBe(false);
    }
  });

  test('is due until then', () => {
    const duty = { action: 'attribute', constraint: until('2026-07-01') };
    expect(states(underDuty(duty))).toEqual(['duty attribute: not-set']);
    expect(underDuty(duty, [], { options: { dutyMode: 'not-violated' } }).permit).toBe(true);
  });

  test('counts elapsed time from the first use that the duty is of', () => {
    const duty = { action: 'delete', constraint: constraint('elapsedTime', 'lteq', 'P30D') };
    expect(underDuty(duty, [did('use', '2026-05-20')]).permit).toBe(true);
    expect(underDuty(duty, [did('use', '2026-04-20')]).permit).toBe(false);
    expect(underDuty(duty, [did('use', '2026-04-20'), did('delete', '2026-05-01')]).permit).toBe(true);
    expect(underDuty(duty, [did('use', '2026-04-20'), did('delete', '2026-05-25')]).permit).toBe(false);
  });
});

describe('a consequence', () => {
  const late = { action: 'attribute', constraint: until('2026-05-01'), consequence: [{ action: pay('10') }] };

  test('is asked for once the duty was not fulfilled in time', () => {
    const duty = { ...late, constraint: until('2026-07-01') };
    expect(states(underDuty(duty))).toEqual(['duty attribute: not-set']);
    expect(states(underDuty(late))).toEqual(['duty attribute: violated', 'consequence compensate: not-set']);
  });

  test('and the duty itself, late, fulfil it together', () => {
    expect(underDuty(late, [paid(10, '2026-05-20')]).permit).toBe(false);
    expect(underDuty(late, [did('attribute', '2026-05-20')]).permit).toBe(false);
    const both = underDuty(late, [did('attribute', '2026-05-20'), paid(10, '2026-05-21')]);
    expect(both.permit).toBe(true);
    expect(states(both)).toEqual(['duty attribute: fulfilled', 'consequence compensate: fulfilled']);
  });

  test('is asked for too when somebody has established the violation', () => {
    const duty = { '@id': 'urn:duty', action: 'attribute', consequence: [{ action: pay('10') }] };
    const state = { duties: { 'urn:duty': 'violated' } } as const;
    expect(underDuty(duty, [did('attribute', '2026-05-01')], { state }).permit).toBe(false);
    const both = [did('attribute', '2026-05-01'), paid(10, '2026-05-21')];
    expect(underDuty(duty, both, { state }).permit).toBe(true);
  });

  test('is asked for from whoever used before the duty was fulfilled', () => {
    const duty = { action: 'attribute', consequence: [{ action: 'acceptTracking' }] };
    const early = [did('use', '2026-04-01'), did('attribute', '2026-05-01')];
    expect(states(underDuty(duty, early))).toEqual(['duty attribute: violated', 'consequence acceptTracking: not-set']);
    expect(underDuty(duty, early).permit).toBe(false);
    expect(underDuty(duty, [...early, did('acceptTracking', '2026-05-02')]).permit).toBe(true);
    // What was done before that is no answer to it.
    expect(underDuty(duty, [...early, did('acceptTracking', '2026-03-01')]).permit).toBe(false);
    const inTime = [did('attribute', '2026-03-01'), did('use', '2026-04-01')];
    expect(states(underDuty(duty, inTime))).toEqual(['duty attribute: fulfilled']);
  });

  test('of several all have to be fulfilled', () => {
    const duty = { ...late, consequence: [{ action: pay('10') }, { action: 'acceptTracking' }] };
    const history = [did('attribute', '2026-05-20'), paid(10, '2026-05-21')];
    expect(underDuty(duty, history).permit).toBe(false);
    expect(underDuty(duty, [...history, did('acceptTracking', '2026-05-22')]).permit).toBe(true);
  });

  test('has none of its own, nor has a remedy', () => {
    const nested = { ...late, consequence: [{ action: 'inform', consequence: [{ action: 'delete' }] }] };
    expect(underDuty(nested).reasons.join()).toMatch(/property consequence of a consequence is not supported/);
    const remedy = { action: 'inform', consequence: [{ action: 'delete' }] };
    const policy = { permission: [{ action: 'read' }], prohibition: [{ action: 'sell', remedy: [remedy] }] };
    expect(decideBy({ policy, request: { action: 'read' } }).reasons.join()).toMatch(
      /property consequence of a remedy/,
    );
  });
});

describe('an obligation', () => {
  const policy = { permission: [{ action: 'use' }], obligation: [{ '@id': 'urn:o', action: 'reviewPolicy' }] };

  test('is reported, and binds the assignee whatever is permitted', () => {
    const open = decideBy({ policy });
    expect(open).toMatchObject({
      permit: true,
      duties: [{ kind: 'obligation', id: 'urn:o', action: 'reviewPolicy', state: 'not-set', by: CONSUMER }],
    });
    expect(states(decideBy({ policy, history: [did('reviewPolicy', '2026-05-01')] }))).toEqual([
      'obligation reviewPolicy: fulfilled',
    ]);
    const byOther = [did('reviewPolicy', '2026-05-01', { by: 'did:web:other.example' })];
    expect(states(decideBy({ policy, history: byOther }))).toEqual(['obligation reviewPolicy: not-set']);
  });

  test('has consequences', () => {
    const obligation = [{ action: 'delete', constraint: until('2026-05-01'), consequence: [{ action: pay('10') }] }];
    const report = (...history: UsageEvent[]) => states(decideBy({ policy: { ...policy, obligation }, history }));
    expect(report()).toEqual(['obligation delete: violated', 'consequence compensate: not-set']);
    expect(report(did('delete', '2026-04-01'))).toEqual(['obligation delete: fulfilled']);
    expect(report(did('delete', '2026-05-10'), paid(10, '2026-05-11'))).toEqual([
      'obligation delete: fulfilled',
      'consequence compensate: fulfilled',
    ]);
  });

  test('that is not understood makes the policy permit nothing', () => {
    const { permit, reasons } = decideBy({ policy: { ...policy, obligation: [{ action: 'urn:dance' }] } });
    expect(permit).toBe(false);
    expect(reasons.join()).toMatch(/urn:dance is not known/);
  });
});

describe('a remedy', () => {
  const policy = {
    permission: [{ action: 'read' }],
    prohibition: [{ '@id': 'urn:p', action: 'index', target: 'urn:flights', remedy: [{ action: 'anonymize' }] }],
  };
  const read = (...history: UsageEvent[]) => decideBy({ policy, history, request: { action: 'read' } });
  const infringement = (decision: Decision) => decision.rules.find(({ id }) => id === 'urn:p')?.infringement;

  test('is asked for once the prohibition is infringed', () => {
    expect(infringement(read())).toBeUndefined();
    expect(read().duties).toEqual([]);
    const infringed = read(did('index', '2026-04-01'));
    expect(infringement(infringed)).toBe('infringed');
    expect(states(infringed)).toEqual(['remedy anonymize: not-set']);
    // The infringement is for the assigner to act on: what else is permitted stays so.
    expect(infringed.permit).toBe(true);
  });

  test('ends the infringement when it is fulfilled after it', () => {
    expect(infringement(read(did('index', '2026-04-01'), did('anonymize', '2026-04-02')))).toBe('remedied');
    expect(infringement(read(did('index', '2026-04-01'), did('anonymize', '2026-03-02')))).toBe('infringed');
    const again = [did('index', '2026-04-01'), did('anonymize', '2026-04-02'), did('index', '2026-04-03')];
    expect(infringement(read(...again))).toBe('infringed');
  });

  test('is not asked for by what was not prohibited', () => {
    expect(infringement(read(did('index', '2026-04-01', { by: 'did:web:other.example' })))).toBeUndefined();
    expect(infringement(read(did('index', '2026-04-01', { target: 'urn:trains' })))).toBeUndefined();
    expect(infringement(read(did('print', '2026-04-01')))).toBeUndefined();
    const since = { ...policy.prohibition[0], constraint: constraint('dateTime', 'gteq', '2026-05-01T00:00:00Z') };
    const decision = (date: string) =>
      decideBy({
        policy: { ...policy, prohibition: [since] },
        history: [did('index', date)],
        request: { action: 'read' },
      });
    expect(infringement(decision('2026-04-01'))).toBeUndefined();
    expect(infringement(decision('2026-05-02'))).toBe('infringed');
  });
});
