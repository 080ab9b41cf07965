import { DatabaseSync } from 'node:sqlite';

/** Every row of every table, as one line of JSON each. */
export type StoreRows = ReadonlySet<string>;

/** Tables that say nothing about processes: they change when an operator's token is used. */
const LEFT_OUT = new Set(['sqlite_sequence', 'access_token']);

/** Reads a connector's store from outside, while it is at work. */
export function readStore(path: string): StoreRows {
  const sql = new DatabaseSync(path, { readOnly: true });
  try {
    const rows = new Set<string>();
    sql.exec('BEGIN');
    const tables = sql.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all() as { name: string }[];
    for (const { name } of tables) {
      if (LEFT_OUT.has(name)) continue;
      for (const row of sql.prepare(`SELECT * FROM "${name}"`).all()) rows.add(JSON.stringify({ table: name, ...row }));
    }
    sql.exec('COMMIT');
    return rows;
  } finally {
    sql.close();
  }
}

/**
 * @param touched ids of all processes that an accepted message was about
 * @returns rows that came, went or changed although nothing about them was accepted
 */
export function unexplained(before: StoreRows, after: StoreRows, touched: ReadonlySet<string>): string[] {
  const changed = [...after].filter((row) => !before.has(row)).concat([...before].filter((row) => !after.has(row)));
  // An agreement is touched with the negotiation that it comes from; later rows may name nothing else.
  const ids = new Set(touched);
  for (const row of after) {
    const { table, body } = JSON.parse(row) as { table: string; body?: string };
    if (table !== 'negotiation' || body === undefined) continue;
    const { id, agreementId } = JSON.parse(body) as { id: string; agreementId?: string };
    if (touched.has(id) && agreementId !== undefined) ids.add(agreementId);
  }
  const uuid = /urn:uuid:[0-9a-f-]{36}/g;
  // An agreement's id is whatever its provider has called it.
  const others = [...ids].filter((id) => !id.match(uuid)).map((id) => JSON.stringify(id).slice(1, -1));
  return changed.filter((row) => {
    if (row.startsWith('{"table":"data_flow"')) return touched.size === 0;
    if ([...row.matchAll(uuid)].some(([id]) => ids.has(id))) return false;
    const texts = Object.values(JSON.parse(row) as Record<string, unknown>).map(String);
    return !others.some((id) => texts.some((text) => text.includes(id)));
  });
}
