import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LocalDecision } from '@foedus/usage-policies/local-rules';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agreementOf, countAtMost, may } from '../../../test/src/agreements.ts';
import { openDatabase } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import { createLedger } from './ledger.ts';
import { loadLocalRules, type Restrict } from './local-rules.ts';
import { createUsageControl, type UsageEvent } from './usage-control.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-local-rules-'));
});
afterAll(() => rm(folder, { recursive: true }));

const cedar = async (text: string) => {
  const file = join(folder, 'local.cedar');
  await writeFile(file, text);
  return { cedar: { file } };
};
const opa = { url: 'http://127.0.0.1:1', path: 'foedus/usage', timeoutSeconds: 1 };

const id = 'urn:agreement:1';
const agreement = agreementOf([may('use', countAtMost(1))], { id });

function control(restrict: Restrict | undefined) {
  const database = openDatabase(':memory:', migrations);
  const events: UsageEvent[] = [];
  const clock = () => new Date('2026-06-01T12:00:00Z');
  const usage = createUsageControl({
    database,
    agreements: { get: (asked) => (asked === id ? agreement : undefined) },
    clock,
    restrict,
    events: (event) => events.push(event),
  });
  const reserve = async (key: string, request: { action: string; purpose?: string } = { action: 'use' }) =>
    usage.reserve({ agreementId: id, key, request, consent: await usage.ask(id, request) });
  return { usage, events, reserve, ledger: createLedger({ database, clock }) };
}

describe("the operator's own rules", () => {
  test('refuse what an agreement permits, and nothing is charged', async () => {
    const rules = `permit (principal, action, resource);
      @reason("Not for this.") forbid (principal, action, resource) when { context has purpose && context.purpose == "urn:x" };`;
    const { reserve, events, usage } = control(await loadLocalRules(await cedar(rules)));
    await expect(reserve('a', { action: 'use', purpose: 'urn:x' })).rejects.toMatchObject({
      code: 'not-permitted',
      message: 'The local rules cedar:local.cedar refuse: Not for this.',
    });
    expect(usage.account(id).spent.uses).toBe(0);
    expect(events).toMatchObject([{ type: 'denied' }]);
    await expect(reserve('b', { action: 'use', purpose: 'urn:y' })).resolves.toMatchObject({
      decision: { permit: true },
    });
  });

  test('are on record with every use that they let through, by their digest', async () => {
    const { reserve, ledger } = control(await loadLocalRules(await cedar('permit (principal, action, resource);')));
    await reserve('a');
    const decision = ledger.find(id, 'a')?.decision as Partial<LocalDecision> | undefined;
    expect(decision?.localRules).toEqual([
      { name: 'cedar:local.cedar', permit: true, digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
  });

  test('cannot be left out: a use about which they were not asked is denied', async () => {
    const { usage, reserve } = control(await loadLocalRules(await cedar('permit (principal, action, resource);')));
    const request = { action: 'use' };
    const attempts = [
      () => usage.reserve({ agreementId: id, key: 'a', request }),
      async () =>
        usage.reserve({ agreementId: id, key: 'b', request, consent: await usage.ask(id, { action: 'use' }) }),
    ];
    for (const attempt of attempts) {
      await expect(Promise.resolve().then(attempt)).rejects.toThrow(/were not asked about this use/);
    }
    expect(usage.decide(id, request).permit).toBe(false);
    await expect(reserve('c')).resolves.toMatchObject({ entry: { key: 'c', state: 'reserved' } });
  });

  test('that cannot be asked deny, and only the operator learns why', async () => {
    const { reserve, events } = control(await loadLocalRules({ opa }));
    const denied = await reserve('a').catch((error: Error) => error);
    expect(denied).toMatchObject({
      code: 'not-permitted',
      message: 'The rules of this node could not be asked. Try again later.',
    });
    expect(JSON.stringify(denied)).not.toContain('127.0.0.1');
    expect(events).toMatchObject([
      {
        type: 'denied',
        decision: { reasons: [expect.stringContaining('The local rules opa:foedus/usage could not')] },
      },
    ]);
  });

  test('permit nothing that the agreement denies', async () => {
    const { reserve } = control(await loadLocalRules(await cedar('permit (principal, action, resource);')));
    await reserve('a');
    await expect(reserve('b')).rejects.toMatchObject({ code: 'budget-exhausted' });
    await expect(reserve('a')).resolves.toMatchObject({ entry: { key: 'a', state: 'reserved' } });
  });

  test('are none where none are set', async () => {
    expect(await loadLocalRules({})).toBeUndefined();
    await expect(control(undefined).reserve('a')).resolves.toMatchObject({ entry: { key: 'a', state: 'reserved' } });
  });

  test.each([
    ['localRules.cedar.file', () => cedar('permit everything;')],
    ['localRules.cedar.file', () => Promise.resolve({ cedar: { file: '/missing.cedar' } })],
    ['localRules.opa', () => Promise.resolve({ opa: { ...opa, url: 'http://opa.example' } })],
    ['localRules.opa', () => Promise.resolve({ opa: { ...opa, path: '..' } })],
  ])('that cannot be read are refused at start, naming %s', async (setting, settings) => {
    await expect(loadLocalRules(await settings())).rejects.toMatchObject({
      code: 'bad-config',
      message: expect.stringContaining(`${setting}: `),
    });
  });
});
