import type { SessionPlan } from '@foedus/fl-core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SessionView } from '../../session/view.ts';
import { visible } from './element.ts';
import { addressOf, sessionIn } from './session-list.ts';
import {
  aggregationWords,
  answeredWords,
  progressSentence,
  bytes,
  duration,
  epsilonLeft,
  epsilonSpent,
  metric,
  modelWords,
  namesOf,
  privacySentence,
  protectionWords,
  shortName,
  time,
} from './words.ts';

describe('what a plan protects, in words', () => {
  const wordsOf = (privacy: SessionPlan['privacy']): string =>
    protectionWords({ privacy, secureAggregation: { clip: 2 } } as SessionPlan);

  it('is each row, or each whole partner and against how many', () => {
    const noise = { noiseMultiplier: 3, delta: 1e-5 };
    expect(wordsOf({ unit: 'record', adjacency: 'add-remove', clipNorm: 0.5, ...noise })).toBe(
      'Differential privacy for each row: gradients clipped at norm 0.5, noise multiplier 3, counted at δ 1e-5',
    );
    expect(wordsOf({ unit: 'organisation', adjacency: 'replace-one', colluding: 1, ...noise })).toBe(
      'Differential privacy for each whole partner even if 1 partner colludes with whoever looks: updates clipped at norm 2, noise multiplier 3, counted at δ 1e-5',
    );
    expect(wordsOf({ unit: 'organisation', adjacency: 'replace-one', colluding: 2, ...noise })).toContain(
      'even if 2 partners collude with whoever looks',
    );
    expect(wordsOf(null)).toMatch(/^None/);
  });
});

describe('a privacy budget in words', () => {
  it('says what is spent, allowed and left', () => {
    expect(privacySentence({ epsilonSpent: 3.1, epsilonLimit: 4, delta: 1e-5 })).toBe(
      'ε 3.10 of 4.00 at δ 1e-5, 0.90 left',
    );
  });

  it('says so when the agreement sets no limit', () => {
    expect(privacySentence({ epsilonSpent: 0.2, epsilonLimit: null, delta: 1e-6 })).toBe(
      'ε 0.20 spent at δ 1e-6, no limit in the agreement',
    );
  });

  it('does not round a rest away, nor show an overdrawn budget as a negative rest', () => {
    expect(epsilonLeft({ epsilonSpent: 3.996, epsilonLimit: 4 })).toBe('less than 0.01');
    expect(epsilonLeft({ epsilonSpent: 4, epsilonLimit: 4 })).toBe('0.00');
    expect(epsilonLeft({ epsilonSpent: 4.2, epsilonLimit: 4 })).toBe('0.00');
  });

  it('never shows less spent than is, nor more left than is', () => {
    const amount = fc.double({ min: 0, max: 100, noNaN: true });
    fc.assert(
      fc.property(amount, amount, (spent, limit) => {
        expect(Number(epsilonSpent(spent))).toBeGreaterThanOrEqual(spent - 1e-9);
        const left = epsilonLeft({ epsilonSpent: spent, epsilonLimit: limit });
        if (left !== 'less than 0.01') expect(Number(left)).toBeLessThanOrEqual(Math.max(0, limit - spent) + 1e-9);
      }),
    );
  });
});

describe('names', () => {
  it('are the host of a did:web', () => {
    expect(shortName('did:web:bdl.example')).toBe('bdl.example');
    expect(shortName('https://bdl.example/')).toBe('https://bdl.example/');
    expect(shortName('did:web:host.example:department')).toBe('did:web:host.example:department');
  });

  it('are whole ids where two participants would be called the same', () => {
    const names = namesOf(['did:web:bdl.example', 'bdl.example', 'did:web:pvd.example']);
    expect([...names.values()]).toEqual(['did:web:bdl.example', 'bdl.example', 'pvd.example']);
  });

  it('of any length are short, and still one for each participant', () => {
    const long = `did:web:${'x'.repeat(300)}.example`;
    expect(namesOf([long]).get(long)).toBe(`${'x'.repeat(27)}…xxxx.example`);
    const id = fc.stringMatching(/^(did:web:)?(a{30}|a{31}|b)?[bc]{0,3}a{0,30}( \(1\))?$/);
    fc.assert(
      fc.property(fc.uniqueArray(id, { maxLength: 8 }), (ids) => {
        const names = namesOf(ids);
        expect([...names.keys()]).toEqual(ids);
        expect(new Set(names.values()).size).toBe(ids.length);
        expect(Math.max(0, ...[...names.values()].map((name) => name.length))).toBeLessThanOrEqual(44);
      }),
    );
  });

  it('show characters that would reorder or hide text', () => {
    expect(visible('did:web:\u202Eelpmaxe.lve\u200B')).toBe('did:web:\uFFFDelpmaxe.lve\uFFFD');
    expect(visible('Straße, Łódź, 東京, עברית')).toBe('Straße, Łódź, 東京, עברית');
  });
});

describe('numbers', () => {
  it.each([
    [0, '0 ms'],
    [0.04, '40 ms'],
    [0.9996, '1.0 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.6, '1 min 00 s'],
    [185, '3 min 05 s'],
    [7800, '2 h 10 min'],
    [null, '–'],
    [Number.NaN, '–'],
  ])('writes %s seconds as %s', (seconds, words) => {
    expect(duration(seconds)).toBe(words.replaceAll(' ', '\u00A0'));
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [40_324, '40.3 kB'],
    [999_999, '1.0 MB'],
    [5e15, '5000 TB'],
    [null, '–'],
  ])('writes %s bytes as %s', (value, words) => {
    expect(bytes(value)).toBe(words.replaceAll(' ', '\u00A0'));
  });

  it('shows a dash for what nobody reported', () => {
    expect([metric(null), metric(undefined), metric(Number.NaN), metric(0.77123)]).toEqual(['–', '–', '–', '0.7712']);
  });

  it('leaves out the date of today, and survives what is no date', () => {
    const now = new Date(2026, 10, 21, 18, 0, 0);
    expect(time(new Date(2026, 10, 21, 9, 5, 7).toISOString(), now)).toBe('09:05:07');
    expect(time(new Date(2026, 10, 20, 9, 5, 7).toISOString(), now)).toBe('20 Nov 2026, 09:05:07');
    expect([time(null, now), time('soon', now)]).toEqual(['–', '–']);
  });
});

describe('a model in words', () => {
  const plan = {
    features: [
      { kind: 'time-part', column: 'departure', part: 'hour' },
      { kind: 'time-part', column: 'departure', part: 'weekday' },
      { kind: 'time-part', column: 'departure', part: 'month' },
      { kind: 'number', column: 'distance', center: 0, scale: 1 },
      { kind: 'hashed-category', column: 'destination', buckets: 64 },
    ],
    model: { kind: 'mlp', hidden: [64, 32], activation: 'relu', seed: '' },
  } as unknown as SessionPlan;

  it('names inputs, layers and activation', () => {
    expect(modelWords(plan)).toBe('Multilayer perceptron, 108 inputs → 64 → 32 → 1 output, ReLU');
  });

  it('calls one without hidden layers what it is', () => {
    const model = { ...plan.model, hidden: [] };
    expect(modelWords({ ...plan, model })).toBe('Logistic regression, 108 inputs → 1 output');
  });
});

describe('secure aggregation in words', () => {
  const planWith = (mode: string | null): SessionPlan =>
    ({ secureAggregation: mode === null ? null : { mode, clip: 25, bits: 24 } }) as unknown as SessionPlan;

  it('says who sees an update, and against whom it holds', () => {
    expect(aggregationWords(planWith(null))).toBe('None: the coordinator sees every update');
    expect(aggregationWords(planWith('active-server'))).toBe(
      'The coordinator sees sums and no update, even if the coordinator does not keep to the protocol; updates clipped at norm 25, 24 bits a value',
    );
    expect(aggregationWords(planWith('honest-server'))).toMatch(/keeps to the protocol/);
  });

  it('says what a round is at by its step, not by its phase', () => {
    const view = (secure: unknown): SessionView =>
      ({
        state: 'running',
        roundsTarget: 24,
        rounds: [{ round: 3, phase: 'training', secure }],
      }) as unknown as SessionView;
    expect(progressSentence(view(null))).toBe('Round 3 of 24: partners are training');
    expect(progressSentence(view({ step: 'keys', answered: {} }))).toBe('Round 3 of 24: partners are exchanging keys');
    expect([null, 'keys', 'unmasking'].map((step) => answeredWords(step as null))).toEqual([
      '',
      'keys sent',
      'masks taken off',
    ]);
  });
});

describe('the address of a session', () => {
  it('leads back to the session, whatever its id', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (id) => {
        expect(sessionIn(addressOf(id))).toBe(id);
      }),
    );
  });

  it('is none for other fragments and broken encodings', () => {
    expect(['', '#session', '#/sessions/', '#/sessions/%E0%A4%A', '#token=x'].map(sessionIn)).toEqual(
      Array.from({ length: 5 }, () => null),
    );
  });
});
