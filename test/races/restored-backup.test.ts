/** A connector whose store is set back to a copy of itself, as an operator does who restores a backup. */
import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAuthority } from '@foedus/certs';
import { createOperatorClient } from '@foedus/connector/operator-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgreementStore } from '../../connector/src/agreement/agreement-store.ts';
import { openDatabase } from '../../connector/src/store/database.ts';
import { migrations } from '../../connector/src/store/migrations/index.ts';
import { prepareConnector } from '../src/connector-process.ts';
import { agreementOf, countAtMost, may } from '../src/agreements.ts';

const FOEDUS = fileURLToPath(new URL('../../cli/bin/foedus.mjs', import.meta.url));
const id = 'urn:agreement:1';
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-restored-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a restored backup is found out by the head of a partner, and nothing is released until it is reconciled', async () => {
  const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Restored' });
  await using node = await prepareConnector(authority, 'node', folder);
  const store = join(node.directory, 'data', 'connector.sqlite');
  {
    await using database = openDatabase(store, migrations);
    createAgreementStore(database).insert(
      agreementOf([may('use', countAtMost(4))], { id, assigner: node.participantId }),
    );
  }
  const connect = async () => {
    await node.start();
    return createOperatorClient({ url: node.managementUrl, token: await node.token() });
  };
  const use = async (operator: Awaited<ReturnType<typeof connect>>, key: string) => {
    const { entry } = await operator.reserve({ agreementId: id, key, request: { action: 'use' } });
    return (await operator.commit(entry.id)).head;
  };
  const foedus = (...args: string[]) =>
    spawnSync(process.execPath, [FOEDUS, ...args], { cwd: node.directory, encoding: 'utf8' });

  const first = await connect();
  await use(first, 'a');
  await node.end();
  await copyFile(store, join(folder, 'backup'));
  const second = await connect();
  await use(second, 'b');
  const held = await use(second, 'c');
  expect(held.head.spent.uses).toBe(3);
  await node.end();
  for (const suffix of ['', '-wal', '-shm']) await rm(store + suffix, { force: true });
  await copyFile(join(folder, 'backup'), store);

  const operator = await connect();
  expect((await operator.account(id)).spent.uses).toBe(1);
  expect((await operator.verifyLedger())[0]).toMatchObject({ elements: 2, disputed: [] });
  await expect(operator.presentHead(id, held)).rejects.toMatchObject({ code: 'conflict' });
  for (const refused of [use(operator, 'd'), operator.decide(id, { action: 'use' })]) {
    await expect(refused).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('older than what a partner holds'),
    });
  }
  const verified = foedus('ledger', 'verify', id);
  expect(verified.status).toBe(1);
  expect(verified.stdout).toContain(`${id}: a partner holds element 6 (${held.head.hash.slice(0, 16)}…)`);
  expect(verified.stderr).toContain('foedus ledger reconcile');

  const reconciled = foedus('ledger', 'reconcile', id, '--reason', 'The disk was replaced.');
  expect(reconciled).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/charged +uses 2\nspent now +uses 3\n/),
  });
  expect((await operator.presentHead(id, held)).head.spent.uses).toBe(3);
  expect((await use(operator, 'd')).head.spent.uses).toBe(4);
  await expect(use(operator, 'e')).rejects.toMatchObject({ code: 'budget-exhausted' });
  const [report] = await operator.verifyLedger(id);
  expect(report).toMatchObject({ spent: { uses: 4 }, disputed: [] });
  expect(report?.broken).toBeUndefined();
}, 120_000);
