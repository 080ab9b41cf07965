import { FoedusError } from '@foedus/connector/errors';
import type { AssetProfile, AssetSchema, OperatorClient } from '@foedus/connector/operator-client';
import { ownConnector } from '../own-connector.ts';
import { clean, endProgress, print, printTable, progress } from '../terminal.ts';

export interface ProfileAsset {
  readonly config: string;
  readonly again?: true;
  readonly json?: true;
}

/** How long one question is held open, in seconds. */
const WAIT = 25;

/** Shows what a data set holds, once the connector has looked at it, and a constraint with the suggested masks. */
export async function profileAsset(id: string, options: ProfileAsset): Promise<void> {
  const { operator } = await ownConnector(options.config);
  if (options.again) await operator.profileAsset(id);
  const profile = await profiled(operator, id);
  if (options.json) return print(JSON.stringify(profile, null, 2));
  const { rows = 0, sample, columns = [], suggestion } = profile;
  const shown = (value: number | null): string => (value === null ? '' : value.toLocaleString('en'));
  printTable(
    ['column', 'type', 'nulls', 'distinct', 'min', 'max', 'looks like', 'mask'],
    columns.map(({ name, type, nulls, distinct, min = '', max = '', personal }) => [
      name,
      type,
      `${(nulls * 100).toFixed(nulls === 0 || nulls === 1 ? 0 : 1)}%`,
      shown(distinct),
      min,
      max,
      personal === undefined ? '' : `${personal.kind} (by ${personal.by})`,
      personal === undefined ? '' : JSON.stringify(personal.mask),
    ]),
    'It has no columns.',
  );
  print(`\n${shown(rows)} rows${sample === undefined || sample.method === 'all' ? '' : sampleWords(sample)}`);
  if (suggestion === undefined) return;
  print('\nA constraint for a policy that masks what looks like personal data (judge for yourself what else is):');
  print(clean(JSON.stringify(suggestion)));
}

/** Says of each data set whether its schema is still the published one. Throws where one is not. */
export async function checkAssets(id: string | undefined, { config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const ids = id === undefined ? (await operator.assets()).map((asset) => asset.id) : [id];
  let changed = 0;
  for (const one of ids) {
    const words = await operator.assetSchema(one).then(driftWords, (error: Error) => {
      if (id !== undefined) throw error;
      return [error.message];
    });
    if (words.length > 0) changed += 1;
    print(`${words.length === 0 ? 'as published' : 'CHANGED     '}  ${clean(one)}`);
    for (const line of words) print(`              ${clean(line)}`);
  }
  if (ids.length === 0) print('No data sets are published.');
  if (changed === 0) return;
  throw new FoedusError(
    'conflict',
    `${changed === 1 ? 'One data set is' : `${changed} data sets are`} not as published. foedus asset repin ID takes the schema that it has now.`,
  );
}

/** Pins the schema that a data set has now. */
export async function repinAsset(id: string, { config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const { columns } = await operator.repinAsset(id);
  print(`Pinned the ${columns.length} columns that ${clean(id)} has now.`);
}

async function profiled(operator: OperatorClient, id: string): Promise<AssetProfile> {
  try {
    for (;;) {
      const profile = await operator.assetProfile(id, { wait: WAIT });
      if (profile.state === 'done') return profile;
      if (profile.state === 'failed') {
        throw new FoedusError('unavailable', `${id} could not be looked at: ${profile.problem ?? 'no reason known'}`);
      }
      progress(`${id} is being looked at`);
    }
  } finally {
    endProgress();
  }
}

function sampleWords({ rows, method }: NonNullable<AssetProfile['sample']>): string {
  const which = method === 'system' ? 'a random sample of' : 'the first';
  return `; all else is of ${which} ${rows.toLocaleString('en')} of them`;
}

function driftWords({ drift }: AssetSchema): string[] {
  if (drift === null) return [];
  const { added, vanished, changed } = drift;
  return [
    ...added.map((name) => `${name} has been added: it leaves only where an agreement names it`),
    ...vanished.map((name) => `${name} is gone: agreements that name it deny`),
    ...changed.map(({ name, from, to }) => `${name} was ${from} and is ${to}: agreements that grant it deny`),
  ];
}
