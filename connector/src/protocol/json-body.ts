import { FoedusError } from '../errors.ts';
import { isObject } from './terms.ts';

/** How much of a peer's or an operator's JSON is read before it is refused. */
export interface JsonLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
  /** Told how many bytes it was, once everything is read. */
  readonly read?: (bytes: number) => void;
}

export const MESSAGE_LIMITS: JsonLimits = { maxBytes: 1 << 20, maxDepth: 32 };
/** A catalog may be long; it is asked for by us. */
export const CATALOG_LIMITS: JsonLimits = { maxBytes: 16 << 20, maxDepth: 32 };

/** Of what is too large, so many times the limit is still taken in, and dropped, so that its sender gets the answer. */
const PATIENCE = 4;

/**
 * Reads a request or a response as JSON, whatever its content type says.
 *
 * @throws FoedusError `too-large`; `bad-request` for anything that is not UTF-8 JSON within the limits, and for a
 *   request that broke off; `unavailable` for a response that did
 */
export async function readJson(
  source: { readonly body: ReadableStream<Uint8Array> | null; readonly status?: number },
  limits: JsonLimits = MESSAGE_LIMITS,
): Promise<unknown> {
  const { maxBytes } = limits;
  if (isSmallRequest(source, maxBytes)) {
    // The same in one piece, at a fraction of the cost: the length is what Node's parser lets through.
    const body = new Uint8Array(await source.arrayBuffer().catch(brokenOff({})));
    limits.read?.(body.byteLength);
    return parseJson(body, limits);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of source.body ?? []) {
      size += chunk.byteLength;
      if (size <= maxBytes) chunks.push(chunk);
      else chunks.length = 0;
      // Leaving the loop cancels the stream: nothing more is read from somebody who does not stop.
      if (size > maxBytes * PATIENCE) break;
    }
  } catch (cause) {
    brokenOff(source)(cause);
  }
  if (size > maxBytes) {
    throw new FoedusError('too-large', `The message is larger than ${maxBytes} bytes. Send a smaller one.`);
  }
  limits.read?.(size);
  return parseJson(Buffer.concat(chunks), limits);
}

/** A request that says how long it is, which is not too long. */
function isSmallRequest(source: object, maxBytes: number): source is Request {
  if (!(source instanceof Request)) return false;
  const length = source.headers.get('content-length');
  return length !== null && Number(length) <= maxBytes;
}

const brokenOff =
  (source: { readonly status?: number }) =>
  (cause: unknown): never => {
    const response = source.status !== undefined;
    const what = response ? 'The answer broke off. Try again.' : 'The body did not arrive whole. Send it again.';
    throw new FoedusError(response ? 'unavailable' : 'bad-request', what, { cause });
  };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws FoedusError `bad-request` */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = MESSAGE_LIMITS): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new FoedusError('bad-request', 'The body is not UTF-8. Send JSON in UTF-8.', { cause });
  }
  const { depth, members } = measure(text);
  if (depth > limits.maxDepth) {
    throw new FoedusError('bad-request', `The JSON is nested deeper than ${limits.maxDepth} levels. Flatten it.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FoedusError('bad-request', `The body is not JSON (${(cause as Error).message}).`, { cause });
  }
  // UTF-8 itself cannot hold them; only an escape can.
  const broken = /\\u[dD][89a-fA-F]/.test(text) ? halfSurrogate(value, '$') : undefined;
  if (broken !== undefined) {
    throw malformed(
      `${broken}: has half of a surrogate pair, which is no character and has no canonical form (RFC 8785)`,
    );
  }
  // Of two members with one name JSON.parse keeps the last; another reader may keep the first, and see another message.
  if (membersOf(value) !== members) throw malformed(`${repeatedName(text)}: is there twice (RFC 8785 allows it once)`);
  return value;
}

/** @param reason JSON path, colon, what is wrong there */
function malformed(reason: string): FoedusError {
  return new FoedusError('bad-request', reason, { details: { reasons: [reason] } });
}

/** The JSON path of the first text, or of the first object with a name, that is not well-formed Unicode. */
function halfSurrogate(value: unknown, path: string): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : path;
  if (typeof value !== 'object' || value === null) return undefined;
  const list = Array.isArray(value);
  for (const [key, inner] of Object.entries(value)) {
    if (!key.isWellFormed()) return path;
    const found = halfSurrogate(inner, list ? `${path}[${key}]` : jsonPath(path, key));
    if (found !== undefined) return found;
  }
  return undefined;
}

function jsonPath(path: string, key: string): string {
  return /^\w+$/.test(key) ? `${path}.${key}` : `${path}['${key.slice(0, 100)}']`;
}

/** Counts brackets and colons outside strings, before any recursive code sees the value. */
function measure(text: string): { readonly depth: number; readonly members: number } {
  let depth = 0;
  let deepest = 0;
  let members = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index];
    if (inString) {
      if (char === '\\') index += 1;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') deepest = Math.max(deepest, (depth += 1));
    else if (char === '}' || char === ']') depth -= 1;
    else if (char === ':') members += 1;
  }
  return { depth: deepest, members };
}

function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inner: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  let count = isObject(value) ? inner.length : 0;
  for (const one of inner) count += membersOf(one);
  return count;
}

/** The JSON path of the first name that an object of this well-formed text has twice. */
function repeatedName(text: string): string {
  /** Objects with their names so far, and arrays with how many values have begun. */
  const around: { readonly path: string; readonly names?: Set<string>; name: string; index: number }[] = [];
  const pathOf = (): string => {
    const inside = around.at(-1);
    if (!inside) return '$';
    return inside.names ? jsonPath(inside.path, inside.name) : `${inside.path}[${inside.index}]`;
  };
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\],]/g)) {
    const inside = around.at(-1);
    if (token === '{') around.push({ path: pathOf(), names: new Set(), name: '', index: 0 });
    else if (token === '[') around.push({ path: pathOf(), name: '', index: 0 });
    else if (token === '}' || token === ']') around.pop();
    else if (inside && token === ',') inside.index += 1;
    else if (inside?.names && token.endsWith(':')) {
      inside.name = JSON.parse(token.slice(0, -1)) as string;
      if (inside.names.has(inside.name)) return pathOf();
      inside.names.add(inside.name);
    }
  }
  return '$';
}
