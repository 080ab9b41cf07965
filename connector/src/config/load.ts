import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import { factsOf } from './settings.ts';

/** Environment variables, for instance `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'FOEDUS_';
/** In the path of a leaf: every item of a list. */
const ITEM = '*';

/** One setting that has no settings below it. */
interface Leaf {
  readonly path: readonly string[];
  readonly schema: z.core.$ZodType;
  readonly example: unknown;
  readonly isPath: boolean;
  /** Has no default. */
  readonly required: boolean;
}

/**
 * Reads a configuration: the JSON `file`, over it the environment, checked against `schema` as a whole.
 *
 * A setting's variable is its path in capitals: `protocol.publicUrl` is `FOEDUS_PROTOCOL_PUBLICURL`. Relative paths
 * (`pathSetting`) are taken from the file's folder, whichever of the two they come from.
 *
 * @param schema an object schema; settings it does not know are errors
 * @returns the configuration with defaults filled in and absolute paths
 * @throws FoedusError `bad-config`; its message has one line for every problem, `details.problems` the lines
 */
export async function loadConfig<S extends z.ZodObject>(
  schema: S,
  file: string,
  env: Environment,
): Promise<z.output<S>> {
  const raw = await readJson(file);
  const leaves = leavesOf(schema);
  const problems = applyEnvironment(raw, leaves, env);
  for (const leaf of leaves.filter(({ isPath }) => isPath)) {
    for (const path of pathsIn(raw, leaf.path)) {
      const value = valueAt(raw, path);
      if (typeof value === 'string' && value !== '') set(raw, path, resolve(dirname(file), value));
    }
  }
  const parsed = schema.safeParse(raw);
  if (parsed.success && problems.length === 0) return parsed.data;
  const all = [...problems, ...(parsed.error?.issues ?? []).flatMap((issue) => explain(issue, raw, leaves))];
  throw new FoedusError(
    'bad-config',
    `The configuration ${file} has ${all.length === 1 ? 'a problem' : `${all.length} problems`}:\n  ${all.join('\n  ')}`,
    { details: { problems: all } },
  );
}

async function readJson(file: string): Promise<Record<string, unknown>> {
  const bad = (why: string, cause?: unknown): FoedusError =>
    new FoedusError('bad-config', `The configuration ${file} ${why}`, {
      cause,
      details: { problems: [why] },
    });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw bad('cannot be read. Does the file exist, and may this user read it?', cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(`is no JSON: ${(cause as Error).message}`, cause);
  }
  if (!isObject(value)) throw bad('is not one JSON object. Example: { "program": "connector", … }');
  return value;
}

/** Every setting of a schema, below objects, items of lists and whatever wraps them (optional, default, prefault). */
function leavesOf(schema: z.core.$ZodType, path: readonly string[] = []): Leaf[] {
  let inner = schema;
  let found = factsOf(inner);
  for (;;) {
    const { innerType } = (inner as z.ZodOptional).def;
    if (!innerType) break;
    inner = innerType;
    found ??= factsOf(inner);
  }
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, below]) => leavesOf(below as z.core.$ZodType, [...path, key]));
  }
  const leaf = {
    path,
    schema: inner,
    example: found?.example,
    isPath: found?.path === true,
    required: inner === schema,
  };
  return inner instanceof z.ZodArray ? [leaf, ...leavesOf(inner.element, [...path, ITEM])] : [leaf];
}

/** Whether a setting is this leaf, or lies above it. */
const leadsTo = (path: readonly string[], leaf: Leaf): boolean =>
  path.every((key, at) => leaf.path[at] === key || (leaf.path[at] === ITEM && /^\d+$/.test(key)));

/** The paths of a leaf, item by item. */
function pathsIn(value: unknown, path: readonly string[]): string[][] {
  const [key, ...rest] = path;
  if (key === undefined) return [[]];
  const keys = key !== ITEM ? [key] : Array.isArray(value) ? [...value.keys()].map(String) : [];
  return keys.flatMap((one) => pathsIn(valueAt(value, [one]), rest).map((below) => [one, ...below]));
}

/** @returns problems: variables that look like settings and are none */
function applyEnvironment(raw: Record<string, unknown>, leaves: readonly Leaf[], env: Environment): string[] {
  const single = leaves.filter(({ path }) => !path.includes(ITEM));
  const byName = new Map(single.map((leaf) => [PREFIX + leaf.path.join('_').toUpperCase(), leaf]));
  const groups = new Set(leaves.map(({ path }) => path[0]!.toUpperCase()));
  const problems: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || !name.startsWith(PREFIX)) continue;
    const leaf = byName.get(name);
    if (leaf) set(raw, leaf.path, typed(leaf.schema, value));
    else if (groups.has(name.slice(PREFIX.length).split('_')[0]!)) {
      const similar = [...byName.keys()].filter((one) => one.startsWith(name.split('_').slice(0, 2).join('_')));
      problems.push(`${name} (environment): there is no such setting. Known here: ${similar.join(', ')}`);
    }
  }
  return problems;
}

/** A variable is text: where the schema wants no text it is read as JSON, and left to the schema when it is none. */
function typed(schema: z.core.$ZodType, value: string): unknown {
  const { type } = schema._zod.def;
  if (type === 'string' || type === 'enum' || type === 'literal' || type === 'pipe') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

function explain(issue: z.core.$ZodIssue, raw: unknown, leaves: readonly Leaf[]): string[] {
  const path = issue.path.map(String);
  const name = path.join('.');
  const below = leaves.filter((leaf) => leadsTo(path, leaf));
  if (issue.code === 'unrecognized_keys') {
    const here = [...new Set(below.map((leaf) => leaf.path[path.length]!))].join(', ');
    return issue.keys.map((key) => `${[...path, key].join('.')}: there is no such setting. Known here: ${here}`);
  }
  const value = valueAt(raw, path);
  const leaf = below.find((one) => one.path.length === path.length);
  if (value === undefined) {
    // A group that is missing as a whole: name what must be in it.
    return leaf
      ? [line(name, 'is missing', leaf)]
      : below.filter(({ required }) => required).map((one) => line(one.path.join('.'), 'is missing', one));
  }
  return [line(name, `${what(issue)} (it is ${abbreviate(value)})`, leaf)];
}

function line(name: string, problem: string, leaf: Leaf | undefined): string {
  const example = leaf?.example ?? (leaf && literalOf(leaf.schema));
  return `${name}: ${problem}.${example === undefined ? '' : ` Example: ${JSON.stringify(example)}`}`;
}

function what(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    // The schema's own words, where it has any; zod's default otherwise speaks of input and received.
    if (!issue.message.startsWith('Invalid input')) return issue.message;
    const noun = { int: 'a whole number', object: 'an object { … }', array: 'a list', boolean: 'true or false' };
    return `must be ${noun[issue.expected as 'int'] ?? `a ${issue.expected}`}`;
  }
  if (issue.code === 'invalid_value') return `must be ${issue.values.map((one) => JSON.stringify(one)).join(' or ')}`;
  return issue.message;
}

const literalOf = (schema: z.core.$ZodType): unknown =>
  schema instanceof z.ZodLiteral ? schema.value : schema instanceof z.ZodEnum ? schema.options[0] : undefined;

function abbreviate(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function valueAt(raw: unknown, path: readonly string[]): unknown {
  let value = raw;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)];
    else value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return value;
}

function set(raw: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let target = raw;
  for (const key of path.slice(0, -1)) {
    if (target[key] === undefined) target[key] = {};
    const next = target[key];
    // Anything else is what the schema reports.
    if (!isObject(next) && !Array.isArray(next)) return;
    target = next as Record<string, unknown>;
  }
  target[path.at(-1)!] = value;
}
