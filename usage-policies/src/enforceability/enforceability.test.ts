import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agreement, constraint, decideBy, nothingSpent, ours, permission, useRequest } from '../agreement.fixture.ts';
import { FOEDUS } from '../model.ts';
import { OPERANDS } from '../operands/index.ts';
import { parsePolicy } from '../parse.ts';
import { instantiate, type PolicyTemplate } from '../templates.ts';
import { FOEDUS_NODES, FOEDUS_PROVIDER, NOTHING, type Capabilities, type NodeCapabilities } from './capabilities.ts';
import { ENFORCEMENTS, enforceability } from './enforceability.ts';

const root = join(import.meta.dirname, '..', '..');
const report = (rules: Record<string, unknown>, capabilities?: Capabilities) =>
  enforceability(parsePolicy(agreement(rules)), capabilities);
const labels = (rules: Record<string, unknown>, capabilities?: Capabilities) =>
  report(rules, capabilities).rules.map(({ enforcement, parts }) => [
    enforcement,
    parts.map((part) => `${part.part} ${part.enforcement}`),
  ]);
const using = (...constraints: unknown[]) => ({ permission: [permission('use', ...constraints)] });
const consumerThat = (can: Partial<NodeCapabilities>): Capabilities => ({
  provider: FOEDUS_PROVIDER,
  consumer: { ...NOTHING, ...can },
});

describe('between two Foedus nodes', () => {
  test('what the clock, the ledger and the scan see to is enforced by the provider', () => {
    expect(
      labels(using(constraint('dateTime', 'lt', '2027-01-01T00:00:00Z'), ours('columns', 'isPartOf', ['a']))),
    ).toEqual([
      [
        'enforced-by-provider',
        ['action enforced-by-provider', 'constraint enforced-by-provider', 'constraint enforced-by-provider'],
      ],
    ]);
  });

  test('what the consumer states is evidence only', () => {
    expect(labels(using(constraint('purpose', 'eq', 'urn:p')))).toEqual([
      ['evidence-only', ['action enforced-by-provider', 'constraint evidence-only']],
    ]);
  });

  test('what neither node can establish is not understood, as what nobody reads', () => {
    for (const each of [constraint('spatial', 'eq', 'urn:de'), constraint('urn:weather', 'eq', 'sunny')]) {
      expect(report(using(each)).enforcement).toBe('not-understood');
    }
  });

  test('a duty after use is evidence only, one before it is not understood: the use would never be let happen', () => {
    expect(report({ permission: [{ action: 'use', duty: [{ action: 'delete' }] }] }).enforcement).toBe('evidence-only');
    expect(report({ permission: [{ action: 'use', duty: [{ action: 'obtainConsent' }] }] }).enforcement).toBe(
      'not-understood',
    );
  });

  test('what the consumer does with rows that it has is evidence only', () => {
    const rules = { prohibition: [permission('distribute', constraint('spatial', 'eq', 'urn:de'))] };
    expect(labels(rules)).toEqual([['evidence-only', ['action evidence-only', 'constraint evidence-only']]]);
  });

  test('a policy is as good as the worst of its rules, and a rule that cannot be checked is the worst', () => {
    const rules = {
      permission: [permission('use'), permission('use', constraint('purpose', 'within', 'x'))],
      obligation: [{ action: 'delete' }],
    };
    expect(report(rules).rules.map(({ enforcement }) => enforcement)).toEqual([
      'enforced-by-provider',
      'not-understood',
      'evidence-only',
    ]);
    expect(report(rules).enforcement).toBe('not-understood');
  });

  test('alternatives are as good as the worst of them', () => {
    const either = { or: [constraint('dateTime', 'lt', '2027-01-01T00:00:00Z'), constraint('purpose', 'eq', 'urn:p')] };
    expect(report(using(either)).enforcement).toBe('evidence-only');
  });

  test('an unknown profile makes every rule not understood', () => {
    expect(report({ ...using(), profile: 'urn:unknown' }).rules[0]?.enforcement).toBe('not-understood');
  });
});

describe('other nodes', () => {
  test('that control the use at the consumer make rules enforced there', () => {
    const capabilities = consumerThat({ actions: ['distribute'], operands: ['spatial'], duties: ['delete'] });
    expect(
      report(
        {
          permission: [
            { action: 'use', constraint: [constraint('spatial', 'eq', 'urn:de')], duty: [{ action: 'delete' }] },
          ],
          prohibition: [permission('distribute')],
        },
        capabilities,
      ).rules.map(({ enforcement }) => enforcement),
    ).toEqual(['enforced-by-consumer', 'enforced-by-consumer']);
  });

  test('that cannot cut the data as agreed let nothing leave', () => {
    const provider = { ...FOEDUS_PROVIDER, masks: ['null'] };
    const masked = (method: string) => using(ours('masks', 'eq', { a: { method } }));
    expect(report(masked('null'), { provider, consumer: NOTHING }).enforcement).toBe('enforced-by-provider');
    expect(report(masked('hash'), { provider, consumer: NOTHING }).enforcement).toBe('not-understood');
    const uncut = { ...FOEDUS_PROVIDER, operands: [] };
    const consumer = { ...NOTHING, operands: [`${FOEDUS}columns`] };
    expect(report(using(ours('columns', 'isPartOf', 'a')), { provider: uncut, consumer }).enforcement).toBe(
      'not-understood',
    );
  });

  test('that can do more never make a label worse', () => {
    const terms = fc.subarray(['use', 'distribute', 'spatial', 'purpose', 'dateTime', 'delete', 'obtainConsent']);
    const node = fc.record({
      actions: terms,
      operands: terms,
      statements: terms,
      duties: terms,
      masks: fc.constant(['hash']),
    });
    const rules = {
      permission: [
        {
          action: 'use',
          constraint: [constraint('spatial', 'eq', 'urn:de'), constraint('purpose', 'eq', 'urn:p')],
          duty: [{ action: 'delete' }, { action: 'obtainConsent' }],
        },
      ],
      prohibition: [permission('distribute', constraint('dateTime', 'lt', '2027-01-01T00:00:00Z'))],
    };
    const rank = (capabilities: Capabilities) => ENFORCEMENTS.indexOf(report(rules, capabilities).enforcement);
    const more = (a: NodeCapabilities, b: NodeCapabilities): NodeCapabilities => ({
      actions: [...a.actions, ...b.actions],
      operands: [...a.operands, ...b.operands],
      statements: [...a.statements, ...b.statements],
      duties: [...a.duties, ...b.duties],
      masks: a.masks,
    });
    fc.assert(
      fc.property(node, node, (some, further) => {
        // Gating an action brings its conditions into play, so both sides gate the same ones here.
        const all = { ...some, actions: ['use', 'distribute'] };
        const base = { provider: all, consumer: NOTHING };
        expect(rank({ provider: more(all, { ...further, actions: [] }), consumer: NOTHING })).toBeLessThanOrEqual(
          rank(base),
        );
      }),
    );
  });
});

test('what is not understood never permits, whatever is asked', () => {
  const conditions = [
    constraint('urn:weather', 'eq', 'sunny'),
    constraint('spatial', 'eq', 'urn:de'),
    constraint('purpose', 'eq', 'urn:p'),
    constraint('count', 'lteq', '3'),
    { or: [constraint('event', 'eq', 'urn:fair'), constraint('spatial', 'eq', 'urn:de')] },
  ];
  fc.assert(
    fc.property(fc.subarray(conditions), fc.boolean(), (constraints, consent) => {
      const rules = {
        permission: [
          { action: 'use', constraint: constraints, ...(consent && { duty: [{ action: 'obtainConsent' }] }) },
        ],
      };
      const { permit } = decideBy(agreement(rules), useRequest({ purpose: 'urn:p' }), nothingSpent);
      if (report(rules).enforcement === 'not-understood') expect(permit).toBe(false);
      else expect(permit).toBe(true);
    }),
  );
});

test('the terms of a profile count once the operator has set it up', () => {
  const options = { profiles: { 'urn:profile': { operands: { 'urn:weather': 'names' as const } } } };
  const json = agreement({ ...using(constraint('urn:weather', 'eq', 'sunny')), profile: 'urn:profile' });
  const provider = { ...FOEDUS_PROVIDER, operands: ['urn:weather'] };
  const of = (...more: [typeof options] | []) =>
    enforceability(parsePolicy(json, ...more), { provider, consumer: NOTHING }, 'en', ...more).enforcement;
  expect(of()).toBe('not-understood');
  expect(of(options)).toBe('enforced-by-provider');
});

test('parts say in both languages what they are', () => {
  const policy = parsePolicy(agreement(using(constraint('count', 'lteq', '3'))));
  const texts = (language: 'en' | 'de') =>
    enforceability(policy, FOEDUS_NODES, language).rules[0]?.parts.map(({ text }) => text);
  expect(texts('en')?.[1]).toBe('the number of uses in all, this one included, is at most 3');
  expect(texts('de')?.[1]).toBe('die Zahl aller Nutzungen, diese eingeschlossen, ist höchstens 3');
});

test('the README says of every IDS class what the report says', () => {
  const rows = readFileSync(join(root, 'README.md'), 'utf8')
    .split('\n')
    .map((line) =>
      /^\| \d+ [^|]*\| +`(?<file>[a-z-]+)`, `\w+` +\|[^|]*\| +(?<label>by the provider|evidence only|not understood)/.exec(
        line,
      ),
    )
    .flatMap((match) => (match?.groups ? [match.groups] : []));
  expect(rows).toHaveLength(25);
  const words = {
    'enforced-by-provider': 'by the provider',
    'enforced-by-consumer': '',
    'evidence-only': 'evidence only',
    'not-understood': 'not understood',
  };
  for (const { file = '', label } of rows) {
    const template = JSON.parse(readFileSync(join(root, 'library', 'ids', `${file}.json`), 'utf8')) as PolicyTemplate;
    const examples = Object.entries(template.parameters).map(([name, { example }]) => [name, example]);
    const offer = instantiate(template, Object.fromEntries(examples));
    expect([file, words[enforceability(parsePolicy(offer)).enforcement]]).toEqual([file, label]);
  }
});

test('a Foedus provider establishes every operand of ours, or keeps what is stated about it', () => {
  const known = new Set([...FOEDUS_PROVIDER.operands, ...FOEDUS_PROVIDER.statements]);
  const operands = [...OPERANDS.keys()].filter((name) => name.startsWith(FOEDUS));
  expect(operands.filter((name) => !known.has(name))).toEqual([]);
});
