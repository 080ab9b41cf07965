import type { OperatorClient, SignedAgreement } from '@foedus/connector/operator-client';
import type { Narrator } from '../narrator.ts';

/** A data set's entry in a catalog, as far as the story reads it. */
interface DatasetEntry {
  readonly id: string;
  readonly offers: readonly { readonly id: string; readonly policy: Record<string, unknown> }[];
}

/** The data sets and offers of a DSP Catalog. */
export function datasetsOf(catalog: Record<string, unknown>): DatasetEntry[] {
  const datasets = (catalog['dataset'] ?? []) as Record<string, unknown>[];
  return datasets.map((dataset) => ({
    id: String(dataset['@id']),
    offers: ((dataset['hasPolicy'] ?? []) as Record<string, unknown>[]).map((policy) => ({
      id: String(policy['@id']),
      policy,
    })),
  }));
}

/**
 * Finds the offer of one contract definition in a partner's catalog, negotiates it, and waits until both have signed.
 *
 * @throws Error with the partner's reason when the negotiation was terminated
 */
export async function negotiate(
  operator: OperatorClient,
  wanted: { counterPartyAddress: string; datasetId: string; contractDefinitionId: string },
  narrator: Narrator,
): Promise<SignedAgreement> {
  const { counterPartyAddress, datasetId, contractDefinitionId } = wanted;
  const datasets = datasetsOf(await operator.requestCatalog(counterPartyAddress));
  const offer = datasets
    .find((dataset) => dataset.id === datasetId)
    ?.offers.find((candidate) => decodeURIComponent(candidate.id).startsWith(`${contractDefinitionId}:`));
  if (offer === undefined) throw new Error(`${counterPartyAddress} offers no ${contractDefinitionId} for ${datasetId}`);
  const started = performance.now();
  const request = await operator.negotiate({ counterPartyAddress, datasetId, offerId: offer.id });
  const end = await operator.negotiationUntil(request.id, ['FINALIZED', 'TERMINATED']);
  if (end.state === 'TERMINATED' || end.agreementId === undefined)
    throw new Error(`The negotiation was terminated: ${end.reason ?? 'no reason given'}`);
  const agreement = await operator.agreement(end.agreementId);
  const signed = [agreement.signatures.provider, agreement.signatures.consumer].filter(Boolean).length;
  const milliseconds = Math.round(performance.now() - started);
  narrator.say(
    `${short(agreement.assignee)} ⇄ ${short(agreement.assigner)}: requested, agreed, verified, finalized in ${milliseconds} ms; ${signed} signatures; ${agreement.id}`,
  );
  return agreement;
}

/** `did:web:bdl.example` → `bdl`. */
export const short = (participantId: string): string =>
  participantId.replace(/^did:web:/, '').replace(/\.example$/, '');
