import { createHash, hkdfSync } from 'node:crypto';

const KEY_BYTES = 32;

/** What masks under one agreement are made with. */
export interface MaskingKey {
  /** 32 bytes, of the mask `hash`. */
  readonly pseudonyms: Uint8Array;
  /** 32 bytes, that decide which rows are in a sample. */
  readonly sample: Uint8Array;
}

/**
 * The keys of the masks under one agreement: HKDF-SHA-256 (RFC 5869) of the node's masking secret with the SHA-256 of
 * the agreement's id in the info. Pseudonyms agree within an agreement and cannot be linked between two of them.
 *
 * @param secret 32 bytes, known to this node only: who has it can try values until a pseudonym fits
 */
export function maskingKeyFor(secret: Uint8Array, agreementId: string): MaskingKey {
  // An info may have 1024 bytes at the most in Node, an IRI more.
  const agreement = createHash('sha256').update(agreementId).digest('hex');
  const derived = (use: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), `foedus masking ${use} ${agreement}`, KEY_BYTES));
  return { pseudonyms: derived('pseudonyms'), sample: derived('sample') };
}
