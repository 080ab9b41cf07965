/** Policies, requests and histories for `foedus policy`, as JSON files. */
import { FoedusError } from '@foedus/connector/errors';
import { parsePolicyText, type Policy, type UsageRequest, type UsageState } from '@foedus/usage-policies';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';

const LARGEST_FILE = 16 * 1024 * 1024;

/** @throws FoedusError `bad-request` for what cannot be read, PolicyError for what is no policy */
export async function readPolicy(file: string): Promise<Policy> {
  return parsePolicyText(await readText(file));
}

async function readText(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new FoedusError('bad-request', `${file} cannot be read. Does the file exist?`, { cause });
  }
  if (text.length <= LARGEST_FILE) return text;
  throw new FoedusError('bad-request', `${file} is longer than ${LARGEST_FILE} characters.`);
}

async function readJson(file: string): Promise<unknown> {
  const text = await readText(file);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new FoedusError('bad-request', `${file} is no JSON: ${(cause as Error).message}`, { cause });
  }
}

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const name = z.string().min(1).max(2048);
const amount = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.strictObject({ value: z.union([z.string(), z.number()]), unit: name }),
]);
const values = z.record(name, z.union([amount, z.array(amount)]));

const requestSchema = z.strictObject({
  action: name.default('use'),
  assignee: name,
  at: moment.exactOptional(),
  target: name.exactOptional(),
  purpose: name.exactOptional(),
  values: values.exactOptional(),
  columns: z.array(name).exactOptional(),
  training: z
    .strictObject({
      round: z.int().positive().default(1),
      planHash: z.string().default(''),
      cohort: z.int().positive(),
      privacyLoss: z.strictObject({ epsilon: z.number(), delta: z.number() }).nullable().default(null),
      metrics: z.array(name).default([]),
      modelHash: z.string().exactOptional(),
      secureAggregation: z.boolean().exactOptional(),
      privacyUnit: z.enum(['record', 'organisation']).nullable().exactOptional(),
      evaluation: z.boolean().exactOptional(),
    })
    .exactOptional(),
});

const eventSchema = z.strictObject({
  action: name,
  by: name,
  at: moment,
  until: moment.exactOptional(),
  target: name.exactOptional(),
  rule: name.exactOptional(),
  values: values.exactOptional(),
});

const stateSchema = z.strictObject({
  spent: z
    .strictObject({
      uses: z.number().nonnegative().default(0),
      rounds: z.number().nonnegative().default(0),
      epsilon: z.number().nonnegative().default(0),
      rows: z.number().nonnegative().default(0),
      bytes: z.number().nonnegative().default(0),
    })
    .prefault({}),
  history: z.array(eventSchema).exactOptional(),
  agreedAt: moment.exactOptional(),
  memberships: z.record(name, z.array(name)).exactOptional(),
  descriptions: z.record(name, values).exactOptional(),
  events: z.record(name, z.strictObject({ from: moment, to: moment.exactOptional() })).exactOptional(),
  duties: z.record(name, z.enum(['fulfilled', 'violated', 'not-set'])).exactOptional(),
});

/** A request: `{"assignee": …, "purpose": …, "columns": […], "at": …}`. Without `at` it is made now. */
export async function readRequest(file: string): Promise<UsageRequest> {
  const { at = new Date(), ...request } = parse(requestSchema, await readJson(file), file);
  return { ...request, at };
}

/** What happened before: a list of events, or an object with `spent`, `history`, `agreedAt` and more. */
export async function readState(file: string | undefined): Promise<UsageState> {
  if (file === undefined) return { spent: { uses: 0, rounds: 0, epsilon: 0, rows: 0, bytes: 0 }, history: [] };
  const json = await readJson(file);
  return parse(stateSchema, Array.isArray(json) ? { history: json } : json, file);
}

function parse<T>(schema: z.ZodType<T>, json: unknown, file: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new FoedusError('bad-request', `${file} does not fit: ${z.prettifyError(parsed.error)}`);
}
