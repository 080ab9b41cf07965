import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PURPOSE } from './agreement.fixture.ts';
import { rowsOffer, trainingOffer } from './offers.ts';
import { PolicyError } from './policy-error.ts';
import { sameRules } from './same-rules.ts';
import { instantiate, type PolicyTemplate } from './templates.ts';

const library = join(import.meta.dirname, '..', 'library');
const jsonIn = (folder: string) => readdirSync(join(library, folder)).filter((name) => name.endsWith('.json'));
const files = jsonIn('.');
const idsFiles = jsonIn('ids').map((name) => join('ids', name));

function template(name: string): PolicyTemplate {
  return JSON.parse(readFileSync(join(library, name), 'utf8')) as PolicyTemplate;
}

function examples(name: string): Record<string, unknown> {
  const { parameters } = template(name);
  return Object.fromEntries(Object.entries(parameters).map(([parameter, { example }]) => [parameter, example]));
}

describe.each([...files, ...idsFiles])('%s', (name) => {
  test('makes an offer of its examples', () => {
    expect(instantiate(template(name), examples(name))).toMatchObject({ '@type': 'Offer' });
  });

  test('refuses every missing parameter', () => {
    for (const parameter of Object.keys(template(name).parameters)) {
      const { [parameter]: _, ...rest } = examples(name);
      expect(() => instantiate(template(name), rest)).toThrow(
        expect.objectContaining({ path: `$.parameters.${parameter}` }),
      );
    }
  });

  test('refuses an unknown parameter', () => {
    expect(() => instantiate(template(name), { ...examples(name), usess: 3 })).toThrow(/unknown: usess/);
  });

  test('refuses a wrong value for every parameter', () => {
    for (const parameter of Object.keys(template(name).parameters)) {
      for (const wrong of [null, true, -1, '', [5], {}]) {
        expect(() => instantiate(template(name), { ...examples(name), [parameter]: wrong })).toThrow(PolicyError);
      }
    }
  });
});

test('the library holds the templates that the documentation names', () => {
  expect(files.sort()).toEqual([
    'read-rows-until.json',
    'read-rows.json',
    'train-hiding-organisations.json',
    'train-with-privacy-budget.json',
    'train-without-noise.json',
  ]);
});

test('a template says the same as the builder', () => {
  const terms = { purposes: [PURPOSE, 'urn:p'], columns: ['a', 'b'] };
  const until = '2027-01-01T00:00:00Z';
  expect(
    sameRules(instantiate(template('read-rows.json'), { ...terms, uses: 10 }), rowsOffer({ ...terms, uses: 10 })),
  ).toBe(true);
  expect(
    sameRules(
      instantiate(template('read-rows-until.json'), { ...terms, until: new Date(until) }),
      rowsOffer({ ...terms, until: new Date(until) }),
    ),
  ).toBe(true);
  const training = { ...terms, until, rounds: 20, minimumCohort: 3, metrics: ['auc'] };
  expect(sameRules(instantiate(template('train-without-noise.json'), training), trainingOffer(training))).toBe(true);
  const budget = { epsilon: 4, delta: 1e-7 };
  expect(
    sameRules(
      instantiate(template('train-with-privacy-budget.json'), { ...training, ...budget }),
      trainingOffer({ ...training, privacyBudget: budget }),
    ),
  ).toBe(true);
  const { metrics: _, ...hiding } = training;
  expect(
    sameRules(
      instantiate(template('train-hiding-organisations.json'), { ...hiding, ...budget }),
      trainingOffer({ ...hiding, privacyBudget: budget, privacyUnit: 'organisation', secureAggregation: true }),
    ),
  ).toBe(true);
});

describe('a template', () => {
  const parameters = { uses: { type: 'whole-number', description: 'uses', example: 1 } };
  const withUses = (rightOperand: unknown) => ({
    title: 'x',
    description: 'x',
    parameters,
    policy: {
      '@type': 'Offer',
      permission: [{ action: 'use', constraint: [{ leftOperand: 'count', operator: 'lteq', rightOperand }] }],
    },
  });

  test.each([
    ['never uses a parameter', withUses('5')],
    ['has a gap without a parameter', withUses({ $parameter: 'rounds' })],
    ['has a gap with a second property', withUses({ $parameter: 'uses', default: 5 })],
    [
      'has a condition that nobody can check',
      { ...withUses({ $parameter: 'uses' }), policy: { permission: [{ action: { $parameter: 'uses' } }] } },
    ],
    ['has an unknown property', { ...withUses({ $parameter: 'uses' }), extends: 'other' }],
    ['is nothing', null],
  ])('is refused when it %s', (_, wrong) => {
    expect(() => instantiate(wrong, { uses: 5 })).toThrow(PolicyError);
  });

  test('is left unchanged', () => {
    const original = withUses({ $parameter: 'uses' });
    const copy = structuredClone(original);
    expect(instantiate(original, { uses: 5 })['permission']).toMatchObject([{ constraint: [{ rightOperand: '5' }] }]);
    expect(original).toEqual(copy);
  });
});
