import type { Database } from '../store/database.ts';
import type { Delivery } from './model.ts';

/** Something that this node has to tell somebody: what is told, and what has become of it. */
export interface Parcel {
  readonly delivery: Delivery;
  /** What goes out in order with others: one log, one address, one participant. */
  readonly lane: string;
  /** JSON. */
  readonly payload: unknown;
}

/** The outbox of log entries, notices and receipts. All inside the caller's transaction. */
export interface DeliveryStore {
  insert(parcel: Parcel): void;
  save(delivery: Delivery): void;
  /** Lanes with something in them. */
  lanes(): string[];
  /** The oldest of a lane. */
  first(lane: string): Parcel | undefined;
  /** The use of a ledger entry is final: what waited for that goes out. @returns their lanes */
  release(entryId: string): string[];
  /** The use of a ledger entry never was. */
  drop(entryId: string): void;
  /** Those that a use waited for when the node went down: the use was not let happen. */
  abandoned(): Delivery[];
}

/** @returns the store over the tables of the migration `duties` */
export function createDeliveryStore({ sql }: Database): DeliveryStore {
  const insert = sql.prepare(
    'INSERT INTO duty_delivery (id, lane, state, entry_id, payload, body) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const save = sql.prepare('UPDATE duty_delivery SET state = ?, body = ? WHERE id = ?');
  // Uses are told of in the order in which they became final.
  const toEnd = sql.prepare(
    'UPDATE duty_delivery SET sequence = (SELECT max(sequence) + 1 FROM duty_delivery) WHERE id = ?',
  );
  const lanes = sql.prepare("SELECT DISTINCT lane FROM duty_delivery WHERE state = 'queued'");
  const first = sql.prepare(
    "SELECT lane, payload, body FROM duty_delivery WHERE state = 'queued' AND lane = ? ORDER BY sequence LIMIT 1",
  );
  const held = sql.prepare("SELECT lane, body FROM duty_delivery WHERE state = 'held' AND entry_id = ?");
  const drop = sql.prepare("DELETE FROM duty_delivery WHERE state = 'held' AND entry_id = ?");
  const abandoned = sql.prepare("SELECT body FROM duty_delivery WHERE state = 'held' AND entry_id IS NULL");
  const read = ({ body }: { body: string }): Delivery => JSON.parse(body) as Delivery;
  const store = (delivery: Delivery): void => void save.run(delivery.state, JSON.stringify(delivery), delivery.id);
  return {
    insert: ({ delivery, lane, payload }) =>
      void insert.run(
        delivery.id,
        lane,
        delivery.state,
        delivery.entryId ?? null,
        JSON.stringify(payload),
        JSON.stringify(delivery),
      ),
    save: store,
    lanes: () => (lanes.all() as { lane: string }[]).map(({ lane }) => lane),
    first: (lane) => {
      const row = first.get(lane) as { lane: string; payload: string; body: string } | undefined;
      return row && { lane, payload: JSON.parse(row.payload) as unknown, delivery: read(row) };
    },
    release: (entryId) =>
      (held.all(entryId) as { lane: string; body: string }[]).map((row) => {
        const delivery = read(row);
        store({ ...delivery, state: 'queued' });
        toEnd.run(delivery.id);
        return row.lane;
      }),
    drop: (entryId) => void drop.run(entryId),
    abandoned: () => (abandoned.all() as { body: string }[]).map(read),
  };
}
