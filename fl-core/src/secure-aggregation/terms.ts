/** What all parties of a round must agree on, in one document: whoever changes anything in it is in another round. */
import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { z } from 'zod';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);

export const roundTermsSchema = z
  .strictObject({
    protocol: z.literal('foedus-secure-aggregation-1'),
    sessionId: z.string().min(1).max(200),
    round: z.int().min(1),
    /** Participant ids of all that may take part, in ascending order, each once. A member's index is its place here. */
    cohort: z
      .array(z.string().min(1).max(500))
      .min(2)
      .max(100_000)
      .refine((ids) => ids.every((id, i) => i === 0 || ids[i - 1]! < id), 'must be in ascending order, each once'),
    /** SHA-256 of the parameters that everybody starts from: another model for one client makes another round. */
    modelHash: hex32,
    /** SHA-256 of what the agreements allow, as planned for the session. */
    policyHash: hex32,
    mode: z.enum(['honest-server', 'active-server']),
    /** Even k, or null for everybody with everybody. */
    degree: z.int().min(2).multipleOf(2).nullable(),
    /** With fewer members than this at any step the round ends without output. */
    minimumCohort: z.int().min(2),
    /** P: how many ring elements an input has. */
    length: z
      .int()
      .min(1)
      .max(2 ** 28),
    /** The ring is the integers modulo 2^bits. */
    bits: z.int().min(1).max(32),
    /** Ring elements for each unit of an update: 2^gridExponent. */
    gridExponent: z.int().min(-30).max(40),
  })
  .refine(({ mode, degree }) => mode === 'honest-server' || degree === null, {
    message: 'the active-server mode needs the complete graph (degree null)',
  });
export type RoundTerms = z.infer<typeof roundTermsSchema>;

/** @returns SHA-256, hex, of the document in RFC 8785 canonical form */
export const documentHash = (document: object): string => hash('sha256', canonicalize(document) ?? '', 'hex');

/** @returns the hash that names the round in every message, key and signature */
export const termsHash = (terms: RoundTerms): string => documentHash(terms);
