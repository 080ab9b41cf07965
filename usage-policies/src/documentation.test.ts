import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { agreement } from './agreement.fixture.ts';
import { problemsOf } from './compile.ts';
import { FOEDUS } from './model.ts';
import { OPERANDS } from './operands/index.ts';
import { parsePolicy } from './parse.ts';
import { TRAIN } from './terms.ts';

const profile = readFileSync(join(import.meta.dirname, '..', 'profile', 'README.md'), 'utf8');
const examples = [...profile.matchAll(/```json\n([\s\S]*?)```/g)]
  .map(([, text = '']) => text)
  .filter((text) => /^[[{]/.test(text));

test('the profile describes every operand of ours, with an example that works', () => {
  const constraints = examples.flatMap(
    (text) => JSON.parse(text) as { leftOperand?: string }[] | { leftOperand?: string },
  );
  const shown = constraints.filter(({ leftOperand }) => leftOperand !== undefined);
  const known = [...OPERANDS.keys()].filter((name) => name.startsWith(FOEDUS));
  expect(new Set(shown.map(({ leftOperand }) => leftOperand))).toEqual(new Set(known));
  for (const constraint of shown) {
    const name = constraint.leftOperand?.slice(FOEDUS.length) ?? '';
    const operand = OPERANDS.get(FOEDUS + name);
    const action = operand?.actions.includes('use') === true ? 'use' : TRAIN;
    expect(problemsOf(parsePolicy(agreement({ permission: [{ action, constraint }] })))).toEqual([]);
    const row = new RegExp(
      `^\\| \`${name}\` +\\| +${operand?.operators.map((each) => `\`${each}\``).join(', ')} `,
      'm',
    );
    expect(profile).toMatch(row);
  }
});

test("the profile lists every supported operator of ODRL's operands", () => {
  for (const [name, { operators }] of [...OPERANDS].filter(([operand]) => !operand.startsWith(FOEDUS))) {
    const rows = profile
      .split('\n')
      .filter((line) => line.split('|')[1]?.includes(`\`${name}\``))
      .join();
    for (const operator of operators) expect(rows).toContain(`\`${operator}\``);
  }
});
