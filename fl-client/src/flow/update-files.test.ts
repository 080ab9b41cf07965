import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createUpdateFiles } from './update-files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-updates-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const hash = 'ab'.repeat(32);

test('an update is found again with its bytes and the model that it was trained from', async () => {
  const session = join(folder, 'session');
  await createUpdateFiles(session, 'update').write(3, hash, Uint8Array.of(1, 2, 3));
  const found = await createUpdateFiles(session, 'update').find(3);
  expect(found).toMatchObject({ round: 3, of: hash });
  expect(await found!.read()).toEqual(Uint8Array.of(1, 2, 3));
  expect((await stat(join(session, `3-${hash}.update`))).mode & 0o777).toBe(0o600);
});

test('what a crash left half-written is no update', async () => {
  await writeFile(join(folder, `3-${hash}.update.0a1b2c.new`), 'half');
  await writeFile(join(folder, 'evaluation.json'), '{}');
  const updates = createUpdateFiles(folder, 'update');
  expect(await updates.find(3)).toBeUndefined();
  await updates.keepOnly(null);
  expect(await readdir(folder)).toContain('evaluation.json');
});

test('only the update of the round that is open is kept', async () => {
  const updates = createUpdateFiles(folder, 'update');
  for (const round of [1, 2, 3]) await updates.write(round, hash, Uint8Array.of(round));
  await updates.keepOnly(2);
  expect(await updates.find(1)).toBeUndefined();
  expect(await (await updates.find(2))?.read()).toEqual(Uint8Array.of(2));
  await updates.keepOnly(null);
  expect(await readdir(folder)).toEqual([]);
});

test('a session without a folder has no updates', async () => {
  const updates = createUpdateFiles(join(folder, 'nothing'), 'update');
  expect(await updates.find(1)).toBeUndefined();
  await updates.keepOnly(null);
});

test('what is written and deleted is known as it is in the folder', async () => {
  const updates = createUpdateFiles(join(folder, 'new'), 'update');
  const other = 'cd'.repeat(32);
  expect(await updates.find(1)).toBeUndefined();
  await updates.write(1, hash, Uint8Array.of(1));
  await updates.write(2, hash, Uint8Array.of(2));
  await updates.write(2, other, Uint8Array.of(3));
  await updates.keepOnly(2);
  await updates.write(3, hash, Uint8Array.of(4));
  const again = createUpdateFiles(join(folder, 'new'), 'update');
  for (const round of [1, 2, 3]) {
    const [here, there] = [await updates.find(round), await again.find(round)];
    expect([here?.of, await here?.read()]).toEqual([there?.of, await there?.read()]);
  }
  expect(await updates.find(1)).toBeUndefined();
});

test('a write that fails leaves nothing behind that could be taken for an update', async () => {
  const file = join(folder, 'file');
  await writeFile(file, 'no folder');
  const updates = createUpdateFiles(join(file, 'session'), 'update');
  await expect(updates.write(1, hash, Uint8Array.of(1))).rejects.toThrow(/ENOTDIR/);
  await rm(file);
  expect(await updates.find(1)).toBeUndefined();
  await updates.write(1, hash, Uint8Array.of(1));
  expect(await (await updates.find(1))?.read()).toEqual(Uint8Array.of(1));
});
