import { writeFile } from 'node:fs/promises';
import { ownConnector } from '../own-connector.ts';
import { print, printTable, time } from '../terminal.ts';

export interface MakeProfile {
  readonly config: string;
  readonly out: string;
  readonly purpose?: string;
  readonly name?: string;
  readonly days: number;
}

/** Makes a profile file for Delta Sharing clients, and shows how to read with it. */
export async function makeProfile(agreements: readonly string[], options: MakeProfile): Promise<void> {
  const { config, out, purpose, name, days } = options;
  const { operator } = await ownConnector(config);
  const expiresAt = new Date(Date.now() + days * 86_400_000).toISOString();
  const { profile, tables } = await operator.createShareProfile({
    agreements: [...agreements],
    expiresAt,
    ...(purpose !== undefined && { purpose }),
    ...(name !== undefined && { name }),
  });
  await writeFile(out, `${JSON.stringify(profile, null, 2)}\n`, { mode: 0o600 });
  print(`Wrote ${out}, good until ${time(expiresAt)}. Whoever has it reads in your name: each query is a use.`);
  for (const table of tables)
    print(`  delta_sharing.load_as_pandas("${out}#${table.share}.${table.schema}.${table.name}")`);
}

/** Lists profiles, those included that are no longer good. */
export async function listProfiles({ config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const now = new Date();
  const rows = (await operator.shareProfiles()).map(({ id, name, tables, expiresAt, revokedAt }) => [
    id,
    name,
    tables.map(({ share, schema, name: table }) => `${share}.${schema}.${table}`).join(', '),
    revokedAt !== undefined
      ? `revoked ${time(revokedAt)}`
      : expiresAt === undefined
        ? 'good'
        : `${new Date(expiresAt) > now ? 'good until' : 'expired'} ${time(expiresAt)}`,
  ]);
  printTable(
    ['id', 'name', 'tables', 'state'],
    rows,
    'There are no profiles. foedus share profile AGREEMENT makes one.',
  );
}

/** Revokes a profile. */
export async function revokeProfile(id: string, { config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  await operator.revokeShareProfile(id);
  print(`The profile ${id} lets nobody in any more.`);
}
