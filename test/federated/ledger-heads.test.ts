import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFederation, type Federation } from './federation.ts';
import { hasEnded, running, startSession, trainerOf } from './secure-member.ts';

let federation: Federation;
let backup: string;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd']);
  backup = await mkdtemp(join(tmpdir(), 'foedus-backup-'));
});
afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
  await rm(backup, { recursive: true, force: true });
});

describe('a ledger that was put back from a backup', () => {
  test('is found out by the head that came with the last release: nothing is trained or charged until it is reconciled', async () => {
    const partners = await federation.agree({});
    const [first] = partners as [(typeof partners)[0]];
    const store = join(federation.space.folder, first.name, 'data');
    await first.connector[Symbol.asyncDispose]();
    await cp(store, backup, { recursive: true });
    let again = await first.restart();
    await using run = await running(
      federation,
      partners,
      [0.1, 0.2].map((scale) => trainerOf(scale)),
    );
    const id = await startSession(run, { rounds: 1, minimumCohort: 2 }, partners);
    expect(await run.coordinator.until(id, hasEnded)).toMatchObject({ state: 'completed', roundsDone: 1 });
    expect((await again.operator.account(first.agreementId)).spent.rounds).toBe(1);

    await again.connector[Symbol.asyncDispose]();
    await rm(store, { recursive: true });
    await cp(backup, store, { recursive: true });
    again = await first.restart();
    expect((await again.operator.account(first.agreementId)).spent.rounds).toBe(0);

    const second = await startSession(run, { rounds: 1, minimumCohort: 2 }, partners);
    const failed = await run.coordinator.until(second, hasEnded);
    expect(failed.state).toBe('failed');
    expect(failed.reason).toMatch(/did:web:bdl\.example.*older/);
    expect((await again.operator.account(first.agreementId)).entries).toEqual([]);

    await again.operator.reconcileLedger(first.agreementId, { reason: 'The disk was replaced.' });
    const third = await startSession(run, { rounds: 1, minimumCohort: 2 }, partners);
    expect(await run.coordinator.until(third, hasEnded)).toMatchObject({ state: 'completed', roundsDone: 1 });
    expect((await again.operator.account(first.agreementId)).spent.rounds).toBe(2);
  });
});
