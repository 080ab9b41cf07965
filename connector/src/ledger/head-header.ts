import { FoedusError } from '../errors.ts';
import { signedHeadSchema, type SignedHead } from './head.ts';

/** With every answer of the data plane, and with the next request: the head of the provider's ledger. */
export const HEAD_HEADER = 'foedus-ledger-head';

/** A head and its signature with the certificate: more than this is something else. */
const LONGEST = 15_000;

/** @returns base64url of the JSON */
export function writeHeadHeader(head: SignedHead): string {
  return Buffer.from(JSON.stringify(head)).toString('base64url');
}

/** @throws FoedusError `bad-request` */
export function readHeadHeader(text: string): SignedHead {
  try {
    if (text.length > LONGEST) throw new Error('too long');
    return signedHeadSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch (cause) {
    throw new FoedusError(
      'bad-request',
      `The header ${HEAD_HEADER} is no head of a ledger. Send the one of an earlier answer as it came, or none.`,
      { cause },
    );
  }
}
