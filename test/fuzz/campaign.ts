import { execFileSync } from 'node:child_process';
import { compactTerms } from '../../connector/src/protocol/terms.ts';
import type { DspSchemas } from '../src/dsp-schemas.ts';
import { createDice, type Dice } from './dice.ts';
import { mutateRequest, RAW_REQUESTS, type FuzzRequest } from './http-mutations.ts';
import { mutateJson, writeBytes } from './json-mutations.ts';
import { draft, requestFor, type Draft, type Material } from './messages.ts';
import { createFixtures, type Fixtures, type Stage } from './stage.ts';
import { readStore, unexplained } from './store-rows.ts';
import { createWire, type WireAnswer } from './wire.ts';

export interface CampaignOptions {
  readonly messages: number;
  readonly seed: number;
  /** Requests under way at a time. */
  readonly concurrency: number;
  /** Messages between two looks at the store and at memory. */
  readonly batch: number;
  readonly schemas: DspSchemas;
  readonly progress?: (line: string) => void;
  readonly found?: (finding: Finding) => void;
}

export interface Finding {
  readonly seed: number;
  readonly what: string;
  readonly request?: string;
  readonly answer?: string;
}

export interface CampaignReport {
  readonly sent: number;
  readonly seconds: number;
  /** Answers by status; `closed` for connections that ended without one. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Accepted messages that changed or created a process. */
  readonly accepted: number;
  /** What the published schemas object to in accepted messages, after our liberal reading; with how often. */
  readonly liberties: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  /** Resident set of the connector after each batch, in MiB. */
  readonly memory: readonly number[];
}

/**
 * What is read although the published schemas object to it. Other contexts beside the protocol's own are never applied;
 * data addresses come in EDC's spellings too; an empty list says nothing.
 */
const TOLERATED = [/@context\/N/, /\/dataAddress/, /reason: must NOT have fewer/];

/** Resident memory may be so much larger at the end than in the middle: a heap's garbage comes and goes. */
export function hasGrown(memory: readonly number[]): boolean {
  const middle = memory[Math.floor(memory.length / 2)] ?? 0;
  return (memory.at(-1) ?? 0) > middle * 1.25 + 32;
}

const ERROR_TYPES = new Set(['CatalogError', 'ContractNegotiationError', 'TransferError']);

/**
 * Sends mutated messages to the connector on `stage`, and looks at every answer, at the store and at memory. What it
 * finds names the seed that makes the same message again.
 */
export async function runCampaign(stage: Stage, options: CampaignOptions): Promise<CampaignReport> {
  const { schemas, seed, messages, batch } = options;
  const statuses: Record<string, number> = {};
  const liberties: Record<string, number> = {};
  const findings: Finding[] = [];
  const memory: number[] = [];
  const started = performance.now();
  let sent = 0;
  let accepted = 0;
  // Over all batches: what was accepted in one goes on in the next.
  const touched = new Set<string>();
  const examples = schemas.examples.map(({ document }) => document).filter((document) => '@type' in document);
  const foreign = await createFixtures(stage, stage.bystander);

  for (let first = 0; first < messages; first += batch) {
    const attacker = await stage.enlist();
    const own = await createFixtures(stage, attacker);
    const material: Material = { own, foreign, callbackAddress: attacker.address, examples };
    await using wire = createWire(attacker.identity, stage.connector.protocolUrl, options.concurrency);
    const report = (finding: Finding): void => {
      if (findings.length >= 200) return;
      findings.push(finding);
      options.found?.(finding);
    };
    const one = async (index: number): Promise<void> => {
      const dice = createDice(seed + index);
      const { made, request } = compose(material, dice);
      const answer = await wire.send(request);
      sent += 1;
      const key = answer.status === undefined ? 'closed' : String(answer.status);
      statuses[key] = (statuses[key] ?? 0) + 1;
      const found = objections(made, request, answer, schemas);
      for (const what of found)
        report({ seed: seed + index, what, request: shown(request), answer: answer.text.slice(0, 500) });
      if (request.method !== 'POST' || answer.status === undefined || answer.status >= 300) return;
      accepted += note(request, answer, touched);
      for (const liberty of libertiesOf(request, schemas)) {
        liberties[liberty] = (liberties[liberty] ?? 0) + 1;
        if (TOLERATED.some((known) => known.test(liberty))) continue;
        report({ seed: seed + index, what: `accepted although ${liberty}`, request: shown(request) });
      }
    };
    const raw = async (template: string): Promise<void> => {
      const text = template.replaceAll('HOST', 'localhost').replaceAll('PATH', '/2025-1/catalog/request');
      const answer = await wire.sendRaw(Buffer.from(text, 'latin1'));
      // 505: what is no HTTP version.
      if ((answer.status ?? 0) < 500 || answer.status === 505) return;
      report({
        seed,
        what: `answered ${answer.status}`,
        request: text.slice(0, 200),
        answer: answer.text.slice(0, 500),
      });
    };
    await settled(stage, own);
    const before = readStore(stage.store);
    if (first === 0) await Promise.all(RAW_REQUESTS.map(raw));
    await inParallel(first, Math.min(first + batch, messages), options.concurrency, one);
    if (stage.connector.pid() === undefined) {
      report({ seed: seed + first, what: 'the connector has ended' });
      break;
    }
    for (const row of unexplained(before, readStore(stage.store), touched)) {
      report({
        seed: seed + first,
        what: 'the store changed although nothing of it was accepted',
        answer: row.slice(0, 500),
      });
    }
    memory.push(residentMiB(stage.connector.pid()!));
    const rate = Math.round((sent / (performance.now() - started)) * 1000);
    options.progress?.(
      `${sent} messages, ${rate}/s, ${accepted} accepted, ${findings.length} findings, ${memory.at(-1)!.toFixed(0)} MiB`,
    );
  }
  return { sent, seconds: (performance.now() - started) / 1000, statuses, accepted, liberties, findings, memory };
}

/** The message that a seed stands for. */
export function compose(material: Material, dice: Dice): { made: Draft; request: FuzzRequest } {
  const made = draft(material, dice);
  const bytes = made.method === 'GET' ? Buffer.alloc(0) : writeBytes(mutateJson(made.document, dice), dice);
  return { made, request: mutateRequest(requestFor(made, bytes), dice) };
}

/** What is wrong with an answer. */
function objections(made: Draft, request: FuzzRequest, answer: WireAnswer, schemas: DspSchemas): string[] {
  const { status, text } = answer;
  if (status === undefined) {
    // A body that does not fit is cut off; anything else deserves an answer.
    return request.body.length > 1 << 20 ? [] : [`no answer (${answer.error ?? 'closed'})`];
  }
  if (status >= 500) return [`answered ${status}`];
  // Node itself answers what is no HTTP, or too much of it, without a body.
  if (request.method === 'HEAD' || text === '') return [];
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return ['the answer is no JSON'];
  }
  if (request.path !== made.path || request.method !== made.method) return [];
  // A path that the protocol does not have.
  if (status === 404 && body['code'] === 'not-found' && String(body['message']).startsWith('There is nothing at'))
    return [];
  const faults = schemas.faultsOf(body);
  if (faults.length > 0) return [`the answer is not valid: ${faults.slice(0, 3).join('; ')}`];
  if (status < 300) return [];
  const expected = made.path.includes('/catalog/')
    ? 'CatalogError'
    : made.path.includes('/transfers')
      ? 'TransferError'
      : 'ContractNegotiationError';
  if (body['@type'] !== expected) return [`the error is a ${String(body['@type'])}, not a ${expected}`];
  const reasons = body['reason'] as unknown[];
  const pathed = reasons.every((reason) => typeof reason === 'string' && /^\$|^continuationToken/.test(reason));
  const aboutJson = reasons.some((reason) => /UTF-8|not JSON|nested deeper|larger than|whole/.test(String(reason)));
  if (body['code'] === 'bad-request' && !pathed && !aboutJson)
    return [`the error names no JSON path: ${String(reasons[0]).slice(0, 200)}`];
  return ERROR_TYPES.has(String(body['@type'])) ? [] : ['no typed error'];
}

/** Remembers which process an accepted message was about. @returns 1 where there is one */
function note(request: FuzzRequest, answer: WireAnswer, touched: Set<string>): number {
  const { consumerPid, providerPid } = JSON.parse(answer.text === '' ? '{}' : answer.text) as Record<string, unknown>;
  const ids = [consumerPid, providerPid].filter(
    (pid): pid is string => typeof pid === 'string' && pid.startsWith('urn:uuid:'),
  );
  for (const id of ids) touched.add(id);
  return request.path.includes('/catalog/') ? 0 : 1;
}

/** Where an accepted message is not what the schemas describe, even in its compact form. */
function libertiesOf(request: FuzzRequest, schemas: DspSchemas): string[] {
  const document = compactTerms(JSON.parse(new TextDecoder().decode(request.body))) as Record<string, unknown>;
  const context = document['@context'];
  const faults = schemas.faultsOf({ ...document, '@context': [context].flat() });
  return [...new Set(faults.map((fault) => fault.replace(/\/\d+/g, '/N').slice(0, 200)))];
}

/** Until the connector has nothing more to do about the fixtures: their last messages were answered. */
async function settled({ operator }: Stage, { processes }: Fixtures): Promise<void> {
  for (const { kind, id } of processes)
    await (kind === 'negotiations' ? operator.negotiation(id) : operator.transfer(id));
}

async function inParallel(
  from: number,
  to: number,
  lanes: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = from;
  const lane = async (): Promise<void> => {
    while (next < to) await work(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function residentMiB(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;
}

function shown({ method, path, headers, body }: FuzzRequest): string {
  return `${method} ${path.slice(0, 200)} ${JSON.stringify(headers).slice(0, 200)} ${body.subarray(0, 1_500).toString('utf8')}`;
}
