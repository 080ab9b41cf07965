import type { Asset, PolicyDefinition } from '../management/model.ts';
import { compactTerms } from '../protocol/terms.ts';
import type { Database } from '../store/database.ts';
import { createAccessDecisions } from './access.ts';
import type { Anchor } from './continuation.ts';
import { conditionOf } from './filter-sql.ts';
import type { CatalogFilter } from './filter.ts';
import type { Publications } from './publications.ts';

/** An offer as it stands in the catalog: rules without a target. */
export type CatalogOffer = Record<string, unknown> & { readonly '@id': string };

/** A data set with the offers that one caller sees. */
export interface OfferedDataset {
  readonly asset: Asset;
  /** Each a `CatalogOffer` as JSON text; at least one. */
  readonly offers: readonly string[];
}

/** A part of the catalog, and where it goes on: absent where there is nothing more. */
export interface CatalogPage {
  readonly datasets: readonly OfferedDataset[];
  readonly next?: Anchor;
  readonly previous?: Anchor;
}

/**
 * What callers see of the published offers. Somebody sees an offer when its contract definition is open to everybody
 * or names it, and its access policy, where it has one, permits it access now.
 */
export interface Offers {
  /** @param from where the page lies; absent: at the filter's offset from the start */
  page(caller: string, query: { filter: CatalogFilter; size: number; from?: Anchor | undefined }): CatalogPage;
  dataset(caller: string, id: string): OfferedDataset | undefined;
  /** The offer with this id, and the asset it is for. */
  find(caller: string, offerId: string): { asset: Asset; offer: CatalogOffer } | undefined;
}

/** An offer's id: the same as long as contract definition and asset are called the same. */
export function offerId(definitionId: string, assetId: string): string {
  return `${encodeURIComponent(definitionId)}:${encodeURIComponent(assetId)}`;
}

/** The published offer with this id, if `caller` may see it, and the asset it is for. */
export function findOffer(
  publications: Publications,
  caller: string,
  id: string,
): { asset: Asset; offer: CatalogOffer } | undefined {
  return publications.offers.find(caller, id);
}

/** Rules kept in memory, and statements: both a few kilobytes each. */
const MOST_POLICIES = 1_000;
const MOST_STATEMENTS = 64;

const VISIBLE = `(
    d.open = 1 OR EXISTS (
      SELECT 1 FROM contract_definition_audience v WHERE v.definition_id = d.id AND v.participant_id = :caller
    )
  ) AND (d.access_policy_id IS NULL OR d.access_policy_id IN (SELECT value FROM json_each(:granted)))`;

/** Data sets of one page with everything about their offers: one query, whatever there is. */
function pageQuery({ sql }: { sql: string }, backwards: boolean): string {
  return `
    WITH page AS MATERIALIZED (
      SELECT a.id, a.body FROM asset a
      WHERE a.id ${backwards ? '<' : '>'} :anchor AND ${sql} AND EXISTS (
        SELECT 1 FROM contract_definition_asset x JOIN contract_definition d ON d.id = x.definition_id
        WHERE x.asset_id = a.id AND ${VISIBLE}
      )
      ORDER BY a.id ${backwards ? 'DESC' : 'ASC'} LIMIT :limit OFFSET :offset
    )
    SELECT page.id, page.body, d.id AS definition, d.policy_id AS policy
    FROM page
    JOIN contract_definition_asset x ON x.asset_id = page.id
    JOIN contract_definition d ON d.id = x.definition_id
    WHERE ${VISIBLE} ORDER BY page.id, d.id`;
}

interface Row {
  readonly id: string;
  readonly body: string;
  readonly definition: string;
  readonly policy: string;
}

export function createOffers(database: Database, clock: () => Date): Offers {
  const { sql } = database;
  const grantedTo = createAccessDecisions(database, clock);
  const rulesOf = createRules(database);
  const statements = new Map<string, ReturnType<typeof sql.prepare>>();
  const prepared = (text: string): ReturnType<typeof sql.prepare> => {
    const known = statements.get(text);
    if (known) return known;
    if (statements.size >= MOST_STATEMENTS) statements.clear();
    const statement = sql.prepare(text);
    statements.set(text, statement);
    return statement;
  };
  const one = sql.prepare(`
    SELECT a.id, a.body, d.id AS definition, d.policy_id AS policy
    FROM asset a
    JOIN contract_definition_asset x ON x.asset_id = a.id
    JOIN contract_definition d ON d.id = x.definition_id
    WHERE a.id = :asset AND (:definition IS NULL OR d.id = :definition) AND ${VISIBLE} ORDER BY d.id`);
  const visible = (caller: string) => ({ caller, granted: JSON.stringify(grantedTo(caller)) });

  const datasetsOf = (rows: readonly Row[]): OfferedDataset[] => {
    const rules = rulesOf(new Set(rows.map(({ policy }) => policy)));
    const datasets = new Map<string, { asset: Asset; offers: string[] }>();
    for (const { id, body, definition, policy } of rows) {
      const dataset = datasets.get(id) ?? { asset: JSON.parse(body) as Asset, offers: [] };
      datasets.set(id, dataset);
      const head = JSON.stringify({ '@id': offerId(definition, id), '@type': 'Offer' });
      dataset.offers.push(`${head.slice(0, -1)},${rules.get(policy)!.slice(1)}`);
    }
    return [...datasets.values()];
  };
  const dataset = (caller: string, asset: string, definition: string | null): OfferedDataset | undefined =>
    datasetsOf(one.all({ ...visible(caller), asset, definition }) as unknown as Row[])[0];

  return {
    page: (caller, { filter, size, from }) => {
      const backwards = from !== undefined && 'before' in from;
      const condition = conditionOf(filter.criteria);
      const limit = Math.min(size, filter.limit ?? size);
      const rows = prepared(pageQuery(condition, backwards)).all({
        ...visible(caller),
        ...condition.parameters,
        anchor: from === undefined ? '' : 'before' in from ? from.before : from.after,
        // One more than asked for tells whether there is another page.
        limit: limit + 1,
        offset: from === undefined ? filter.offset : 0,
      }) as unknown as Row[];
      const ids = [...new Set(rows.map(({ id }) => id))];
      const kept = new Set(backwards ? ids.slice(-limit) : ids.slice(0, limit));
      const more = ids.length > limit;
      const [first] = kept;
      const last = [...kept].at(-1);
      const datasets = datasetsOf(rows.filter(({ id }) => kept.has(id)));
      if (first === undefined || last === undefined) return { datasets };
      const earlier = backwards ? more : from !== undefined || filter.offset > 0;
      const later = backwards || more;
      return {
        datasets,
        ...(later ? { next: { after: last } } : {}),
        ...(earlier ? { previous: { before: first } } : {}),
      };
    },
    dataset: (caller, id) => dataset(caller, id, null),
    find: (caller, id) => {
      if (!id.isWellFormed()) return undefined;
      const [definition, asset, ...others] = id.split(':').map(decoded);
      if (definition === undefined || asset === undefined || others.length > 0) return undefined;
      // An id is known under one spelling only.
      if (offerId(definition, asset) !== id) return undefined;
      const found = dataset(caller, asset, definition);
      return found && { asset: found.asset, offer: JSON.parse(found.offers[0]!) as CatalogOffer };
    },
  };
}

/**
 * What offers say by their policies, as JSON text, made once for each policy: parties and target are the negotiation's,
 * not the template's.
 */
function createRules({ sql }: Database): (ids: ReadonlySet<string>) => ReadonlyMap<string, string> {
  const bodies = sql.prepare('SELECT id, body FROM policy WHERE id IN (SELECT value FROM json_each(?))');
  const cache = new Map<string, { readonly body: string; readonly rules: string }>();
  const dropped = new Set(['@context', '@id', '@type', 'target', 'assigner', 'assignee']);
  return (ids) => {
    if (cache.size >= MOST_POLICIES) cache.clear();
    const found = new Map<string, string>();
    for (const { id, body } of bodies.all(JSON.stringify([...ids])) as { id: string; body: string }[]) {
      let known = cache.get(id);
      if (known?.body !== body) {
        const { policy } = JSON.parse(body) as PolicyDefinition;
        const terms = Object.entries(compactTerms(policy) as Record<string, unknown>);
        known = { body, rules: JSON.stringify(Object.fromEntries(terms.filter(([key]) => !dropped.has(key)))) };
        cache.set(id, known);
      }
      found.set(id, known.rules);
    }
    return found;
  };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
