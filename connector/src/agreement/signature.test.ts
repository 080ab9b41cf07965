import { createAuthority, type Authority } from '@foedus/certs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrol } from '../../../test/src/identity.ts';
import { readTrustAnchors, type Identity } from '../identity/index.ts';
import { signAgreement, verifyAgreement } from './signature.ts';

const BDL = 'did:web:bdl.example';
const PVD = 'did:web:pvd.example';
let root: string;
let authority: Authority;
let provider: Identity;
let consumer: Identity;

const identity = (participantId: string, name: string, more?: { now?: Date; validDays?: number }) =>
  enrol(authority, participantId, join(root, name), more);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foedus-agreement-'));
  authority = await createAuthority({ directory: join(root, 'ca'), name: 'Test data space' });
  provider = await identity(BDL, 'bdl', { validDays: 30 });
  consumer = await identity(PVD, 'pvd');
});
afterAll(() => rm(root, { recursive: true, force: true }));

const agreement = (timestamp = new Date().toISOString()) => ({
  '@id': 'urn:uuid:1',
  '@type': 'Agreement',
  assigner: BDL,
  assignee: PVD,
  target: 'flights',
  timestamp,
  permission: [{ action: 'use' }],
});
const signed = async (text = agreement()) => ({
  id: 'urn:uuid:1',
  assigner: BDL,
  assignee: PVD,
  agreement: text as Record<string, unknown>,
  signatures: { provider: await signAgreement(provider, text), consumer: await signAgreement(consumer, text) },
  createdAt: text.timestamp,
});

describe('an agreement', () => {
  it('is valid when both parties have signed it', async () => {
    const report = await verifyAgreement({ trust: readTrustAnchors(authority.certificatePem) }, await signed());
    expect(report.valid).toBe(true);
    expect(report.signatures.map(({ text }) => text)).toEqual([
      `Signed by the provider, ${BDL}.`,
      `Signed by the consumer, ${PVD}.`,
    ]);
    expect(report.signatures[0].certificate?.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(report.signatures[0].certificate?.fingerprint).not.toBe(report.signatures[1].certificate?.fingerprint);
  });

  it('is not valid when a signature is missing, made by the other side, or of another text', async () => {
    const whole = await signed();
    const { provider: first, consumer: second } = whole.signatures;
    const missing = await verifyAgreement(consumer, { ...whole, signatures: { provider: first } });
    expect(missing).toMatchObject({ valid: false, signatures: [{ status: 'valid' }, { status: 'missing' }] });
    const swapped = await verifyAgreement(consumer, { ...whole, signatures: { provider: second, consumer: first } });
    expect(swapped).toMatchObject({ valid: false, signatures: [{ status: 'invalid' }, { status: 'invalid' }] });
    expect(swapped.signatures[0].text).toContain(`it was made by ${PVD}`);
    const changed = { ...whole.agreement, permission: [] };
    const other = await verifyAgreement(consumer, { ...whole, agreement: changed });
    expect(other.signatures[1].text).toContain('changed after it was signed');
  });

  it('whose record names other parties than the signed text is refused', async () => {
    const whole = await signed();
    for (const change of [{ assigner: PVD }, { assignee: BDL }, { id: 'urn:uuid:2' }]) {
      await expect(verifyAgreement(consumer, { ...whole, ...change })).rejects.toThrow('The record was changed');
    }
    await expect(verifyAgreement(consumer, { ...whole, agreement: {} })).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('stays valid after the certificates have expired, and says so', async () => {
    const later = new Date(Date.now() + 40 * 86_400_000);
    const report = await verifyAgreement(consumer, await signed(), later);
    expect(report.valid).toBe(true);
    expect(report.signatures[0].text).toContain('expired since');
    expect(report.signatures[0].certificate?.validNow).toBe(false);
    expect(report.signatures[1].certificate?.validNow).toBe(true);
  });

  it('is not valid when a certificate was not valid at its time', async () => {
    const old = agreement(new Date(Date.now() - 86_400_000).toISOString());
    const report = await verifyAgreement(consumer, await signed(old));
    expect(report.signatures[0]).toMatchObject({ status: 'invalid', text: expect.stringContaining('is valid from') });
  });

  it('is signed by its parties only', async () => {
    const third = await identity('did:web:tul.example', 'tul');
    await expect(signAgreement(third, agreement())).rejects.toThrow('is not a party');
    await expect(signAgreement(provider, { assigner: BDL })).rejects.toMatchObject({ code: 'bad-request' });
  });
});
