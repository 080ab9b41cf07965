import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FOEDUS } from '@foedus/usage-policies';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Identity } from '../identity/index.ts';
import { agreementOf, constraint, countAtMost, may } from '../../../test/src/agreements.ts';
import { openDatabase, type Database } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import { continuesHead } from './head.ts';
import { createLedgerHeads } from './heads.ts';
import { issueIdentity } from '../../../test/src/identity.ts';
import { createLedgerReader } from './ledger-reader.ts';
import { createUsageControl, type UsageEvent } from './usage-control.ts';

const PROVIDER = 'did:web:bdl.example';
const id = 'urn:agreement:1';
const permission = [may('use', countAtMost(10), constraint(`${FOEDUS}rows`, 'lteq', '100'))];

let folder: string;
let identity: Identity;
let other: Identity;
let run = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-heads-'));
  identity = await issueIdentity(join(folder, 'own'), PROVIDER);
  other = await issueIdentity(join(folder, 'other'), PROVIDER);
});
afterAll(() => rm(folder, { recursive: true }));

let path: string;
// One clock for the node before and after it is set back: certificates are of now.
let time: number;
beforeEach(() => {
  path = join(folder, `${run++}.db`);
  time = Date.now();
});

function node(database: Database = openDatabase(path, migrations)) {
  const events: UsageEvent[] = [];
  const shared = {
    database,
    agreements: {
      get: (wanted: string) => (wanted === 'unknown' ? undefined : agreementOf(permission, { id: wanted })),
    },
    clock: () => new Date((time += 10)),
    events: (event: UsageEvent) => events.push(event),
  };
  const usage = createUsageControl(shared);
  const heads = createLedgerHeads({ ...shared, identity, logger: pino({ level: 'silent' }) });
  const use = (key: string, agreementId = id): string => {
    const { entry } = usage.reserve({ agreementId, key, request: { action: 'use' } });
    usage.commit(entry.id);
    return entry.id;
  };
  return { database, usage, heads, use, events, reader: createLedgerReader(database) };
}

/** Goes on from a copy of the file, as an operator does who restores a backup. */
async function restored(from: Database, backup: string): Promise<void> {
  from.close();
  for (const suffix of ['-wal', '-shm']) await rm(path + suffix, { force: true });
  await copyFile(backup, path);
}

async function backedUp(database: Database): Promise<string> {
  const backup = `${path}.backup`;
  await rm(backup, { force: true });
  database.sql.prepare('VACUUM INTO ?').run(backup);
  return backup;
}

describe('a signed head', () => {
  test('of a chain that contains it is taken, however much has happened since', async () => {
    const { usage, heads, use } = node();
    const none = await heads.signed(id);
    expect(none.head).toMatchObject({ sequence: 0, hash: '0'.repeat(64) });
    const entry = use('a');
    const first = await heads.signed(id);
    usage.draw(entry, { rows: 5, bytes: 60 });
    const second = await heads.signed(id);
    expect(second.head).toMatchObject({ sequence: 3, spent: { uses: 1, rows: 5, bytes: 60 } });
    use('b');
    const newest = await heads.signed(id);
    for (const held of [none, first, second, newest]) {
      expect((await heads.present(id, held)).head).toEqual(newest.head);
    }
    expect(heads.disputed(id)).toEqual([]);
  });

  test('that this node has not signed, or for another agreement, changes nothing', async () => {
    const { heads, use } = node();
    use('a');
    const { head, signature } = await heads.signed(id);
    const forged = { ...head, sequence: 9, hash: 'a'.repeat(64) };
    const attempts = [
      { head: forged, signature },
      { head: forged, signature: await other.sign(forged) },
      { head, signature: 'none' },
    ];
    for (const presented of attempts) {
      await expect(heads.present(id, presented)).rejects.toMatchObject({ code: 'bad-signature' });
    }
    await expect(heads.present('urn:agreement:2', { head, signature })).rejects.toMatchObject({ code: 'bad-request' });
    await expect(heads.present('unknown', { head, signature })).rejects.toMatchObject({ code: 'not-found' });
    use('b');
  });
});

describe('a restored backup', () => {
  test('is found out by the first head that a partner presents, and nothing is released until it is reconciled', async () => {
    const before = node();
    const stream = before.use('a');
    before.use('a', 'urn:agreement:2');
    before.usage.draw(stream, { rows: 10 });
    const backup = await backedUp(before.database);
    before.use('b');
    before.usage.draw(stream, { rows: 30, bytes: 400 });
    const held = await before.heads.signed(id);
    const open = before.usage.reserve({ agreementId: id, key: 'open', request: { action: 'use' } });
    expect(open.entry.state).toBe('reserved');
    await restored(before.database, backup);

    const after = node();
    expect(after.usage.account(id).spent).toMatchObject({ uses: 1, rows: 10 });
    // Set back and used before anybody noticed: that was spent, too.
    const late = after.use('c');
    after.usage.draw(late, { rows: 5 });
    expect(continuesHead(held.head, (await after.heads.signed(id)).head)).toBe(false);
    await expect(after.heads.present(id, held)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('older than what a partner holds'),
    });
    await expect(after.heads.present(id, held)).rejects.toMatchObject({ code: 'conflict' });
    expect(after.heads.disputed(id)).toEqual([held.head]);
    const refused = expect.objectContaining({ code: 'conflict' });
    expect(() => after.use('d')).toThrow(refused);
    // Not even what is charged already.
    expect(() => after.usage.reserve({ agreementId: id, key: 'c', request: { action: 'use' } })).toThrow(refused);
    expect(() => after.usage.draw(late, { rows: 1 })).toThrow(refused);
    expect(() => after.usage.decide(id, { action: 'use' })).toThrow(refused);
    await expect(after.usage.ask(id, { action: 'use' })).rejects.toMatchObject({ code: 'conflict' });
    after.use('other agreements go on', 'urn:agreement:2');
    // Another start of the program forgets nothing.
    after.database.close();
    const again = node();
    expect(() => again.use('d')).toThrow(refused);

    const { entry, head } = await again.heads.reconcile(id, { reason: 'The disk was replaced.' });
    // Before: 2 uses, 40 rows. Since the backup, and not in the head: 1 use, 5 rows; and the 10 rows that the copy had
    // not chained yet when it was made count as if they had left since, on the safe side.
    expect(head.head.spent).toMatchObject({ uses: 3, rows: 55, bytes: 400 });
    expect(entry).toMatchObject({ state: 'committed', basis: { reason: 'The disk was replaced.' } });
    expect(entry.charges).toEqual([
      { meter: 'uses', amount: 1 },
      { meter: 'rows', amount: 40 },
      { meter: 'bytes', amount: 400 },
    ]);
    expect(continuesHead(held.head, head.head)).toBe(true);
    expect(again.events).toMatchObject([{ type: 'reconciled' }]);
    expect((await again.heads.present(id, held)).head).toEqual(head.head);
    again.use('d');
    expect(again.usage.account(id).spent).toMatchObject({ uses: 4, rows: 55 });
    expect(again.reader.verify(id).broken).toBeUndefined();
    await expect(again.heads.reconcile(id, { reason: 'twice' })).rejects.toMatchObject({ code: 'conflict' });

    // The same backup a second time: what was reconciled is lost with it, and is found out again.
    const newest = await again.heads.signed(id);
    await restored(again.database, backup);
    const third = node();
    await expect(third.heads.present(id, newest)).rejects.toMatchObject({ code: 'conflict' });
    const { uses, rows } = newest.head.spent;
    expect((await third.heads.reconcile(id, { reason: 'Again.' })).head.head.spent).toMatchObject({
      uses,
      rows: rows + 10,
    });
    // Heads of both lost branches are covered by what was adopted.
    for (const earlier of [held, head, newest]) await third.heads.present(id, earlier);
    third.database.close();
  });

  test('is found out by a head of the same length too, and by several at once', async () => {
    const before = node();
    const backup = await backedUp(before.database);
    before.use('a');
    const first = await before.heads.signed(id);
    before.use('b');
    const second = await before.heads.signed(id);
    await restored(before.database, backup);
    const after = node();
    for (const key of ['c', 'd', 'e']) after.use(key);
    for (const held of [first, second]) {
      await expect(after.heads.present(id, held)).rejects.toMatchObject({ code: 'conflict' });
    }
    const { head } = await after.heads.reconcile(id, { reason: 'r', atLeast: { uses: 7 } });
    // 2 are in the newer head, 3 came since; the operator knows of more.
    expect(head.head.spent.uses).toBe(7);
    for (const held of [first, second]) await after.heads.present(id, held);
    for (const key of ['f', 'g', 'h']) after.use(key);
    expect(() => after.use('i')).toThrow(expect.objectContaining({ code: 'budget-exhausted' }));
    after.database.close();
  });

  test('without any use since is no backup that anybody could miss', async () => {
    const before = node();
    before.use('a');
    const held = await before.heads.signed(id);
    const backup = await backedUp(before.database);
    await restored(before.database, backup);
    const after = node();
    expect((await after.heads.present(id, held)).head).toEqual(held.head);
    after.database.close();
  });

  test('with a shortened chain whose accounts fit is found out by the head of a partner', async () => {
    const { database, heads, reader, use } = node();
    use('a');
    const before = database.sql.prepare('SELECT * FROM ledger_total').all();
    use('b');
    const held = await heads.signed(id);
    database.sql.exec(`
      DELETE FROM ledger_element WHERE sequence > 2;
      DELETE FROM ledger_charge WHERE entry = 2;
      DELETE FROM ledger_entry WHERE sequence = 2;
      UPDATE ledger_total SET spent = 1 WHERE meter = 'uses';
    `);
    expect(before).toMatchObject([{ spent: 1 }]);
    expect(reader.verify(id).broken).toBeUndefined();
    await expect(heads.present(id, held)).rejects.toMatchObject({ code: 'conflict' });
  });
});
