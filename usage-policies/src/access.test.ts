import { describe, expect, test } from 'vitest';
import { compile } from './compile.ts';
import { decide } from './decide.ts';
import type { Decision } from './model.ts';
import { parsePolicy } from './parse.ts';
import { ACCESS } from './terms.ts';

const decideAccess = (policy: object, assignee = 'did:web:apt.example', at = '2026-01-01T00:00:00Z'): Decision =>
  decide(
    compile(parsePolicy(policy)),
    { action: ACCESS, assignee, at: new Date(at) },
    { spent: { uses: 0, rounds: 0, epsilon: 0 } },
  );
const before = (moment: string) => ({ leftOperand: 'dateTime', operator: 'lt', rightOperand: moment });

describe('access, the action that a catalog asks about', () => {
  test('is permitted to whom the permission names, and charges nothing', () => {
    const policy = { permission: [{ action: ACCESS, assignee: 'did:web:apt.example' }] };
    expect(decideAccess(policy)).toMatchObject({ permit: true, charges: [] });
    expect(decideAccess(policy, 'did:web:other.example').permit).toBe(false);
  });

  test('is permitted within its time', () => {
    const policy = { permission: [{ action: ACCESS, constraint: [before('2026-06-01T00:00:00Z')] }] };
    expect(decideAccess(policy).permit).toBe(true);
    expect(decideAccess(policy, undefined, '2026-07-01T00:00:00Z').permit).toBe(false);
  });

  test('is not implied by a permission to use, and forbidden by a prohibition of it', () => {
    expect(decideAccess({ permission: [{ action: 'use' }] }).permit).toBe(false);
    const mixed = {
      permission: [{ action: ACCESS }],
      prohibition: [{ action: ACCESS, assignee: 'did:web:apt.example' }],
    };
    expect(decideAccess(mixed).permit).toBe(false);
    expect(decideAccess(mixed, 'did:web:other.example').permit).toBe(true);
  });

  test('cannot depend on a purpose: nobody states one who looks at a catalog', () => {
    const purpose = { leftOperand: 'purpose', operator: 'eq', rightOperand: 'urn:p' };
    const policy = { permission: [{ action: ACCESS, constraint: [purpose] }] };
    expect(decideAccess(policy).permit).toBe(false);
  });
});
