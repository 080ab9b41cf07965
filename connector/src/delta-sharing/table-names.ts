import type { ShareTable } from './model.ts';

/** The schema that all tables are in: agreements have no third level of names. */
const SCHEMA = 'default';

const LONGEST = 100;

/**
 * Names that Delta Sharing clients can use for agreements: the provider is the share, the data set the table. Clients
 * write `share.schema.table` and put the names into paths, so they have letters, digits and underscores only.
 *
 * @returns tables in the order of the agreements; no two of one share have the same name, whatever their case
 */
export function nameTables(
  agreements: readonly { readonly agreementId: string; readonly assigner: string; readonly target: string }[],
): ShareTable[] {
  const taken = new Set<string>();
  // Two participants may come out alike: then the second has a number too.
  const shares = new Map<string, string>();
  return agreements.map(({ agreementId, assigner, target }) => {
    let share = shares.get(assigner);
    if (share === undefined) {
      share = unique(plain(assigner.replace(/^did:web:/, '')), new Set(shares.values()));
      shares.set(assigner, share);
    }
    const inShare = new Set(
      [...taken].filter((name) => name.startsWith(`${share}.`)).map((name) => name.slice(share.length + 1)),
    );
    const name = unique(plain(target), inShare);
    taken.add(`${share}.${name}`);
    return { share, schema: SCHEMA, name, agreementId };
  });
}

/** The end of an identifier says more than its beginning. */
function plain(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '');
  return name.slice(-LONGEST) || 'table';
}

function unique(name: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}_${number}`;
    if (!taken.has(candidate)) return candidate;
  }
}
