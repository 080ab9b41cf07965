import { FoedusError } from '../errors.ts';

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

/**
 * Reads a request or a response as JSON, whatever its content type says.
 *
 * @throws FoedusError `too-large`, or `bad-request` for anything that is not UTF-8 JSON within the limits
 */
export async function readJson(
  source: { readonly body: ReadableStream<Uint8Array> | null },
  limits: JsonLimits = MESSAGE_LIMITS,
): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop by an error cancels the stream: nothing more is read from a sender of too much.
  for await (const chunk of source.body ?? []) {
    size += chunk.byteLength;
    if (size > limits.maxBytes) {
      throw new FoedusError('too-large', `The message is larger than ${limits.maxBytes} bytes. Send a smaller one.`);
    }
    chunks.push(chunk);
  }
  limits.read?.(size);
  return parseJson(Buffer.concat(chunks), limits);
}

/** @throws FoedusError `bad-request` */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = MESSAGE_LIMITS): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FoedusError('bad-request', 'The body is not UTF-8. Send JSON in UTF-8.', { cause });
  }
  if (depthOf(text) > limits.maxDepth) {
    throw new FoedusError('bad-request', `The JSON is nested deeper than ${limits.maxDepth} levels. Flatten it.`);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FoedusError('bad-request', `The body is not JSON (${(cause as Error).message}).`, { cause });
  }
}

/** Counts brackets outside strings, before any recursive code sees the value. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index];
    if (inString) {
      if (char === '\\') index += 1;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') deepest = Math.max(deepest, (depth += 1));
    else if (char === '}' || char === ']') depth -= 1;
  }
  return deepest;
}
