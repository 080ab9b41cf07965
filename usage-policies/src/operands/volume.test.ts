import { describe, expect, test } from 'vitest';
import { agreement, decideBy, decideByOne, ours, permission, spentSoFar, useRequest } from '../agreement.fixture.ts';
import { compile, limitsOf, problemsOf } from '../compile.ts';
import { explain } from '../explain/explain.ts';
import { parsePolicy } from '../parse.ts';
import { TRAIN, USE } from '../terms.ts';

describe.each(['rows', 'bytes'] as const)('a limit on %s in all', (meter) => {
  const limit = ours(meter, 'lteq', '100');

  test('permits a use while anything is left, and hands the limit to the ledger', () => {
    const decision = decideByOne('use', [limit], useRequest(), spentSoFar({ [meter]: 99 }));
    expect(decision.charges).toEqual([
      { meter: 'uses', amount: 1, limit: null },
      { meter, amount: 0, limit: 100 },
    ]);
    expect(decision.reasons).toContain(`With this, 99 of 100 ${meter} are spent.`);
  });

  test('is exhausted when nothing is left, and says so', () => {
    expect(decideByOne('use', [limit], useRequest(), spentSoFar({ [meter]: 100 }))).toMatchObject({
      permit: false,
      exhausted: true,
      reasons: [`The agreed ${meter} are spent: 100 of 100 have left.`],
    });
  });

  test('permits nothing where nobody counts, and that is no exhausted budget', () => {
    expect(decideByOne('use', [limit], useRequest(), { spent: { uses: 0, rounds: 0, epsilon: 0 } })).toMatchObject({
      permit: false,
      exhausted: false,
    });
  });

  test('is another thing than a limit on each use', () => {
    const each = ours(meter === 'rows' ? 'rowLimit' : 'byteLimit', 'lteq', '10');
    const decision = decideByOne('use', [limit, each], useRequest(), spentSoFar({ [meter]: 0 }));
    expect(decision.plan).toMatchObject(meter === 'rows' ? { limit: 10 } : { byteLimit: 10 });
    expect(decision.charges[1]).toMatchObject({ limit: 100 });
  });

  test('of two the smaller counts; of two permissions the account shows the larger', () => {
    const twice = permission('use', limit, ours(meter, 'lteq', '70'));
    const of = (...permissions: unknown[]) =>
      limitsOf(compile(parsePolicy(agreement({ permission: permissions }))), USE)[meter];
    expect(of(twice)).toBe(70);
    expect(of(twice, permission('use', limit))).toBe(100);
    expect(of(twice, permission('use'))).toBeNull();
  });

  test('stands for a whole permission to use: anywhere else it permits nothing and forbids everything', () => {
    for (const rules of [
      { permission: [permission(TRAIN, limit)] },
      { permission: [permission('use', { or: [limit, ours(meter, 'lteq', '5')] })] },
      { permission: [permission('use')], prohibition: [permission('use', limit)] },
    ]) {
      expect(problemsOf(parsePolicy(agreement(rules)))).not.toEqual([]);
      expect(decideBy(agreement(rules), useRequest(), spentSoFar({ rows: 0, bytes: 0 })).permit).toBe(false);
    }
  });

  test.each(['-1', '1.5', 'many', ['1', '2']])('of %j is refused', (value) => {
    const policy = agreement({ permission: [permission('use', ours(meter, 'lteq', value))] });
    expect(() => parsePolicy(policy)).toThrow(/rightOperand/);
  });

  test('reads as words that nobody takes for a limit on each use', () => {
    const agreed = parsePolicy(agreement({ permission: [permission('use', limit)] }));
    expect(explain(agreed, 'en').join('\n')).toContain(`at most 100 ${meter} in all, over every use`);
    const german = meter === 'rows' ? 'Zeilen' : 'Bytes';
    expect(explain(agreed, 'de').join('\n')).toContain(`insgesamt höchstens 100 ${german}, über alle Nutzungen`);
  });
});
