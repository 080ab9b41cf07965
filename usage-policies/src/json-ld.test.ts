/** Policies as JSON-LD writes them: names in any form, parts that refer to each other, values looked up elsewhere. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CONSUMER, PURPOSE, agreement, constraint, nothingSpent, ours, useRequest } from './agreement.fixture.ts';
import { compile, problemsOf, referencesOf } from './compile.ts';
import { decide } from './decide.ts';
import type { UsageRequest, UsageState } from './model.ts';
import type { PolicyOptions } from './options.ts';
import { parsePolicy } from './parse.ts';
import { parsePolicyText } from './parse-text.ts';
import { normalPolicy, normalRules } from './same-rules.ts';

const by = (policy: unknown, request: Partial<UsageRequest> = {}, options: PolicyOptions = {}) =>
  decide(compile(parsePolicy(policy, options), options), useRequest(request), { ...nothingSpent, history: [] });

describe('a prefix that the policy declares', () => {
  const ODRL = 'http://www.w3.org/ns/odrl/2/';
  const profiles = {
    'urn:profile': { actions: { 'http://ex.org/view': {} }, operands: { 'http://ex.org/age': 'numbers' } },
  } as const;

  test('is written out in names of properties, actions, operands, parties, values and datatypes', () => {
    const policy = {
      '@context': [
        'http://www.w3.org/ns/odrl.jsonld',
        {
          o: ODRL,
          ex: { '@id': 'http://ex.org/' },
          x: 'http://www.w3.org/2001/XMLSchema#',
          w: 'https://w3id.org/dpv#',
        },
      ],
      '@type': 'o:Set',
      'o:permission': {
        'o:action': { '@id': 'ex:view' },
        'o:assignee': 'ex:me',
        'o:constraint': [
          {
            'o:leftOperand': 'ex:age',
            'o:operator': 'o:gteq',
            'o:rightOperand': { '@value': '18', '@type': 'x:integer' },
          },
          { leftOperand: 'o:purpose', operator: 'eq', rightOperand: { '@id': 'w:Marketing' } },
        ],
      },
    };
    const request = {
      action: 'http://ex.org/view',
      assignee: 'http://ex.org/me',
      purpose: 'https://w3id.org/dpv#Marketing',
    };
    expect(problemsOf(parsePolicy(policy, { profiles }), { profiles })).toEqual([]);
    expect(by(policy, { ...request, values: { 'http://ex.org/age': 18 } }, { profiles }).permit).toBe(true);
    expect(by(policy, { ...request, values: { 'http://ex.org/age': 17 } }, { profiles }).permit).toBe(false);
  });

  test('leaves addresses and plain texts as they are', () => {
    const policy = {
      '@context': { http: 'urn:evil#', urn: 'urn:evil#' },
      permission: { action: 'use', target: 'http://x.example/', constraint: constraint('purpose', 'eq', 'urn:p') },
    };
    expect(by(policy, { target: 'http://x.example/', purpose: 'urn:p' }).permit).toBe(true);
  });
});

describe('a part that is named and said elsewhere', () => {
  const C1 = { '@id': 'urn:c1', ...constraint('media', 'eq', 'online') };
  const C2 = { '@id': 'urn:c2', ...constraint('media', 'eq', 'print') };

  test('may be a constraint or an operand of one', () => {
    const policy = agreement({
      permission: [
        { action: 'print', constraint: [C1, C2] },
        { action: 'use', constraint: { xone: { '@list': [{ '@id': 'urn:c1' }, { '@id': 'urn:c2' }] } } },
        { action: 'play', constraint: 'urn:c1' },
      ],
    });
    const on = (action: string, media: string) => by(policy, { action, values: { media } }).permit;
    expect([on('use', 'online'), on('use', 'print'), on('use', 'radio')]).toEqual([true, true, false]);
    expect([on('play', 'online'), on('play', 'radio')]).toEqual([true, false]);
  });

  test('is not understood where it is said nowhere, or twice and differently', () => {
    const both = agreement({
      permission: [
        { action: 'print', constraint: [C1, { ...C2, '@id': 'urn:c1' }] },
        { action: 'use', constraint: { '@id': 'urn:c1' } },
      ],
    });
    for (const media of ['online', 'print']) expect(by(both, { values: { media } }).permit).toBe(false);
    expect(by(agreement({ permission: [{ action: 'use', constraint: { '@id': 'urn:nowhere' } }] })).permit).toBe(false);
  });

  test('may not refer to itself, nor to ever more parts', () => {
    const circle = { '@id': 'urn:c', and: [{ '@id': 'urn:c' }] };
    expect(() => parsePolicy(agreement({ permission: [{ action: 'use', constraint: circle }] }))).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
    const bomb = Array.from({ length: 20 }, (_, at) => ({
      '@id': `urn:${at}`,
      or: [{ '@id': `urn:${at + 1}` }, { '@id': `urn:${at + 1}` }],
    }));
    const last = { '@id': 'urn:20', ...constraint('media', 'eq', 'online') };
    expect(() => parsePolicy(agreement({ permission: [{ action: 'use', constraint: [...bomb, last] }] }))).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
  });
});

describe('a right operand that is to be looked up', () => {
  const address = 'https://lists.example/allowed';
  const rule = { leftOperand: 'recipient', operator: 'isAnyOf', rightOperandReference: { '@id': address } };
  const policy = agreement({ permission: [{ action: 'use', constraint: rule }] });
  const to = (recipient: string, options: PolicyOptions) => by(policy, { values: { recipient } }, options);

  test('is listed for the operator', () => {
    expect(referencesOf(parsePolicy(policy))).toEqual([address]);
    const deep = agreement({
      permission: [{ action: 'use', duty: [{ action: 'inform', constraint: { or: [rule] } }] }],
    });
    expect(referencesOf(parsePolicy(deep))).toEqual([address]);
  });

  test('is not looked up unless the operator allows it', () => {
    const resolve = (): never => {
      throw new Error('looked up');
    };
    for (const options of [{}, { references: { allowed: ['https://lists.example/'], resolve } }]) {
      const { permit, reasons } = to('urn:a', options);
      expect(permit).toBe(false);
      expect(reasons.join()).toMatch(/https:\/\/lists\.example\/allowed, which the operator has not allowed/);
    }
  });

  test('is then what was found', () => {
    const found = (value: unknown): PolicyOptions => ({ references: { allowed: [address], resolve: () => value } });
    expect(to('urn:a', found(['urn:a', { '@id': 'urn:b' }])).permit).toBe(true);
    expect(to('urn:c', found(['urn:a', { '@id': 'urn:b' }])).permit).toBe(false);
    expect(to('urn:a', found(undefined)).reasons.join()).toMatch(/is not known/);
    expect(to('urn:a', found({ odd: 1 })).reasons.join()).toMatch(/cannot be checked/);
  });

  test('stands alone', () => {
    const both = agreement({ permission: [{ action: 'use', constraint: { ...rule, rightOperand: 'urn:a' } }] });
    expect(by(both, { values: { recipient: 'urn:a' } }).permit).toBe(false);
  });
});

describe('a profile', () => {
  const options: PolicyOptions = {
    profiles: {
      'urn:profile': {
        actions: { 'ex:view': { includedIn: 'display' } },
        operands: { 'foaf:age': 'numbers', 'ex:role': 'names' },
      },
    },
  };
  const policy = agreement({
    profile: 'urn:profile',
    permission: [
      { action: 'ex:view', constraint: [constraint('foaf:age', 'gt', '17'), constraint('ex:role', 'isA', 'urn:r')] },
    ],
  });
  const asked = { action: 'ex:view', values: { 'foaf:age': 18, 'ex:role': 'urn:r' } };

  test('that the operator knows adds actions and operands', () => {
    expect(by(policy, asked, options).permit).toBe(true);
    expect(by(policy, { ...asked, values: { ...asked.values, 'foaf:age': 17 } }, options).permit).toBe(false);
    expect(by(agreement({ permission: [{ action: 'display' }] }), asked, options).permit).toBe(true);
  });

  test('that nobody knows permits nothing, and names each of its terms', () => {
    const { permit, reasons } = by(policy, asked);
    expect(permit).toBe(false);
    expect(reasons.join()).toMatch(/profile urn:profile is not known.*ex:view is not known/);
    expect(problemsOf(parsePolicy(policy)).join()).toMatch(/foaf:age is not known.*ex:role is not known/);
  });

  test.each<[string, NonNullable<PolicyOptions['profiles']>]>([
    ['an action of ODRL', { 'urn:p': { actions: { 'odrl:use': {} } } }],
    ['an operand of ODRL', { 'urn:p': { operands: { 'odrl:count': 'names' } } }],
    [
      'an action that includes itself',
      { 'urn:p': { actions: { 'ex:a': { includedIn: 'ex:b' }, 'ex:b': { includedIn: 'ex:a' } } } },
    ],
    ['an action in nothing', { 'urn:p': { actions: { 'ex:a': { includedIn: 'ex:nothing' } } } }],
    ['an action that implies nothing known', { 'urn:p': { actions: { 'ex:a': { implies: ['ex:nothing'] } } } }],
  ])('cannot define %s', (_, profiles) => {
    expect(() => parsePolicy(agreement({}), { profiles })).toThrow(/defined|includes itself/);
  });
});

describe('the normal form', () => {
  const condition = fc.letrec((tie) => ({
    any: fc.oneof({ maxDepth: 3 }, { weight: 3, arbitrary: tie('one') }, tie('several')),
    one: fc.oneof(
      { weight: 8, arbitrary: fc.constant(constraint('dateTime', 'gteq', '2026-01-01')) },
      fc.constantFrom('eq', 'neq', 'isA', 'isAnyOf').map((operator) => constraint('purpose', operator, [PURPOSE])),
      fc
        .constantFrom('lt', 'gteq')
        .map((operator) => constraint('dateTime', operator, { '@value': '2026-03-01', '@type': 'xsd:date' })),
      fc.constant({ ...constraint('count', 'lteq', '2'), status: '1' }),
      fc.constant({ ...constraint('payAmount', 'gteq', '5'), unit: 'urn:euro', 'dct:frequency': 'monthly' }),
      fc.constant(constraint('spatial', 'isPartOf', ['urn:b', 'urn:a'])),
      fc.constant({ leftOperand: 'media', operator: 'eq', rightOperandReference: 'urn:elsewhere' }),
      fc.constant(constraint('weather', 'eq', 'fine')),
      fc.constant({ '@id': 'urn:nowhere' }),
    ),
    several: fc
      .tuple(fc.constantFrom('and', 'or', 'xone', 'andSequence'), fc.array(tie('any'), { maxLength: 3 }))
      .map(([logical, operands]) => ({ [logical]: operands })),
  })).any;
  const conditions = fc.array(condition, { maxLength: 2 });
  const action = fc.oneof(
    fc.constantFrom('use', 'odrl:print', 'urn:dance'),
    fc.record({ 'rdf:value': fc.constant('odrl:play'), refinement: conditions }),
  );
  const party = fc.oneof(
    fc.constantFrom(CONSUMER, 'urn:other', { '@id': CONSUMER }),
    fc.record({ source: fc.constant('urn:group'), refinement: conditions }),
  );
  const duty = fc.record(
    {
      '@id': fc.constant('urn:duty'),
      action: fc.constantFrom('delete', 'inform', 'compensate'),
      constraint: conditions,
      consequence: fc.constant([{ action: 'inform' }]),
      informedParty: fc.constant('urn:x'),
    },
    { requiredKeys: ['action'] },
  );
  const rule = fc.record(
    {
      '@id': fc.constantFrom('urn:r1', 'urn:r2'),
      action,
      assignee: party,
      target: fc.constantFrom('urn:a', ['urn:a', 'urn:b']),
      constraint: conditions,
    },
    { requiredKeys: ['action'] },
  );
  const policy = fc.record(
    {
      conflict: fc.constantFrom('perm', 'prohibit', 'invalid'),
      target: fc.constantFrom('urn:a', 'urn:b'),
      permission: fc
        .array(
          fc.record({
            rule,
            duty: fc.array(duty, { maxLength: 1 }),
            timing: fc.constantFrom('duty', 'ids:preDuty', 'ids:postDuty'),
          }),
          { maxLength: 2 },
        )
        .map((all) => all.map(({ rule: each, duty: duties, timing }) => ({ ...each, [timing]: duties }))),
      prohibition: fc.array(
        fc.tuple(rule, fc.array(duty, { maxLength: 1 })).map(([each, remedy]) => ({ ...each, remedy })),
        { maxLength: 1 },
      ),
      obligation: fc.array(duty, { maxLength: 1 }),
    },
    { requiredKeys: [] },
  );
  const event = fc.record({
    action: fc.constantFrom('use', 'compensate', 'inform', 'delete', 'play'),
    by: fc.constant(CONSUMER),
    at: fc.constantFrom(new Date('2026-01-01T00:00:00Z'), new Date('2026-05-01T00:00:00Z')),
  });
  const request = fc.record({
    action: fc.constantFrom('use', 'print', 'play'),
    target: fc.constantFrom('urn:a', 'urn:b'),
    values: fc.constantFrom({}, { spatial: 'urn:a', media: 'print', payAmount: { value: 6, unit: 'urn:euro' } }),
  });

  test('is its own normal form, and is decided by as the policy is', () => {
    let permitted = 0;
    let reported = 0;
    fc.assert(
      fc.property(policy, fc.array(event, { maxLength: 3 }), request, (json, history, asked) => {
        const parsed = parsePolicy(json);
        const normal = normalPolicy(parsed);
        expect(normalPolicy(parsePolicy(normal))).toEqual(normal);
        expect(normalRules(parsePolicy(normalRules(parsed)))).toEqual(normalRules(parsed));
        const state: UsageState = { ...nothingSpent, history, memberships: { [CONSUMER]: ['urn:group'] } };
        const decideBy = (which: unknown) => decide(compile(parsePolicy(which)), useRequest(asked), state);
        const [before, after] = [decideBy(json), decideBy(normal)];
        expect([after.permit, after.exhausted, after.void]).toEqual([before.permit, before.exhausted, before.void]);
        const statesOf = ({ duties }: typeof before) =>
          duties.map(({ kind, action: name, state: at, timing }) => [kind, name, at, timing].join()).sort();
        expect(statesOf(after)).toEqual(statesOf(before));
        if (before.permit) permitted += 1;
        if (before.duties.length > 0) reported += 1;
      }),
      { numRuns: 400, seed: 5 },
    );
    expect(permitted).toBeGreaterThan(5);
    expect(reported).toBeGreaterThan(20);
  });
});

test('a text that is not JSON is refused with the line and column', () => {
  expect(() => parsePolicyText('{\n  "permission": [,]\n}')).toThrow(/^\$: line 2, column 18 is not JSON: /);
  expect(() => parsePolicyText('nonsense')).toThrow(/line 1, column 1 is not JSON: expected a value$/);
  expect(() => parsePolicyText('{"permission": []')).toThrow(
    /column 18 is not JSON: the text ends, expected a comma or }/,
  );
  expect(() => parsePolicyText('{"@type": "Set",\n "permission": [], "permission": []}')).toThrow(
    /line 2, column 20 is not JSON: the property "permission" is there twice/,
  );
  expect(() => parsePolicyText('['.repeat(100_000))).toThrow(/the text ends, expected a value/);
  expect(() => parsePolicyText(' '.repeat(2_000_000))).toThrow(expect.objectContaining({ code: 'too-large' }));
  expect(
    parsePolicyText(
      JSON.stringify(agreement({ permission: [{ action: 'use', constraint: ours('columns', 'isPartOf', 'a') }] })),
    ).type,
  ).toBe('Agreement');
});

test('what is JSON to JSON.parse and has no property twice is JSON here', () => {
  const text = fc.oneof(
    fc.json(),
    fc.tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', '}', '"', '\\', '0', ' ', '\n')).map(([json, at, more]) => {
      const place = at % (json.length + 1);
      return json.slice(0, place) + more + json.slice(place + 1);
    }),
  );
  const isJson = (candidate: string): boolean => {
    try {
      JSON.parse(candidate);
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(text, (candidate) => {
      try {
        parsePolicyText(candidate);
      } catch (error) {
        const { message } = error as Error;
        if (/is there twice/.test(message)) return;
        expect(/is not JSON:/.test(message)).toBe(!isJson(candidate));
        return;
      }
      expect(isJson(candidate)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
