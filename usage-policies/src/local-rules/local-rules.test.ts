import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agreement, constraint, permission, useRequest, nothingSpent, spentSoFar } from '../agreement.fixture.ts';
import { compile } from '../compile.ts';
import { decide } from '../decide.ts';
import { parsePolicy } from '../parse.ts';
import { decideWithLocalRules, type LocalRules, type LocalVerdict } from './local-rules.ts';

const compiled = compile(parsePolicy(agreement({ permission: [permission('use', constraint('count', 'lteq', '3'))] })));
const context = { agreementId: 'urn:agreement', dataSet: 'urn:flights' };
const saying = (name: string, verdict: Partial<LocalVerdict>): LocalRules => ({
  name,
  judge: () => Promise.resolve({ permit: false, reasons: [], digest: `digest of ${name}`, ...verdict }),
});
const failing = (name: string): LocalRules => ({ name, judge: () => Promise.reject(new Error('it is down')) });

describe('local rules', () => {
  test('that permit leave the decision of the agreement as it is, with their digests', async () => {
    const rules = [saying('a', { permit: true }), saying('b', { permit: true })];
    const decision = await decideWithLocalRules(compiled, useRequest(), nothingSpent, rules, context);
    expect(decision).toEqual({
      ...decide(compiled, useRequest(), nothingSpent),
      localRules: [
        { name: 'a', permit: true, digest: 'digest of a' },
        { name: 'b', permit: true, digest: 'digest of b' },
      ],
    });
  });

  test('that refuse deny without plan and charges, and the reason names them', async () => {
    const rules = [saying('night', { reasons: ['It is night.'] }), saying('never asked', { permit: true })];
    const decision = await decideWithLocalRules(compiled, useRequest(), nothingSpent, rules, context);
    expect(decision).toMatchObject({
      permit: false,
      plan: null,
      charges: [],
      reasons: ['The local rules night refuse: It is night.'],
      localRules: [{ name: 'night', permit: false, digest: 'digest of night' }],
    });
    expect(decision.policyDigest).toBe(compiled.digest);
  });

  test('that fail deny', async () => {
    const decision = await decideWithLocalRules(compiled, useRequest(), nothingSpent, [failing('opa')], context);
    expect(decision.permit).toBe(false);
    expect(decision.reasons).toEqual(['The local rules opa could not be asked: it is down']);
    expect(decision.localRules).toEqual([{ name: 'opa', permit: false, digest: null }]);
  });

  test('that answer anything but true deny', async () => {
    const rules = [saying('odd', { permit: 'yes' as unknown as boolean })];
    const decision = await decideWithLocalRules(compiled, useRequest(), nothingSpent, rules, context);
    expect(decision.permit).toBe(false);
  });

  test('are not asked about what the agreement denies', async () => {
    const decision = await decideWithLocalRules(
      compiled,
      useRequest(),
      spentSoFar({ uses: 3 }),
      [failing('never asked')],
      context,
    );
    expect(decision).toMatchObject({ permit: false, exhausted: true, localRules: [] });
  });

  test('never permit what the agreement denies, whatever they say', async () => {
    const verdict = fc.constantFrom('permit', 'refuse', 'fail');
    await fc.assert(
      fc.asyncProperty(fc.array(verdict, { maxLength: 4 }), fc.nat(5), async (verdicts, uses) => {
        const rules = verdicts.map((each, index) =>
          each === 'fail' ? failing(`${index}`) : saying(`${index}`, { permit: each === 'permit' }),
        );
        const state = spentSoFar({ uses });
        const alone = decide(compiled, useRequest(), state);
        const both = await decideWithLocalRules(compiled, useRequest(), state, rules, context);
        expect(both.permit).toBe(alone.permit && verdicts.every((each) => each === 'permit'));
        expect(both.plan).toEqual(both.permit ? alone.plan : null);
        expect(both.charges).toEqual(both.permit ? alone.charges : []);
      }),
    );
  });
});
