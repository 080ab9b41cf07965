import { FoedusError } from '@foedus/connector/errors';

export interface CatalogOffer {
  readonly id: string;
  readonly policy: Readonly<Record<string, unknown>>;
}

export interface CatalogEntry {
  readonly id: string;
  readonly title: string;
  readonly formats: readonly string[];
  readonly offers: readonly CatalogOffer[];
}

type Json = Readonly<Record<string, unknown>>;

/** What a person reads of a DSP catalog: its data sets and the offers on each. */
export function catalogEntries(catalog: Json): CatalogEntry[] {
  return objects(catalog.dataset).map((dataset) => ({
    id: text(dataset['@id']),
    title: text(dataset.title ?? dataset['dct:title'] ?? dataset['http://purl.org/dc/terms/title'] ?? ''),
    formats: [...new Set(objects(dataset.distribution).map(({ format }) => text(format)))],
    offers: objects(dataset.hasPolicy).map((policy) => ({ id: text(policy['@id']), policy })),
  }));
}

/**
 * Chooses an offer on a data set.
 *
 * @param wanted an offer's id, or the beginning of it up to a colon (the contract definition); absent: the only one
 * @throws FoedusError `not-found`; the message lists what there is
 */
export function chooseOffer(entries: readonly CatalogEntry[], datasetId: string, wanted?: string): CatalogOffer {
  const entry = entries.find(({ id }) => id === datasetId);
  if (!entry) {
    const known = entries.map(({ id }) => id).join(', ') || 'nothing';
    throw new FoedusError('not-found', `The catalog has no data set ${datasetId}. It offers you: ${known}`);
  }
  const matching = entry.offers.filter(
    ({ id }) => wanted === undefined || id === wanted || plain(id).startsWith(`${wanted}:`),
  );
  if (matching.length === 1) return matching[0]!;
  const known = entry.offers.map(({ id }) => `\n  --offer '${id}'`).join('');
  throw new FoedusError(
    'not-found',
    wanted === undefined
      ? `There are ${entry.offers.length} offers on ${datasetId}. Choose one:${known}`
      : `${matching.length === 0 ? 'No offer' : 'More than one offer'} on ${datasetId} is called ${wanted}. There are:${known}`,
  );
}

function plain(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

const objects = (value: unknown): Json[] =>
  (Array.isArray(value) ? value : value === undefined ? [] : [value]).filter(
    (one): one is Json => typeof one === 'object' && one !== null,
  );

/** A string, or what JSON-LD wraps around one. */
function text(value: unknown): string {
  if (Array.isArray(value)) return text(value[0]);
  if (typeof value === 'object' && value !== null) return text((value as Json)['@value'] ?? (value as Json)['@id']);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
