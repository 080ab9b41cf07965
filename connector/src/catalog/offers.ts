import type { Asset, ContractDefinition, PolicyDefinition } from '../management/model.ts';
import { compactTerms } from '../protocol/terms.ts';
import type { Publications } from './publications.ts';

/** An offer as it stands in the catalog: rules without a target. */
export type CatalogOffer = Record<string, unknown> & { readonly '@id': string };

/** A data set with the offers that one caller sees. */
export interface OfferedDataset {
  readonly asset: Asset;
  readonly offers: readonly [CatalogOffer, ...CatalogOffer[]];
}

/** An offer's id: the same as long as contract definition and asset are called the same. */
export function offerId(definitionId: string, assetId: string): string {
  return `${encodeURIComponent(definitionId)}:${encodeURIComponent(assetId)}`;
}

/** The policy as an offer: parties and target are the negotiation's, not the template's. */
export function offerOf(definition: ContractDefinition, { policy }: PolicyDefinition, assetId: string): CatalogOffer {
  const dropped = new Set(['@context', '@id', '@type', 'target', 'assigner', 'assignee']);
  const rules = Object.entries(compactTerms(policy) as Record<string, unknown>).filter(([key]) => !dropped.has(key));
  return { '@id': offerId(definition.id, assetId), '@type': 'Offer', ...Object.fromEntries(rules) };
}

/**
 * What `caller` may see: assets with at least one contract definition that is open to everybody or names the caller.
 */
export function offersTo(publications: Publications, caller: string): OfferedDataset[] {
  const offers = new Map<string, CatalogOffer[]>();
  for (const definition of publications.contractDefinitions.list()) {
    if (definition.audience && !definition.audience.includes(caller)) continue;
    const policy = publications.policies.get(definition.policy);
    if (!policy) continue;
    for (const assetId of new Set(definition.assets)) {
      const known = offers.get(assetId) ?? [];
      offers.set(assetId, [...known, offerOf(definition, policy, assetId)]);
    }
  }
  return publications.assets.list().flatMap((asset) => {
    const [first, ...others] = offers.get(asset.id) ?? [];
    return first ? [{ asset, offers: [first, ...others] as const }] : [];
  });
}

/** The published offer with this id, if `caller` may see it, and the asset it is for. */
export function findOffer(
  publications: Publications,
  caller: string,
  id: string,
): { asset: Asset; offer: CatalogOffer } | undefined {
  for (const { asset, offers } of offersTo(publications, caller)) {
    const offer = offers.find((candidate) => candidate['@id'] === id);
    if (offer) return { asset, offer };
  }
  return undefined;
}
