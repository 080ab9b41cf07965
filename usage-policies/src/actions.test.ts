import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ODRL, createActions } from './actions.ts';
import { ACCESS, TRAIN } from './terms.ts';

describe('actions', () => {
  test.each([
    ['use', 'read', true],
    ['read', 'use', false],
    ['use', 'extractWord', true],
    ['reproduce', 'extract', true],
    ['extract', 'reproduce', false],
    ['use', 'sell', false],
    ['transfer', 'sell', true],
    ['transfer', 'give', true],
    ['use', 'transfer', false],
    ['use', 'http://creativecommons.org/ns#Sharing', true],
    ['use', TRAIN, true],
    ['use', ACCESS, true],
  ])('%s includes %s: %j', (outer, inner, expected) => {
    expect(ODRL.includes(outer, inner)).toBe(expected);
  });

  test('that are ours have to be named by a permission', () => {
    expect(ODRL.grants('use', TRAIN)).toBe(false);
    expect(ODRL.grants(TRAIN, TRAIN)).toBe(true);
    expect(ODRL.grants('use', 'read')).toBe(true);
  });

  test.each([
    ['odrl:use', 'use'],
    ['http://www.w3.org/ns/odrl/2/use', 'use'],
    ['write', 'modify'],
    ['odrl:copy', 'reproduce'],
    ['foedus:train', TRAIN],
    ['idsc:USE', 'use'],
    ['idsc:log', 'https://w3id.org/idsa/code/LOG'],
    ['urn:dance', undefined],
    ['Use', undefined],
    ['constructor', undefined],
    ['__proto__', undefined],
  ])('%s is %s', (written, name) => expect(ODRL.resolve(written)).toBe(name));

  test('of a profile have their place among those of ODRL', () => {
    const actions = createActions({
      'ex:peek': { includedIn: 'odrl:preview', implies: ['display'] },
      'ex:glance': { includedIn: 'ex:peek', implies: ['ex:peek'] },
    });
    expect(actions.includes('use', 'ex:glance')).toBe(true);
    expect(actions.includes('preview', 'ex:glance')).toBe(true);
    expect(actions.includes('ex:glance', 'ex:peek')).toBe(false);
    expect(actions.impliedBy('ex:glance').toSorted()).toEqual(['display', 'ex:peek']);
    expect(actions.impliedBy('use')).toEqual([]);
  });

  test('imply each other in a circle without an end', () => {
    const actions = createActions({ 'ex:a': { implies: ['ex:b'] }, 'ex:b': { implies: ['ex:a'] } });
    expect(actions.impliedBy('ex:a')).toEqual(['ex:b']);
  });

  test('form an order: who includes whom is reflexive, transitive and never mutual', () => {
    const name = fc.constantFrom('use', 'transfer', 'reproduce', 'extract', 'extractWord', 'sell', 'read', TRAIN);
    fc.assert(
      fc.property(name, name, name, (a, b, c) => {
        expect(ODRL.includes(a, a)).toBe(true);
        if (ODRL.includes(a, b) && ODRL.includes(b, c)) expect(ODRL.includes(a, c)).toBe(true);
        if (a !== b && ODRL.includes(a, b)) expect(ODRL.includes(b, a)).toBe(false);
        if (ODRL.grants(a, b)) expect(ODRL.includes(a, b)).toBe(true);
      }),
    );
  });
});
