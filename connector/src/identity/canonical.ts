import canonicalize from 'canonicalize';
import { createHash } from 'node:crypto';
import { FoedusError } from '../errors.ts';

/**
 * The one byte sequence of a JSON document, whatever the order of its keys: RFC 8785 (JCS), UTF-8.
 *
 * @throws FoedusError `bad-request` for what JSON cannot say (undefined, NaN, a lone surrogate, a cycle)
 */
export function canonicalise(document: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = canonicalize(document);
  } catch (cause) {
    throw new FoedusError('bad-request', `The document has no canonical form: ${(cause as Error).message}`, { cause });
  }
  if (text === undefined) {
    throw new FoedusError('bad-request', 'The document has no canonical form: it is not a JSON value.');
  }
  return new TextEncoder().encode(text);
}

/** @returns SHA-256 of the canonical form, 64 hex digits */
export function digest(document: unknown): string {
  return createHash('sha256').update(canonicalise(document)).digest('hex');
}
