import { describe, expect, test } from 'vitest';
import {
  CONSUMER,
  PURPOSE,
  agreement,
  constraint,
  decideBy,
  decideByOne,
  ours,
  permission,
  spentSoFar,
  trainRequest,
  useRequest,
} from './agreement.fixture.ts';
import { TRAIN } from './terms.ts';

describe('what permits', () => {
  test('an agreement with a permission for the action, to its assignee', () => {
    const decision = decideBy(agreement({ permission: [permission('use')] }), useRequest());
    expect(decision).toMatchObject({
      permit: true,
      exhausted: false,
      plan: { columns: 'all', rowFilter: null },
      charges: [{ meter: 'uses', amount: 1, limit: null }],
    });
    expect(decision.policyDigest).toMatch(/^[0-9a-f]{64}$/);
  });

  test('a Set, to everybody whom it does not exclude', () => {
    expect(decideBy({ permission: { action: 'use' } }, useRequest()).permit).toBe(true);
    expect(decideBy({ assignee: 'did:web:other.example', permission: { action: 'use' } }, useRequest()).permit).toBe(
      false,
    );
  });

  test('the action under any of its names', () => {
    for (const action of ['odrl:use', 'http://www.w3.org/ns/odrl/2/use']) {
      expect(decideByOne('use', [], useRequest({ action })).permit).toBe(true);
    }
    expect(decideByOne(TRAIN, [], trainRequest({}, { action: 'foedus:train' })).permit).toBe(true);
  });
});

describe('what never permits', () => {
  test('an offer', () => {
    const offer = { '@id': 'urn:offer', '@type': 'Offer', assignee: CONSUMER, permission: [{ action: 'use' }] };
    expect(decideBy(offer, useRequest())).toMatchObject({
      permit: false,
      reasons: ['An offer permits nothing: it has to become an agreement first.'],
    });
  });

  test('an agreement without a permission for the action', () => {
    expect(decideBy(agreement({}), useRequest()).reasons).toEqual(['The agreement gives no permission for use.']);
    expect(decideByOne('use', [], trainRequest()).reasons).toEqual(['The agreement gives no permission for training.']);
    expect(decideByOne(TRAIN, [], useRequest()).permit).toBe(false);
  });

  test('an agreement with somebody else', () => {
    expect(decideByOne('use', [], useRequest({ assignee: 'did:web:other.example' })).reasons).toEqual([
      'The agreement is with did:web:consumer.example, not with did:web:other.example.',
    ]);
  });

  test('an agreement that does not say with whom it is', () => {
    const { assignee: _, ...nobody } = agreement({ permission: [{ action: 'use' }] });
    expect(decideBy(nobody, useRequest()).permit).toBe(false);
    const inRule = { ...nobody, permission: [{ action: 'use', assignee: CONSUMER }] };
    expect(decideBy(inRule, useRequest()).permit).toBe(true);
    expect(decideBy(inRule, useRequest({ assignee: 'did:web:other.example' })).permit).toBe(false);
  });

  test('a request for an action that is not known', () => {
    const decision = decideByOne('use', [], useRequest({ action: 'urn:dance' }));
    expect(decision.permit).toBe(false);
    expect(decision.reasons[0]).toMatch(/action urn:dance is not known/);
  });

  test('a request to train that says nothing about the training', () => {
    const { training: _, ...bare } = trainRequest();
    expect(decideByOne(TRAIN, [], bare).permit).toBe(false);
  });

  test('a request at no time, or by nobody', () => {
    expect(decideByOne('use', [], useRequest({ at: new Date(Number.NaN) })).permit).toBe(false);
    expect(decideBy({ permission: { action: 'use' } }, useRequest({ assignee: '' })).permit).toBe(false);
  });
});

describe('a prohibition', () => {
  const both = (prohibition: unknown) => agreement({ permission: [permission('use')], prohibition: [prohibition] });

  test('that is active wins', () => {
    const decision = decideBy(both(permission('use', constraint('purpose', 'eq', PURPOSE))), useRequest());
    expect(decision.permit).toBe(false);
    expect(decision.reasons).toEqual([`The agreement forbids use when the purpose is ${PURPOSE}.`]);
    expect(decision.rules).toMatchObject([
      { kind: 'permission', active: true },
      { kind: 'prohibition', active: true },
    ]);
  });

  test('that does not apply leaves the permission', () => {
    const json = both(permission('use', constraint('purpose', 'eq', 'urn:marketing')));
    expect(decideBy(json, useRequest()).permit).toBe(true);
  });

  test('applies only when all its constraints hold', () => {
    const json = both(
      permission('use', constraint('purpose', 'eq', PURPOSE), constraint('dateTime', 'lt', '2020-01-01T00:00:00Z')),
    );
    expect(decideBy(json, useRequest()).permit).toBe(true);
  });

  test('of use forbids training too, one of training does not forbid use', () => {
    const training = agreement({ permission: [permission(TRAIN)], prohibition: [permission('use')] });
    expect(decideBy(training, trainRequest()).permit).toBe(false);
    expect(decideBy(both(permission(TRAIN)), useRequest()).permit).toBe(true);
  });

  test('for somebody else than the assignee of the policy is not understood, so it forbids', () => {
    expect(decideBy(both({ action: 'use', assignee: 'did:web:other.example' }), useRequest()).permit).toBe(false);
  });

  test('in a Set is for whom it names', () => {
    const set = { permission: { action: 'use' }, prohibition: { action: 'use', assignee: 'did:web:other.example' } };
    expect(decideBy(set, useRequest()).permit).toBe(true);
    expect(decideBy(set, useRequest({ assignee: 'did:web:other.example' })).permit).toBe(false);
  });
});

describe('several permissions', () => {
  const narrow = permission('use', ours('columns', 'isPartOf', ['a']), constraint('count', 'lteq', '1'));
  const wide = permission('use', ours('columns', 'isPartOf', ['b', 'c']), constraint('purpose', 'eq', PURPOSE));
  const json = agreement({ permission: [narrow, wide] });

  test('are never put together to grant one request', () => {
    expect(decideBy(json, useRequest({ columns: ['a', 'b'] })).permit).toBe(false);
    expect(decideBy(json, useRequest({ columns: ['c', 'b'] })).permit).toBe(true);
  });

  test('grant by the first that grants the whole request, under its limits', () => {
    expect(decideBy(json, useRequest()).plan?.columns).toEqual(['a']);
    expect(decideBy(json, useRequest()).charges).toEqual([{ meter: 'uses', amount: 1, limit: 1 }]);
    expect(decideBy(json, useRequest(), spentSoFar({ uses: 1 })).plan?.columns).toEqual(['b', 'c']);
  });

  test('say which of them refuses why', () => {
    const { reasons } = decideBy(json, useRequest({ columns: ['d'] }));
    expect(reasons).toEqual([
      'Permission 1: Column d is not granted: the agreement grants a.',
      'Permission 2: Column d is not granted: the agreement grants b, c.',
    ]);
  });
});

describe('exhausted', () => {
  const constraints = [constraint('count', 'lteq', '1'), ours('columns', 'isPartOf', ['a'])];

  test('is said when only a spent meter is in the way', () => {
    expect(decideByOne('use', constraints, useRequest(), spentSoFar({ uses: 1 })).exhausted).toBe(true);
  });

  test('is not said when something else is in the way too', () => {
    const spent = spentSoFar({ uses: 1 });
    const rules = agreement({ permission: [permission('use', ...constraints)] });
    expect(decideBy(rules, useRequest({ columns: ['b'] }), spent).exhausted).toBe(false);
    expect(decideBy(rules, useRequest({ assignee: 'did:web:other.example' }), spent).exhausted).toBe(false);
    expect(decideBy({ ...rules, prohibition: [{ action: 'use' }] }, useRequest(), spent).exhausted).toBe(false);
    expect(decideBy({ ...rules, '@type': 'Offer' }, useRequest(), spent).exhausted).toBe(false);
  });
});

describe('what is not understood', () => {
  const use = { action: 'use' };
  const rows: [string, Record<string, unknown>, RegExp][] = [
    ['a refinement of a permission', { ...use, refinement: [{}] }, /property refinement of a permission/],
    ['a duty of a permission', { ...use, duty: [{ action: 'urn:dance' }] }, /duty to urn:dance cannot be checked/],
    ['a permission of another target', { ...use, target: 'urn:other' }, /own target, urn:other/],
    ['a permission of another assigner', { ...use, assigner: 'urn:other' }, /own assigner/],
    ['a permission to another assignee', { ...use, assignee: 'urn:other' }, /own assignee/],
    ['a type of permission', { ...use, '@type': 'odrl:Duty' }, /type Duty/],
    ['any other property of a permission', { ...use, 'ids:x': 1 }, /property ids:x/],
    ['a property that every object of JavaScript has', { ...use, constructor: 1 }, /property constructor/],
    ['an action that says more', { action: { 'rdf:value': { '@id': 'odrl:use' }, implies: 'urn:x' } }, /says more/],
    ['a refinement', { action: { 'rdf:value': { '@id': 'odrl:use' }, refinement: [{}] } }, /without a left operand/],
    ['a part of a logical constraint', permission('use', { or: [constraint('urn:x', 'eq', PURPOSE)] }), /urn:x/],
    ['two logical constraints in one', permission('use', { or: [], and: [] }), /and and or at once/],
    ['a logical constraint', permission('use', { 'odrl:and': [] }), /constraint and /],
    ['a constraint by reference', permission('use', { '@id': 'urn:c' }), /without a left operand/],
    [
      'a constraint without operator',
      permission('use', { leftOperand: 'count', rightOperand: '1' }),
      /has no operator/,
    ],
    ['an operand', permission('use', constraint('weather', 'eq', 'fine')), /operand weather is not known/],
    ['an operand of ours', permission('use', ours('weather', 'eq', 'fine')), /foedus:weather is not known/],
    ['an operator', permission('use', constraint('purpose', 'within', PURPOSE)), /operator within/],
    ['a datatype', permission('use', constraint('count', 'lteq', { '@value': '9', '@type': 'urn:x' })), /urn:x/],
    [
      "a constraint's datatype",
      permission('use', { ...constraint('count', 'lteq', '9'), dataType: 'xsd:date' }),
      /datatype date/,
    ],
    ['a unit', permission('use', { ...constraint('count', 'lteq', '9'), unit: 'urn:dozen' }), /property unit/],
    ['a context inside a rule', { ...use, '@context': {} }, /property @context/],
  ];

  test.each(rows)('%s makes the permission inactive, with a reason that names it', (_, rule, reason) => {
    const decision = decideBy(agreement({ permission: [rule] }), useRequest());
    expect(decision.permit).toBe(false);
    expect(decision.exhausted).toBe(false);
    expect(decision.reasons.join(' ')).toMatch(reason);
  });

  test.each(rows)('%s makes a prohibition active', (_, rule) => {
    const json = agreement({ permission: [use], prohibition: [rule] });
    expect(decideBy(json, useRequest()).permit).toBe(false);
  });

  test('a prohibition of an unknown action forbids', () => {
    const decision = decideBy(agreement({ permission: [use], prohibition: [{ action: 'urn:dance' }] }), useRequest());
    expect(decision.permit).toBe(false);
    expect(decision.reasons.join(' ')).toMatch(/action urn:dance is not known/);
  });

  test('a permission that is not understood leaves the others', () => {
    expect(decideBy(agreement({ permission: [{ ...use, duty: [{}] }, use] }), useRequest()).permit).toBe(true);
  });

  test.each([
    ['an obligation', { obligation: [{ action: 'urn:dance' }] }, /obligation to urn:dance cannot be checked/],
    ['an inherited policy', { inheritFrom: 'urn:other' }, /property inheritFrom/],
    ['a conflict strategy', { conflict: 'urn:toss' }, /property conflict/],
    ['a profile', { profile: 'https://test.com/profile' }, /profile https:\/\/test.com\/profile is not known/],
    ['constraints of the whole policy', { constraint: [constraint('count', 'lteq', '1')] }, /property constraint/],
    ['a refined target', { target: { '@id': 'urn:flights', refinement: [{}] } }, /without a left operand/],
    ['any other property', { 'ids:contract': 'x' }, /property ids:contract/],
  ])('%s makes the whole policy permit nothing', (_, more, reason) => {
    const decision = decideBy(agreement({ permission: [use], ...more }), useRequest());
    expect(decision.permit).toBe(false);
    expect(decision.reasons.join(' ')).toMatch(reason);
  });

  test.each([
    ['our profile', { profile: 'https://w3id.org/foedus/policy' }],
    ["ODRL's core", { profile: [{ '@id': 'http://www.w3.org/ns/odrl/2/core' }] }],
    ['prohibitions that win', { conflict: { '@id': 'odrl:prohibit' } }],
    ['empty lists', { obligation: [], prohibition: [] }],
    ['a title', { 'dct:title': 'Flights' }],
    ['a context with other names', { '@context': ['https://x.example/', { edc: 'https://w3id.org/edc/v0.0.1/ns/' }] }],
    ['a rule that repeats parties and target', { permission: [{ ...use, target: 'urn:flights', assignee: CONSUMER }] }],
  ])('is not: %s', (_, more) => {
    expect(decideBy(agreement({ permission: [use], ...more }), useRequest()).permit).toBe(true);
  });
});

test('a reason repeats no control characters and no endless text of the other side', () => {
  const purpose = `a\n\u001b[31m${'x'.repeat(5000)}`;
  const { reasons } = decideByOne('use', [constraint('purpose', 'eq', PURPOSE)], useRequest({ purpose }));
  expect(reasons.join('')).not.toMatch(/\p{Cc}/u);
  expect(reasons.join('').length).toBeLessThan(1000);
});
