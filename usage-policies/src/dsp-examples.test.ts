/** The example messages that are published with the Dataspace Protocol 2025-1. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compile } from './compile.ts';
import { parsePolicy } from './parse.ts';
import { sameRules } from './same-rules.ts';

const specification = join(import.meta.dirname, '..', '..', '..', 'shared', 'spec', 'dsp-2025-1');
const present = existsSync(specification);
if (!present && process.env['CI'] === undefined) console.log(`skipped: ${specification} is not there`);

interface Found {
  readonly file: string;
  readonly policy: Record<string, unknown>;
}

function policiesIn(folder: string): Found[] {
  const directory = join(specification, folder, 'example');
  return readdirSync(directory).flatMap((file) => {
    const found: Found[] = [];
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      const { '@type': type } = value as Record<string, unknown>;
      if (type === 'Offer' || type === 'Agreement') found.push({ file, policy: value as Record<string, unknown> });
      for (const part of Object.values(value)) visit(part);
    };
    visit(JSON.parse(readFileSync(join(directory, file), 'utf8')));
    return found;
  });
}

describe.skipIf(!present && process.env['CI'] === undefined)("the protocol's examples", () => {
  const policies = () => [...policiesIn('negotiation'), ...policiesIn('catalog')];

  test('read as policies with all their rules', () => {
    expect(policies().length).toBeGreaterThanOrEqual(8);
    for (const { file, policy } of policies()) {
      const parsed = parsePolicy(policy);
      const rules = (policy['permission'] as unknown[]).length;
      expect([file, parsed.permissions.length]).toEqual([file, rules]);
      expect(parsed.type).toBe(policy['@type']);
      expect(() => compile(parsed)).not.toThrow();
    }
  });

  test('are the same as themselves only', () => {
    const all = policies();
    for (const { policy } of all) expect(sameRules(policy, structuredClone(policy))).toBe(true);
    const full = all.find(({ file }) => file === 'contract-agreement-message-full.json');
    for (const { file, policy } of all) {
      if (file !== full?.file) expect(sameRules(policy, full?.policy)).toBe(false);
    }
  });
});
