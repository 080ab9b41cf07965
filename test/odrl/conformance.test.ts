import { describe, expect, test } from 'vitest';
import { formalSemantics } from './formal-semantics.ts';
import { force } from './force.ts';
import { ids } from './ids.ts';
import { SUITES, present } from './suites.ts';

const skip = !present && process.env['CI'] === undefined;
if (skip) console.log(`skipped: the suites are not at ${SUITES}`);

describe.skipIf(skip)('the engine decides', () => {
  test.each([
    [force, 68],
    [formalSemantics, 10],
    [ids, 55],
  ])('every case of the suite $title as it says', (suite, cases) => {
    const outcomes = suite.run();
    expect(outcomes.filter(({ faults }) => faults.length > 0)).toEqual([]);
    expect(outcomes).toHaveLength(cases);
  });
});
