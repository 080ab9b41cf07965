import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FOEDUS } from '@foedus/usage-policies';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SignedAgreement } from '../management/model.ts';
import { agreementOf, constraint, may } from '../../../test/src/agreements.ts';
import { openDatabase } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import { createUsageControl, type UsageEvent } from './usage-control.ts';

const CONSUMER = 'did:web:pvd.example';
const TRAIN = `${FOEDUS}train`;

const mayUse = (...constraints: object[]) => may('use', ...constraints);
const mayTrain = (...constraints: object[]) => may(TRAIN, ...constraints);
const budget = (epsilon: number) =>
  constraint(`${FOEDUS}privacyBudget`, 'lteq', { epsilon: String(epsilon), delta: '0.00001' });

function controlOver(agreement: SignedAgreement, options: { path?: string; now?: () => Date } = {}) {
  const database = openDatabase(options.path ?? ':memory:', migrations);
  const events: UsageEvent[] = [];
  const usage = createUsageControl({
    database,
    agreements: { get: (id) => (id === agreement.id ? agreement : undefined) },
    clock: options.now ?? (() => new Date('2026-06-01T12:00:00Z')),
    events: (event) => events.push(event),
  });
  return { usage, database, events };
}

const training = (epsilon: number, round = 1) => ({
  action: TRAIN,
  training: {
    sessionId: 's',
    round,
    planHash: 'a'.repeat(64),
    cohort: 3,
    privacyLoss: { epsilon, delta: 1e-6 },
    metrics: [],
  },
});

const codeOf = (work: () => unknown): string => {
  try {
    work();
    return 'permitted';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('usage control', () => {
  const id = 'urn:agreement:1';
  const use = { action: 'use' };

  test('counts a reservation as spent until it is refunded', () => {
    const { usage } = controlOver(agreementOf([mayUse(constraint('count', 'lteq', '1'))]));
    const { entry } = usage.reserve({ agreementId: id, key: 'a', request: use });
    expect(codeOf(() => usage.reserve({ agreementId: id, key: 'b', request: use }))).toBe('budget-exhausted');
    expect(usage.refund(entry.id).state).toBe('refunded');
    const second = usage.reserve({ agreementId: id, key: 'b', request: use });
    expect(usage.commit(second.entry.id).state).toBe('committed');
    expect(usage.account(id)).toMatchObject({
      spent: { uses: 1, rounds: 0, epsilon: 0 },
      limits: { uses: 1, rounds: 0, epsilon: 0, delta: null },
      entries: [{ state: 'refunded' }, { state: 'committed' }],
    });
  });

  test('knows when the agreement was made, when it was used first and last, and by which connector', () => {
    let now = '2026-06-01T00:00:00Z';
    const after = (moment: string) => void (now = moment);
    const permitted = (...constraints: object[]) => {
      const { usage } = controlOver(agreementOf([mayUse(...constraints)]), { now: () => new Date(now) });
      return (key: string) => codeOf(() => usage.reserve({ agreementId: id, key, request: use }));
    };
    const withinMonth = permitted(constraint('elapsedTime', 'lteq', 'P1M'));
    expect(withinMonth('a')).toBe('permitted');
    after('2026-07-01T00:00:00Z');
    expect(withinMonth('b')).toBe('permitted');
    after('2026-07-01T00:00:01Z');
    expect(withinMonth('c')).toBe('not-permitted');

    const daily = permitted(constraint('timeInterval', 'eq', 'P1D'));
    expect(daily('a')).toBe('permitted');
    after('2026-07-02T00:00:00Z');
    expect(daily('b')).toBe('not-permitted');
    after('2026-07-02T00:00:01Z');
    expect(daily('c')).toBe('permitted');

    expect(permitted(constraint('delayPeriod', 'gteq', 'P6M'))('a')).toBe('permitted');
    expect(permitted(constraint('delayPeriod', 'gteq', 'P7M'))('a')).toBe('not-permitted');
    const connector = 'https://w3id.org/idsa/code/CONNECTOR';
    expect(permitted(constraint(connector, 'isPartOf', [CONSUMER]))('a')).toBe('permitted');
    expect(permitted(constraint(connector, 'isPartOf', ['did:web:other.example']))('a')).toBe('not-permitted');
  });

  test('says what an agreement asks of training, and decides rounds by the same', () => {
    const organisation = constraint(`${FOEDUS}privacyUnit`, 'gteq', 'organisation');
    const { usage } = controlOver(agreementOf([mayTrain(budget(4), organisation)]));
    expect(usage.trainingLimits(id)).toMatchObject({
      permitted: true,
      budget: { epsilon: 4, delta: 1e-5 },
      privacyUnit: 'organisation',
    });
    const round = training(0.1);
    const reserved = (privacyUnit: 'record' | 'organisation', key: string) =>
      codeOf(() =>
        usage.reserve({ agreementId: id, key, request: { ...round, training: { ...round.training, privacyUnit } } }),
      );
    expect(reserved('record', 'a')).toBe('not-permitted');
    expect(reserved('organisation', 'b')).toBe('permitted');
    expect(codeOf(() => usage.reserve({ agreementId: id, key: 'c', request: round }))).toBe('not-permitted');
    expect(usage.account(id).spent.rounds).toBe(1);
  });

  test('says of an agreement that cannot be read that it permits nothing', () => {
    const unreadable = agreementOf([mayTrain(constraint(`${FOEDUS}rounds`, 'lteq', 'many'))]);
    const { usage } = controlOver(unreadable);
    expect(() => usage.trainingLimits(id)).toThrow(/cannot be read, so it permits nothing/);
    expect(codeOf(() => usage.trainingLimits('urn:other'))).toBe('not-found');
  });

  test('does not count what was refunded as a use', () => {
    let now = '2026-06-01T00:00:00Z';
    const { usage } = controlOver(agreementOf([mayUse(constraint('timeInterval', 'eq', 'P1D'))]), {
      now: () => new Date(now),
    });
    const { entry } = usage.reserve({ agreementId: id, key: 'a', request: use });
    usage.refund(entry.id);
    now = '2026-06-01T01:00:00Z';
    expect(codeOf(() => usage.reserve({ agreementId: id, key: 'b', request: use }))).toBe('permitted');
  });

  test('takes what it knows for no proof of what it does not: a payment that is not on record forbids still', () => {
    const agreement = agreementOf([mayUse(constraint('elapsedTime', 'lteq', 'P1M'))]);
    const paid = { action: 'use', constraint: [constraint('payAmount', 'lt', '500')] };
    const { usage } = controlOver({ ...agreement, agreement: { ...agreement.agreement, prohibition: [paid] } });
    expect(codeOf(() => usage.reserve({ agreementId: id, key: 'a', request: use }))).toBe('not-permitted');
  });

  test('answers a key seen before with the same reservation and charges nothing again', () => {
    const { usage, events } = controlOver(agreementOf([mayUse(constraint('count', 'lteq', '5'))]));
    const first = usage.reserve({ agreementId: id, key: 'a', request: use, basis: { why: 'test' } });
    const again = usage.reserve({ agreementId: id, key: 'a', request: { action: 'use', purpose: 'urn:other' } });
    expect(again).toEqual(first);
    usage.commit(first.entry.id);
    expect(usage.commit(first.entry.id)).toMatchObject({ state: 'committed', basis: { why: 'test' } });
    expect(usage.reserve({ agreementId: id, key: 'a', request: use }).entry.state).toBe('committed');
    expect(usage.account(id).spent.uses).toBe(1);
    expect(events.map(({ type }) => type)).toEqual(['reserved', 'committed']);
  });

  test('lets the key of a used-up budget through again, because it is charged already', () => {
    const { usage } = controlOver(agreementOf([mayUse(constraint('count', 'lteq', '1'))]));
    const first = usage.reserve({ agreementId: id, key: 'a', request: use });
    expect(usage.reserve({ agreementId: id, key: 'a', request: use })).toEqual(first);
  });

  test('neither refunds what is committed nor commits what is refunded', () => {
    const { usage } = controlOver(agreementOf([mayUse()]));
    const kept = usage.reserve({ agreementId: id, key: 'a', request: use }).entry;
    usage.commit(kept.id);
    expect(codeOf(() => usage.refund(kept.id))).toBe('conflict');
    const returned = usage.reserve({ agreementId: id, key: 'b', request: use }).entry;
    usage.refund(returned.id);
    usage.refund(returned.id);
    expect(codeOf(() => usage.commit(returned.id))).toBe('conflict');
    expect(codeOf(() => usage.commit('unknown'))).toBe('not-found');
    expect(usage.account(id).spent.uses).toBe(1);
  });

  test('reserves and commits in one transaction where asked to, also what was only reserved before', () => {
    const { usage, events } = controlOver(agreementOf([mayUse(constraint('count', 'lteq', '2'))]));
    const first = usage.reserve({ agreementId: id, key: 'a', request: use, commit: true }).entry;
    expect(usage.reserve({ agreementId: id, key: 'a', request: use, commit: true }).entry).toEqual(first);
    const second = usage.reserve({ agreementId: id, key: 'b', request: use }).entry;
    const { entry } = usage.reserve({ agreementId: id, key: 'b', request: use, commit: true });
    expect(entry).toMatchObject({ id: second.id, state: 'committed' });
    expect(usage.account(id)).toMatchObject({
      spent: { uses: 2 },
      entries: [{ state: 'committed' }, { state: 'committed' }],
    });
    expect(events.map(({ type }) => type)).toEqual(['reserved', 'committed', 'reserved', 'committed']);
    expect(codeOf(() => usage.reserve({ agreementId: id, key: 'c', request: use, commit: true }))).toBe(
      'budget-exhausted',
    );
  });

  test('does not commit what was given back', () => {
    const { usage } = controlOver(agreementOf([mayUse()]));
    usage.refund(usage.reserve({ agreementId: id, key: 'a', request: use }).entry.id);
    expect(codeOf(() => usage.reserve({ agreementId: id, key: 'a', request: use, commit: true }))).toBe('conflict');
    expect(usage.account(id).entries).toMatchObject([{ state: 'refunded' }]);
  });

  test('keeps the accounts of two agreements apart, also for the same key', () => {
    const first = agreementOf([mayUse(constraint('count', 'lteq', '1'))]);
    const second = { ...first, id: 'urn:agreement:2', agreement: { ...first.agreement, '@id': 'urn:agreement:2' } };
    const database = openDatabase(':memory:', migrations);
    const agreements = { get: (wanted: string) => [first, second].find((one) => one.id === wanted) };
    const usage = createUsageControl({ database, agreements, clock: () => new Date() });
    const one = usage.reserve({ agreementId: first.id, key: 'a', request: use });
    const two = usage.reserve({ agreementId: second.id, key: 'a', request: use });
    expect(one.entry.id).not.toBe(two.entry.id);
    expect([usage.account(first.id).spent.uses, usage.account(second.id).spent.uses]).toEqual([1, 1]);
  });

  test('says every reason of a denial in one message', () => {
    const { usage, events } = controlOver(
      agreementOf([
        mayUse(
          constraint('purpose', 'eq', 'https://w3id.org/dpv#ResearchAndDevelopment'),
          constraint(`${FOEDUS}columns`, 'isPartOf', ['distance']),
        ),
      ]),
    );
    const request = { action: 'use', purpose: 'https://w3id.org/dpv#Marketing', columns: ['secret'] };
    const denied = () => usage.reserve({ agreementId: id, key: 'a', request });
    expect(codeOf(denied)).toBe('not-permitted');
    expect(denied).toThrow(/secret/);
    expect(denied).toThrow(/Marketing/);
    expect(usage.decide(id, request)).toMatchObject({ permit: false, plan: null });
    expect(usage.account(id).entries).toEqual([]);
    expect(events[0]).toMatchObject({ type: 'denied', key: 'a' });
  });

  test('takes time and assignee from the node, not from the request', () => {
    let now = new Date('2026-06-01T00:00:00Z');
    const ends = constraint('dateTime', 'lt', { '@value': '2026-06-02T00:00:00Z', '@type': 'xsd:dateTime' });
    const { usage } = controlOver(agreementOf([mayUse(ends)]), { now: () => now });
    expect(usage.decide(id, use).permit).toBe(true);
    now = new Date('2026-06-02T00:00:00Z');
    expect(usage.decide(id, use).permit).toBe(false);
    const { usage: foreign } = controlOver({ ...agreementOf([mayUse()]), assignee: 'did:web:tul.example' });
    expect(foreign.decide(id, use).permit).toBe(false);
  });

  test('decides only agreements that are in force', () => {
    const open = controlOver(agreementOf([mayUse()], { finalized: false })).usage;
    expect(codeOf(() => open.reserve({ agreementId: id, key: 'a', request: use }))).toBe('not-permitted');
    expect(codeOf(() => open.decide(id, use))).toBe('not-permitted');
    expect(codeOf(() => open.decide('urn:unknown', use))).toBe('not-found');
    expect(codeOf(() => open.account('urn:unknown'))).toBe('not-found');
  });

  test('decides uses of received data at the consumer, on an account of its own', () => {
    const twice = agreementOf([mayUse(constraint('count', 'lteq', '2'))]);
    const provider = controlOver(twice).usage;
    const consumer = controlOver({ ...twice, role: 'consumer' }).usage;
    provider.reserve({ agreementId: id, key: 'a', request: use });
    for (const key of ['a', 'b']) consumer.reserve({ agreementId: id, key, request: use });
    expect(codeOf(() => consumer.reserve({ agreementId: id, key: 'c', request: use }))).toBe('budget-exhausted');
    expect([provider.account(id).spent.uses, consumer.account(id).spent.uses]).toEqual([1, 2]);
  });

  test('permits nothing under a policy that cannot be read', () => {
    const agreement = agreementOf([mayUse()]);
    const { usage } = controlOver({ ...agreement, agreement: { ...agreement.agreement, permission: 'all' } });
    expect(codeOf(() => usage.reserve({ agreementId: id, key: 'a', request: use }))).toBe('not-permitted');
  });

  test('charges exactly ten tenths to a privacy budget of one', () => {
    const { usage } = controlOver(agreementOf([mayTrain(budget(1))]));
    for (let round = 1; round <= 10; round++) {
      usage.reserve({ agreementId: id, key: `train/s/${round}`, request: training(0.1, round) });
    }
    const eleventh = { agreementId: id, key: 'train/s/11', request: training(0.001, 11) };
    expect(codeOf(() => usage.reserve(eleventh))).toBe('budget-exhausted');
    expect(usage.account(id)).toMatchObject({
      spent: { rounds: 10 },
      limits: { uses: 0, rounds: null, epsilon: 1, delta: 1e-5 },
    });
  });

  test('keeps the digest of the policy that allowed a charge with the entry', () => {
    const { usage, database } = controlOver(agreementOf([mayUse()]));
    const { decision } = usage.reserve({ agreementId: id, key: 'a', request: use });
    const rows = database.sql.prepare('SELECT policy_digest FROM ledger_entry').all();
    expect(rows).toEqual([{ policy_digest: decision.policyDigest }]);
  });
});

describe('the ledger as a model', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'foedus-ledger-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const operation = fc.oneof(
    { weight: 4, arbitrary: fc.record({ type: fc.constant('use' as const), key: fc.nat(12) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('train' as const),
        key: fc.nat(12),
        epsilon: fc.double({ min: 0, max: 0.8, noNaN: true }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('commit' as const), which: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('refund' as const), which: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('restart' as const) }) },
  );

  test('never overspends and never loses a charge, whatever is asked in which order', () => {
    let run = 0;
    const LIMITS = { uses: 4, rounds: 6, epsilon: 1.5 };
    const agreement = agreementOf([
      mayUse(constraint('count', 'lteq', String(LIMITS.uses))),
      mayTrain(constraint(`${FOEDUS}rounds`, 'lteq', String(LIMITS.rounds)), budget(LIMITS.epsilon)),
    ]);
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const path = join(folder, `${run++}.db`);
        let { usage, database } = controlOver(agreement, { path });
        const model = new Map<string, { id: string; state: string; uses: number; rounds: number; epsilon: number }>();
        const spent = (meter: 'uses' | 'rounds' | 'epsilon') =>
          [...model.values()].reduce((sum, entry) => sum + (entry.state === 'refunded' ? 0 : entry[meter]), 0);
        for (const step of operations) {
          if (step.type === 'restart') {
            database.close();
            ({ usage, database } = controlOver(agreement, { path }));
          } else if (step.type === 'use' || step.type === 'train') {
            const key = `${step.type}/${step.key}`;
            const cost =
              step.type === 'use' ? { uses: 1, rounds: 0, epsilon: 0 } : { uses: 0, rounds: 1, epsilon: step.epsilon };
            const known = model.get(key);
            const fits =
              known !== undefined ||
              (spent('uses') + cost.uses <= LIMITS.uses &&
                spent('rounds') + cost.rounds <= LIMITS.rounds &&
                spent('epsilon') + cost.epsilon <= LIMITS.epsilon + 1e-9);
            const request = step.type === 'use' ? { action: 'use' } : training(step.epsilon);
            const outcome = codeOf(() => {
              const { entry } = usage.reserve({ agreementId: agreement.id, key, request });
              if (known !== undefined) expect(entry).toMatchObject({ id: known.id, state: known.state });
              else model.set(key, { id: entry.id, state: 'reserved', ...cost });
            });
            expect(outcome).toBe(fits ? 'permitted' : 'budget-exhausted');
          } else {
            const entry = [...model.values()][step.which];
            if (entry === undefined) continue;
            const wanted = step.type === 'commit' ? 'committed' : 'refunded';
            const possible = entry.state === 'reserved' || entry.state === wanted;
            const outcome = codeOf(() => (step.type === 'commit' ? usage.commit(entry.id) : usage.refund(entry.id)));
            expect(outcome).toBe(possible ? 'permitted' : 'conflict');
            if (possible) entry.state = wanted;
          }
          const account = usage.account(agreement.id);
          expect(account.spent.uses).toBe(spent('uses'));
          expect(account.spent.rounds).toBe(spent('rounds'));
          expect(account.spent.epsilon).toBeCloseTo(spent('epsilon'), 12);
          expect(account.spent.uses).toBeLessThanOrEqual(LIMITS.uses);
          expect(account.spent.epsilon).toBeLessThanOrEqual(LIMITS.epsilon + 1e-9);
        }
        database.close();
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});
