import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/**
 * SHA-256 over the RFC 8785 canonical form, UTF-8, lower-case hex.
 *
 * @throws Error for what is not JSON
 */
export function policyDigest(json: unknown): string {
  return createHash('sha256').update(canonicalForm(json), 'utf8').digest('hex');
}

/** The RFC 8785 canonical form. @throws Error for what is not JSON */
export function canonicalForm(json: unknown): string {
  const text = canonicalize(json);
  if (text === undefined) throw new TypeError('the value is not JSON');
  return text;
}
