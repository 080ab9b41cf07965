import { createHash, hkdfSync } from 'node:crypto';

/** SHA-256 works on blocks of 64 bytes (FIPS 180-4, section 1). */
const BLOCK_BYTES = 64;

/** An HMAC key with both paddings applied, ready to be bound to a query (RFC 2104, section 2). */
export interface MaskingKey {
  readonly inner: Uint8Array;
  readonly outer: Uint8Array;
}

/**
 * The key that the mask `hash` uses under one agreement: HKDF-SHA-256 (RFC 5869) of the node's masking secret with
 * the SHA-256 of the agreement's id as info. Hashes agree within an agreement and cannot be linked between two of them.
 *
 * @param secret 32 bytes, known to this node only: who has it can try values until a hash fits
 */
export function maskingKeyFor(secret: Uint8Array, agreementId: string): MaskingKey {
  // An info may have 1024 bytes at the most in Node, an IRI more.
  const info = `foedus masking ${createHash('sha256').update(agreementId).digest('hex')}`;
  const key = new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), info, 32));
  const padded = (padding: number): Uint8Array =>
    Uint8Array.from({ length: BLOCK_BYTES }, (_, i) => (key[i] ?? 0) ^ padding);
  return { inner: padded(0x36), outer: padded(0x5c) };
}
