import type { Enforcement } from '@foedus/usage-policies';
import { describe, expect, test } from 'vitest';
import { refusalOf } from '../catalog/refusal.ts';
import type { Negotiation } from '../management/model.ts';
import type { NegotiationDecisions } from './decisions.ts';
import { refusing } from './refusals.ts';

const offerOf = (...constraint: object[]) => ({
  '@id': 'urn:offer',
  '@type': 'Offer',
  permission: [{ action: 'use', constraint }],
});
const until = { leftOperand: 'dateTime', operator: 'lt', rightOperand: '2027-01-01T00:00:00Z' };
const inGermany = { leftOperand: 'spatial', operator: 'eq', rightOperand: 'urn:de' };
const forResearch = { leftOperand: 'purpose', operator: 'eq', rightOperand: 'urn:research' };

const negotiation = (more: Partial<Negotiation> = {}): Negotiation => ({
  id: 'urn:n',
  role: 'provider',
  state: 'REQUESTED',
  counterPartyId: 'did:web:pvd.example',
  counterPartyAddress: 'https://pvd.example',
  datasetId: 'flights',
  initiatedBy: 'consumer',
  offer: offerOf(until),
  createdAt: '2026-01-01T00:00:00Z',
  updatedAt: '2026-01-01T00:00:00Z',
  ...more,
});
const bold: NegotiationDecisions = { onRequest: () => ({ kind: 'agree' }), onOffer: () => ({ kind: 'accept' }) };
const strict: readonly Enforcement[] = ['not-understood'];

describe('a node that refuses what is not understood', () => {
  test('says which rule is in the way', () => {
    expect(refusalOf(offerOf(until, forResearch), strict)).toBeUndefined();
    expect(refusalOf(offerOf(until, inGermany), strict)).toBe(
      'This node refuses rules that are not understood: the place of use is urn:de',
    );
    expect(refusalOf({ permission: [{}] }, strict)).toMatch(/cannot be read/);
  });

  test('agrees to nothing of it, whoever has decided', async () => {
    const decisions = refusing(bold, strict);
    const right = negotiation();
    const wrong = negotiation({ offer: offerOf(inGermany) });
    expect(await decisions.onRequest(right)).toEqual({ kind: 'agree' });
    expect(await decisions.onRequest(wrong)).toMatchObject({ kind: 'terminate' });
    expect(await decisions.onOffer(right)).toEqual({ kind: 'accept' });
    expect(await decisions.onOffer(wrong)).toMatchObject({ kind: 'terminate' });
    expect(await decisions.onOffer(negotiation({ counterOffer: offerOf(inGermany) }))).toMatchObject({
      kind: 'terminate',
    });
    expect(await decisions.onStep?.(right)).toEqual({ kind: 'proceed' });
    expect(await decisions.onStep?.(wrong)).toMatchObject({ kind: 'terminate' });
  });

  test('offers and asks for nothing of it either', async () => {
    const offer = offerOf(inGermany);
    const decisions = refusing(
      { onRequest: () => ({ kind: 'offer', offer }), onOffer: () => ({ kind: 'request', offer }) },
      strict,
    );
    expect(await decisions.onRequest(negotiation())).toMatchObject({ kind: 'terminate' });
    expect(await decisions.onOffer(negotiation())).toMatchObject({ kind: 'terminate' });
  });

  test('lets others wait, ask and decline as they like', async () => {
    const wrong = negotiation({ offer: offerOf(inGermany) });
    for (const decision of [{ kind: 'wait' }, { kind: 'ask', why: 'x' }, { kind: 'terminate', reason: 'y' }] as const) {
      const decisions = refusing({ onRequest: () => decision, onOffer: () => decision }, strict);
      expect(await decisions.onRequest(wrong)).toBe(decision);
      expect(await decisions.onOffer(wrong)).toBe(decision);
    }
  });
});

test('a node that refuses nothing leaves decisions as they are', () => {
  expect(refusing(bold, [])).toBe(bold);
  expect(refusalOf(offerOf(inGermany), [])).toBeUndefined();
});

test('a node that refuses mere evidence refuses purposes', () => {
  expect(refusalOf(offerOf(forResearch), ['evidence-only'])).toBe(
    'This node refuses rules that are evidence only: the purpose is urn:research',
  );
});
