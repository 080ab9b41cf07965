import { FoedusError } from '@foedus/connector/errors';
import { instantiate, type PolicyTemplate } from '@foedus/usage-policies';
import { readFile, readdir } from 'node:fs/promises';
import { basename, dirname, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unenforced } from '../enforcement-words.ts';
import { ownConnector } from '../own-connector.ts';
import { describePolicy } from '../policy-words.ts';
import { clean, print, printTable, styled } from '../terminal.ts';

const library = dirname(fileURLToPath(import.meta.resolve('@foedus/usage-policies/library/read-rows.json')));

export interface AddOffer {
  readonly config: string;
  readonly asset: readonly string[];
  readonly policy: string;
  readonly set?: readonly string[];
  readonly audience?: string[];
  readonly id?: string;
}

/** Writes a policy and a contract definition that offers data sets under it. */
export async function addOffer(options: AddOffer): Promise<void> {
  const policy = await readPolicy(options.policy, options.set ?? []);
  const { operator } = await ownConnector(options.config);
  const id = options.id ?? `${options.asset.join('+')}/${basename(options.policy).replace(/\.json$/, '')}`;
  const open = unenforced(policy);
  if (open.length > 0) print('Of this policy no node enforces:');
  for (const line of open) print(`  ${clean(line)}`);
  await operator.putPolicy({ id, policy });
  await operator.putContractDefinition({
    id,
    assets: [...options.asset],
    policy: id,
    ...(options.audience && { audience: options.audience }),
  });
  print(`Offered ${options.asset.join(', ')} to ${options.audience?.join(', ') ?? 'everybody'} as ${id}:`);
  for (const line of describePolicy(policy)) print(`  ${line}`);
}

export interface SendOffer {
  readonly config: string;
  readonly asset: string;
  readonly offer?: string;
  readonly policy?: string;
  readonly set?: readonly string[];
}

/** Offers a data set to a participant that has not asked for it. */
export async function sendOffer(address: string, participantId: string, options: SendOffer): Promise<void> {
  if ((options.offer === undefined) === (options.policy === undefined)) {
    throw new FoedusError('bad-request', 'Say which terms: either --offer with a published one, or --policy.');
  }
  const terms =
    options.policy === undefined
      ? { offerId: offerId(options.offer!, options.asset) }
      : { offer: await readPolicy(options.policy, options.set ?? []) };
  const { operator } = await ownConnector(options.config);
  const wish = { counterPartyAddress: address, counterPartyId: participantId, datasetId: options.asset };
  const { id } = await operator.offer({ ...wish, ...terms });
  print(`Offered ${options.asset} to ${participantId}. Their answer: foedus negotiations show ${id}`);
}

/** An offer's id in the catalog, from the contract definition's. */
function offerId(definition: string, asset: string): string {
  return definition.endsWith(`:${encodeURIComponent(asset)}`)
    ? definition
    : `${encodeURIComponent(definition)}:${encodeURIComponent(asset)}`;
}

/** Lists contract definitions with their policies in words. */
export async function listOffers({ config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const [definitions, policies] = await Promise.all([operator.contractDefinitions(), operator.policies()]);
  printTable(
    ['id', 'data sets', 'for', 'policy'],
    definitions.map(({ id, assets, audience, policy }) => [
      id,
      assets.join(', '),
      audience?.join(', ') ?? 'everybody',
      describePolicy(policies.find((one) => one.id === policy)?.policy ?? {}).join(' | '),
    ]),
    'Nothing is offered. foedus offer add offers a data set.',
  );
}

/** Lists the library's templates and their parameters. */
export async function listTemplates(): Promise<void> {
  for (const name of await templateNames()) {
    const template = await readTemplate(name);
    print(`${styled('bold', name)}  ${template.description}`);
    for (const [parameter, { description, example }] of Object.entries(template.parameters)) {
      const value = Array.isArray(example) ? example.join(',') : example;
      const shown = typeof value === 'string' ? value : JSON.stringify(value);
      print(`    --set ${parameter}=${shown}`.padEnd(70) + `  ${description}`);
    }
  }
}

async function readPolicy(fileOrTemplate: string, set: readonly string[]): Promise<Record<string, unknown>> {
  const names = await templateNames();
  if (names.includes(fileOrTemplate)) {
    const template = await readTemplate(fileOrTemplate);
    return { ...instantiate(template, parametersOf(template, set)) };
  }
  if (set.length > 0) {
    throw new FoedusError(
      'bad-request',
      `--set fills a template, and "${fileOrTemplate}" is none: ${names.join(', ')}`,
    );
  }
  try {
    return JSON.parse(await readFile(fileOrTemplate, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new FoedusError(
      'bad-request',
      `"${fileOrTemplate}" is neither a JSON file (${(cause as Error).message}) nor a template (${names.join(', ')}).`,
      { cause },
    );
  }
}

/** `--set name=value`, read as the type that the template declares for the name. */
function parametersOf(template: PolicyTemplate, set: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    set.map((assignment) => {
      const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(assignment) ?? [];
      if (name === '') throw new FoedusError('bad-request', `--set ${assignment}: must be name=value`);
      const type = Object.hasOwn(template.parameters, name) ? template.parameters[name]?.type : undefined;
      if (type === 'names' || type === 'names-or-none') return [name, value.split(',').filter((item) => item !== '')];
      if (type === 'masks') return [name, parseJson(value, assignment)];
      return [name, type === 'whole-number' || type === 'decimal-number' ? Number(value) : value];
    }),
  );
}

function parseJson(text: string, assignment: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new FoedusError('bad-request', `--set ${assignment}: must be JSON, {"column": {"method": "hash"}}`, {
      cause,
    });
  }
}

/** Names of files below the library, those of the IDS usage-control classes as `ids/…`. */
async function templateNames(): Promise<string[]> {
  const files = await readdir(library, { recursive: true });
  return files
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -5).replaceAll(sep, '/'))
    .sort((a, b) => Number(a.includes('/')) - Number(b.includes('/')) || (a < b ? -1 : 1));
}

async function readTemplate(name: string): Promise<PolicyTemplate> {
  return JSON.parse(await readFile(`${library}/${name}.json`, 'utf8')) as PolicyTemplate;
}
