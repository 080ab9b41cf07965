/** A use as local rules see it. */
import { TRAIN } from '../terms.ts';
import type { PermittedUse } from './local-rules.ts';

/** ODRL's actions by their short name, ours too, others as IRI. */
export function actionName(action: string): string {
  return action === TRAIN ? 'train' : action;
}

/** The `input` document of an OPA query. */
export function useDocument({ agreementId, dataSet, request, state, decision }: PermittedUse): Record<string, unknown> {
  const { action, assignee, at, purpose, columns, training } = request;
  return {
    agreement: agreementId,
    policyDigest: decision.policyDigest,
    dataSet,
    action: actionName(action),
    assignee,
    at: at.toISOString(),
    ...(purpose !== undefined && { purpose }),
    ...(columns !== undefined && { columns }),
    ...(training !== undefined && { training }),
    spent: state.spent,
    plan: decision.plan,
    charges: decision.charges,
  };
}
