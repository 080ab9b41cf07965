import { FoedusError } from '../errors.ts';
import type { Events } from '../events.ts';
import { filteredColumns, type GrantedPlan } from '../data-plane/scan/scan-plan.ts';
import type { Database } from '../store/database.ts';
import type { Transact } from '../store/transact.ts';
import type { AssetSchema, Drift, SchemaColumn } from './model.ts';

/** A column as its source has it. */
interface FoundColumn {
  readonly name: string;
  readonly shownType: string;
}

/**
 * The schemas of data sets as they were published. A data set that has changed since is served only as far as the
 * change cannot mean something else than what was agreed.
 */
export interface SchemaPins {
  /**
   * Cuts a plan to the schema that its data set was published with; the first time, the schema is pinned.
   *
   * Columns that have been added leave only where the agreement names them. A column that the agreement grants, filters
   * by or masks, and that has another type now, denies.
   *
   * @throws FoedusError `not-permitted`, naming the column
   */
  applied(assetId: string, columns: readonly FoundColumn[], plan: GrantedPlan): GrantedPlan;
  /** The schema as pinned, and how it differs from `columns`. Pins where nothing is pinned yet. */
  compared(assetId: string, columns: readonly FoundColumn[]): AssetSchema;
  /** Pins `columns` in the place of what is pinned. */
  repin(assetId: string, columns: readonly FoundColumn[]): AssetSchema;
}

interface Pin {
  readonly columns: readonly SchemaColumn[];
  readonly pinnedAt: string;
}

export function createSchemaPins(options: {
  readonly database: Database;
  readonly transact: Transact;
  readonly events: Pick<Events, 'record'>;
  readonly clock: () => Date;
}): SchemaPins {
  const { database, transact, events, clock } = options;
  const read = database.sql.prepare('SELECT columns, pinned_at AS pinnedAt FROM asset_schema WHERE asset_id = ?');
  // A data set may be deleted while it is open: then there is nothing to pin.
  const insert = database.sql.prepare(
    `INSERT INTO asset_schema (asset_id, columns, pinned_at) SELECT id, ?, ? FROM asset WHERE id = ?
     ON CONFLICT (asset_id) DO UPDATE SET columns = excluded.columns, pinned_at = excluded.pinned_at, drift = NULL`,
  );
  const drifted = database.sql.prepare('UPDATE asset_schema SET drift = ?1 WHERE asset_id = ?2 AND drift IS NOT ?1');

  const schemaOf = (columns: readonly FoundColumn[]): SchemaColumn[] =>
    columns.map(({ name, shownType }) => ({ name, type: shownType }));
  const pin = (assetId: string, columns: readonly FoundColumn[]): Pin => {
    const pinned = { columns: schemaOf(columns), pinnedAt: clock().toISOString() };
    insert.run(JSON.stringify(pinned.columns), pinned.pinnedAt, assetId);
    return pinned;
  };
  const pinOf = (assetId: string, columns: readonly FoundColumn[]): Pin => {
    const find = (): Pin | undefined => {
      const row = read.get(assetId) as { columns: string; pinnedAt: string } | undefined;
      return row && { columns: JSON.parse(row.columns) as SchemaColumn[], pinnedAt: row.pinnedAt };
    };
    return find() ?? transact(() => find() ?? pin(assetId, columns));
  };
  /** Notes a drift once, and tells the operator of it. */
  const note = (assetId: string, drift: Drift | null): void => {
    const text = drift === null ? null : JSON.stringify(drift);
    transact((transaction) => {
      if (drifted.run(text, assetId).changes === 0 || drift === null) return;
      events.record(transaction, { type: 'schema', assetId, drift });
    });
  };

  return {
    applied: (assetId, columns, plan) => {
      const pinned = pinOf(assetId, columns);
      const drift = driftOf(pinned.columns, schemaOf(columns));
      if (drift === null) return plan;
      note(assetId, drift);
      const present = new Set(columns.map(({ name }) => name));
      const kept = pinned.columns.map(({ name }) => name).filter((name) => present.has(name));
      const granted = plan.columns === 'all' ? kept : plan.columns;
      const touched = new Set([
        ...granted,
        ...Object.keys(plan.masks),
        ...(plan.named ?? []),
        ...(plan.rowFilter === null ? [] : filteredColumns(plan.rowFilter)),
      ]);
      const changed = drift.changed.find(({ name }) => touched.has(name));
      if (changed !== undefined) {
        throw new FoedusError(
          'not-permitted',
          `The column "${changed.name}" has the type ${changed.to} now; the data set was published with ${changed.from}. Its provider has to publish it anew.`,
        );
      }
      return { ...plan, columns: granted };
    },
    compared: (assetId, columns) => {
      const { pinnedAt, columns: pinned } = pinOf(assetId, columns);
      const drift = driftOf(pinned, schemaOf(columns));
      note(assetId, drift);
      return { assetId, pinnedAt, columns: [...pinned], drift };
    },
    repin: (assetId, columns) => {
      const { pinnedAt, columns: pinned } = transact(() => pin(assetId, columns));
      return { assetId, pinnedAt, columns: [...pinned], drift: null };
    },
  };
}

/** How `now` differs from what was pinned; null where it does not. The order of columns is no difference. */
export function driftOf(pinned: readonly SchemaColumn[], now: readonly SchemaColumn[]): Drift | null {
  const before = new Map(pinned.map(({ name, type }) => [name, type]));
  const after = new Map(now.map(({ name, type }) => [name, type]));
  const drift = {
    added: now.filter(({ name }) => !before.has(name)).map(({ name }) => name),
    vanished: pinned.filter(({ name }) => !after.has(name)).map(({ name }) => name),
    changed: pinned.flatMap(({ name, type }) => {
      const to = after.get(name);
      return to === undefined || to === type ? [] : [{ name, from: type, to }];
    }),
  };
  return Object.values(drift).every((part) => part.length === 0) ? null : drift;
}
