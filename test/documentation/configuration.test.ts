import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectorConfigSchema } from '@foedus/connector/config';
import { expect, it } from 'vitest';
import { z } from 'zod';

type Configuration = z.input<typeof connectorConfigSchema>;

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'architecture.md'), 'utf8');
const [, block = ''] = /\/\/ connector\.json\n(\{.*?\n\})\n/s.exec(page) ?? [];
const json = block.replaceAll(/(^|\s)\/\/.*$/gm, '').replaceAll(/,(?=\s*[}\]])/g, '');
const documented = JSON.parse(json) as Configuration;

/** @returns the names of all settings below `schema`, with dots between; those of a list's elements as the list's */
function namesOf(schema: z.core.JSONSchema._JSONSchema, path: string): string[] {
  if (typeof schema === 'boolean') return [path];
  if (schema.items !== undefined && !Array.isArray(schema.items)) return namesOf(schema.items, path);
  if (schema.properties === undefined) return [path];
  return Object.entries(schema.properties).flatMap(([name, below]) => namesOf(below, `${path}.${name}`));
}

/** @returns the same of a value */
function namesIn(value: unknown, path: string): string[] {
  if (Array.isArray(value) && value.length > 0) return value.flatMap((element) => namesIn(element, path));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([name, below]) => namesIn(below, `${path}.${name}`));
}

it('docs/architecture.md shows a right configuration of a connector, with every setting', () => {
  connectorConfigSchema.parse(documented);
  const settings = namesOf(z.toJSONSchema(connectorConfigSchema, { io: 'input', unrepresentable: 'any' }), '$');
  // The only one that is described in a comment: nobody is to copy it.
  const shown = settings.filter((name) => !name.endsWith('.allowRemote'));
  expect(namesIn(documented, '$').toSorted()).toEqual(shown.toSorted());
});

it('docs/architecture.md shows the defaults', () => {
  const withoutDefault = new Set(['decisions', 'localRules', 'log', 'notify', 'allowAddresses', 'publicUrl']);
  const { identity, protocol, management, ...shown } = JSON.parse(json, (name, value: unknown) =>
    withoutDefault.has(name) ? undefined : value,
  ) as Configuration;
  const { program, participantId, dataDir } = shown;
  const defaults = connectorConfigSchema.parse({
    program,
    participantId,
    dataDir,
    identity,
    protocol: { ...protocol, publicUrl: 'https://localhost' },
    management,
  });
  expect(defaults).toMatchObject(shown);
});
