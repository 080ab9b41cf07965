import type { SignedAgreement } from '@foedus/connector/operator-client';

const CONSUMER = 'did:web:consumer.example';

/** An agreement that this node provides under, as its store has it; `constraint` limits its uses. */
export function providedAgreement(id: string, assigner: string, constraint: readonly object[]): SignedAgreement {
  const parties = { assigner, assignee: CONSUMER, target: 'urn:flights' };
  return {
    id,
    role: 'provider',
    ...parties,
    agreement: { '@type': 'Agreement', '@id': id, ...parties, permission: [{ action: 'use', constraint }] },
    signatures: {},
    finalized: true,
    negotiationId: `urn:negotiation:${id}`,
    counterPartyId: CONSUMER,
    counterPartyAddress: 'https://consumer.example',
    createdAt: '2026-01-01T00:00:00Z',
  };
}

export const countAtMost = (uses: number) => ({
  leftOperand: 'count',
  operator: 'lteq',
  rightOperand: String(uses),
});
