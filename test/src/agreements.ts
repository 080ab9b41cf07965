import type { SignedAgreement } from '@foedus/connector/operator-client';

/** A constraint of a policy. */
export const constraint = (leftOperand: string, operator: string, rightOperand: unknown) => ({
  leftOperand,
  operator,
  rightOperand,
});

export const countAtMost = (uses: number) => constraint('count', 'lteq', String(uses));

/** A permission under these constraints. */
export const may = (action: string, ...constraints: object[]) => ({ action, constraint: constraints });

/**
 * A final agreement as a connector's store has it, without signatures.
 *
 * @param more what is to be otherwise: parties, target and id are those of the ODRL agreement, too
 */
export function agreementOf(permission: readonly object[], more: Partial<SignedAgreement> = {}): SignedAgreement {
  const role = more.role ?? 'provider';
  const id = more.id ?? 'urn:agreement:1';
  const assigner = more.assigner ?? 'did:web:bdl.example';
  const assignee = more.assignee ?? 'did:web:pvd.example';
  const target = more.target ?? 'urn:flights';
  return {
    id,
    role,
    assigner,
    assignee,
    target,
    agreement: { '@type': 'Agreement', '@id': id, assigner, assignee, target, permission },
    signatures: {},
    finalized: true,
    negotiationId: 'urn:negotiation:1',
    counterPartyId: role === 'provider' ? assignee : assigner,
    counterPartyAddress: 'https://other.example',
    createdAt: '2026-01-01T00:00:00Z',
    ...more,
  };
}
