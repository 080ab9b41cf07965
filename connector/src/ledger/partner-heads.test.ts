import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agreementOf } from '../../../test/src/agreements.ts';
import { issueIdentity } from '../../../test/src/identity.ts';
import type { Identity } from '../identity/index.ts';
import { openDatabase } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import type { LedgerHead, SignedHead } from './head.ts';
import { createPartnerHeads } from './partner-heads.ts';

const id = 'urn:agreement:1';
let folder: string;
let provider: Identity;
let other: Identity;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-partner-heads-'));
  provider = await issueIdentity(join(folder, 'provider'), 'did:web:bdl.example');
  other = await issueIdentity(join(folder, 'other'), 'did:web:tul.example');
});
afterAll(() => rm(folder, { recursive: true }));

const now = Date.now();
async function headAt(sequence: number, change: Partial<LedgerHead> = {}, by = provider): Promise<SignedHead> {
  const head: LedgerHead = {
    agreementId: id,
    sequence,
    hash: String(sequence).padStart(64, '0'),
    at: new Date(now + sequence * 1000).toISOString(),
    spent: { uses: sequence, rounds: 0, epsilon: 0, rows: 10 * sequence, bytes: 0 },
    ...change,
  };
  return { head, signature: await by.sign(head) };
}

function partnerHeads(role: 'consumer' | 'provider' = 'consumer') {
  const agreement = agreementOf([], { id, role });
  return createPartnerHeads({
    database: openDatabase(':memory:', migrations),
    agreements: { get: (wanted) => (wanted === 'urn:none' ? undefined : { ...agreement, id: wanted }) },
    identity: provider,
  });
}

test('of a provider’s heads the newest is kept, in whatever order its answers arrive', async () => {
  const heads = partnerHeads();
  expect(heads.get(id)).toBeUndefined();
  for (const sequence of [2, 5, 3, 5, 1]) heads.keep(id, await headAt(sequence));
  expect(heads.get(id)?.head.sequence).toBe(5);
  expect(heads.keep(id, await headAt(4)).head.sequence).toBe(5);
});

test('the head of a ledger that was reconciled takes the place of a longer one that is lost, and only that', async () => {
  const heads = partnerHeads();
  heads.keep(id, await headAt(9));
  const later = { at: new Date(now + 20_000).toISOString(), hash: 'c'.repeat(64) };
  // Set back and not reconciled: less is spent than the lost head says.
  heads.keep(id, await headAt(4, later));
  expect(heads.get(id)?.head.sequence).toBe(9);
  const reconciled = await headAt(4, { ...later, spent: { uses: 9, rounds: 0, epsilon: 0, rows: 95, bytes: 0 } });
  expect(heads.keep(id, reconciled)).toEqual(reconciled);
  expect(heads.get(id)).toEqual(reconciled);
  // From then on it goes on from there.
  const next = { ...later, at: new Date(now + 21_000).toISOString(), hash: 'd'.repeat(64) };
  heads.keep(id, await headAt(5, { ...next, spent: { uses: 10, rounds: 0, epsilon: 0, rows: 95, bytes: 0 } }));
  expect(heads.get(id)?.head).toMatchObject({ sequence: 5, spent: { uses: 10 } });
});

test('what is no head of the provider’s ledger of this agreement is not kept', async () => {
  const heads = partnerHeads();
  const good = await headAt(3);
  const attempts: readonly (readonly [SignedHead, string])[] = [
    [await headAt(3, {}, other), 'bad-signature'],
    [{ ...good, head: { ...good.head, sequence: 4 } }, 'bad-signature'],
    [await headAt(3, { agreementId: 'urn:agreement:2' }), 'bad-request'],
  ];
  for (const [head, code] of attempts) {
    expect(() => heads.keep(id, head)).toThrow(expect.objectContaining({ code }));
  }
  expect(() => heads.keep('urn:none', good)).toThrow(expect.objectContaining({ code: 'not-found' }));
  expect(() => partnerHeads('provider').keep(id, good)).toThrow(expect.objectContaining({ code: 'conflict' }));
  expect(heads.get(id)).toBeUndefined();
});
