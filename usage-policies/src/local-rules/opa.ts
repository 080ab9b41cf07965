import { z } from 'zod';
import { policyDigest } from '../digest.ts';
import { Unreadable } from '../policy-error.ts';
import { shown } from '../wording.ts';
import type { LocalRules, LocalVerdict, PermittedUse } from './local-rules.ts';
import { useDocument } from './use-document.ts';

/** Where an Open Policy Agent answers, and which of its documents decides. */
export interface OpaOptions {
  /** Root of the server, for instance `http://127.0.0.1:8181`. Without TLS only on this machine. */
  readonly url: string;
  /** The document below `/v1/data`, for instance `foedus/usage`: true or false, or `{"allow", "reasons"}`. */
  readonly path: string;
  /** Sent as bearer token. */
  readonly token?: string;
  /** Milliseconds for all that one use asks. @default 2000 */
  readonly timeoutMs?: number;
}

const LARGEST_ANSWER = 64 * 1024;
const LARGEST_POLICIES = 16 * 1024 * 1024;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

const answerSchema = z.object({
  result: z.union([
    z.boolean(),
    z.object({ allow: z.boolean(), reasons: z.array(z.string().max(2000)).max(100).optional() }),
  ]),
  provenance: z
    .object({ bundles: z.record(z.string(), z.object({ revision: z.string().optional() })).optional() })
    .optional(),
});
type Answer = z.infer<typeof answerSchema>;

const policiesSchema = z.object({ result: z.array(z.object({ id: z.string(), raw: z.string() })) });

/**
 * Local rules that an Open Policy Agent decides: `POST /v1/data/{path}` with the use as `input` (agreement,
 * policyDigest, dataSet, action, assignee, at, purpose?, columns?, training?, spent, plan, charges). A document that
 * is undefined, an answer of another form, a status other than 200, a redirect or the end of the time throw, and the
 * use is denied.
 *
 * The verdict's digest is of the bundles' revisions, where the server runs on bundles that all name one, or else of
 * the text of all its policies (`GET /v1/policies`). A verdict never carries the digest of other policies than those
 * it was made by: after a change the server is asked again.
 *
 * @throws Unreadable for an address or a path that cannot be asked
 */
export function opaRules(options: OpaOptions): LocalRules {
  const root = readRoot(options.url);
  const path = readPath(options.path);
  const { token, timeoutMs = 2000 } = options;

  const ask = async (below: string, limit: number, signal: AbortSignal, body?: unknown): Promise<unknown> => {
    const response = await fetch(new URL(below, root), {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: 'error',
      signal,
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new Error(`the server answered ${below} with status ${response.status}`);
    }
    return readJson(response, limit);
  };
  const decision = async (use: PermittedUse, signal: AbortSignal): Promise<Answer> => {
    const answer = await ask(`v1/data/${path}?provenance=true`, LARGEST_ANSWER, signal, { input: useDocument(use) });
    const parsed = answerSchema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new Error(`the document ${path} is not true, false or {"allow": …}: check its path and its rules`);
  };
  const policies = async (signal: AbortSignal): Promise<string> => {
    const parsed = policiesSchema.safeParse(await ask('v1/policies', LARGEST_POLICIES, signal));
    if (!parsed.success) throw new Error('the server does not tell its policies');
    const texts = parsed.data.result.map(({ id, raw }) => ({ id, raw }));
    return policyDigest({ language: 'rego', path, policies: texts.sort((a, b) => (a.id < b.id ? -1 : 1)) });
  };

  // What the last answer's policies were: while they stay the same, one question is enough.
  let known: string | undefined;
  return {
    name: `opa:${path}`,
    async judge(use, outer): Promise<LocalVerdict> {
      const timeout = AbortSignal.timeout(timeoutMs);
      const signal = outer === undefined ? timeout : AbortSignal.any([outer, timeout]);
      const answer = await decision(use, signal);
      const revisions = revisionsOf(answer);
      if (revisions !== undefined) return verdictOf(answer, policyDigest({ language: 'rego', path, revisions }));
      const digest = await policies(signal);
      if (digest === known) return verdictOf(answer, digest);
      const again = await decision(use, signal);
      if ((await policies(signal)) !== digest) throw new Error('the policies changed while the server was asked');
      known = digest;
      return verdictOf(again, digest);
    },
  };
}

function verdictOf({ result }: Answer, digest: string): LocalVerdict {
  if (typeof result === 'boolean') return { permit: result, reasons: [], digest };
  return { permit: result.allow, reasons: result.allow ? [] : (result.reasons ?? []), digest };
}

/** The revision of every bundle; undefined where one has none, or where there is no bundle. */
function revisionsOf({ provenance }: Answer): Record<string, string> | undefined {
  const bundles = Object.entries(provenance?.bundles ?? {});
  const named = bundles.flatMap(([name, { revision }]) => (revision ? [[name, revision] as const] : []));
  return bundles.length > 0 && named.length === bundles.length ? Object.fromEntries(named) : undefined;
}

async function readJson(response: Response, limit: number): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.byteLength;
    if (size > limit) throw new Error(`the answer is larger than ${limit} bytes`);
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch (cause) {
    throw new Error('the answer is no JSON', { cause });
  }
}

function readRoot(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const reachable = url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.test(url.hostname));
  if (url === undefined || !reachable || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new Unreadable(
      `${shown(text)} is no address of an OPA server: use https, or http on this machine such as http://127.0.0.1:8181`,
    );
  }
  return url.pathname.endsWith('/') ? url : new URL(`${url.href}/`);
}

function readPath(text: string): string {
  const path = text.replace(/^\/|\/$/g, '');
  if (/^[A-Za-z_][\w-]{0,100}(\/[A-Za-z_][\w-]{0,100}){0,20}$/.test(path)) return path;
  throw new Unreadable(`${shown(text)} is no path of a document, such as foedus/usage`);
}
