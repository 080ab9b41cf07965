import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import { signedAgreementSchema, type SignedAgreement } from '../management/model.ts';
import { compactTerms } from '../protocol/terms.ts';
import { verifySignature, type Identity, type Trust } from '../identity/index.ts';

/** What of an ODRL Agreement the signatures are checked against. */
const partiesSchema = z.looseObject({
  '@id': z.string(),
  assigner: z.string(),
  assignee: z.string(),
  timestamp: z.iso.datetime({ offset: true }).optional(),
});

export interface SignatureReport {
  readonly role: 'provider' | 'consumer';
  /** Who should have signed: assigner (provider) or assignee (consumer) of the agreement. */
  readonly participantId: string;
  readonly status: 'valid' | 'invalid' | 'missing';
  /** One sentence in plain words. */
  readonly text: string;
  /** Of a valid signature: SHA-256 of the signing certificate, hex, and its validity. */
  readonly certificate?: {
    readonly fingerprint: string;
    readonly validFrom: Date;
    readonly validTo: Date;
    /** Whether it is still valid now; it was when the agreement was made. */
    readonly validNow: boolean;
  };
}

export interface AgreementReport {
  /** Both sides have signed this very text. */
  readonly valid: boolean;
  /** Time of the agreement, at which the certificates had to be valid. */
  readonly at: Date;
  readonly signatures: readonly [provider: SignatureReport, consumer: SignatureReport];
}

/**
 * Signs an agreement as one of its two parties.
 *
 * @param agreement the ODRL Agreement as exchanged
 * @returns detached compact JWS over its RFC 8785 form
 * @throws FoedusError `bad-request` when it is no agreement, or one between others
 */
export async function signAgreement(identity: Identity, agreement: unknown): Promise<string> {
  const { assigner, assignee } = readParties(agreement);
  if (identity.participantId !== assigner && identity.participantId !== assignee) {
    throw new FoedusError(
      'bad-request',
      `${identity.participantId} is not a party of this agreement, which is between ${assigner} and ${assignee}; it is not signed.`,
    );
  }
  return await identity.sign(agreement);
}

/**
 * Verifies both signatures of an agreement; a signature that is bad or missing is reported, not thrown.
 *
 * Certificates must have been valid at the agreement's time: an agreement outlives the certificates it was signed with.
 *
 * @param by whose trust anchors count: an identity, or the anchors themselves
 * @throws FoedusError `bad-request` when the record is no agreement, or its fields contradict the signed text
 */
export async function verifyAgreement(
  by: { readonly trust: Trust },
  signed: Pick<SignedAgreement, 'id' | 'assigner' | 'assignee' | 'agreement' | 'signatures' | 'createdAt'>,
  now: Date = new Date(),
): Promise<AgreementReport> {
  const parties = readParties(signed.agreement);
  if (parties['@id'] !== signed.id || parties.assigner !== signed.assigner || parties.assignee !== signed.assignee) {
    throw new FoedusError(
      'bad-request',
      `The record of agreement ${signed.id} does not fit the signed text, which is ${parties['@id']} between ${parties.assigner} and ${parties.assignee}. The record was changed.`,
    );
  }
  const at = new Date(parties.timestamp ?? signed.createdAt);
  const check = (role: SignatureReport['role'], participantId: string, jws: string | undefined): SignatureReport => {
    const who = `the ${role}, ${participantId}`;
    if (jws === undefined) return { role, participantId, status: 'missing', text: `Not signed by ${who}.` };
    try {
      const { fingerprint, validFrom, validTo } = verifySignature(jws, signed.agreement, {
        expectedSigner: participantId,
        trust: by.trust,
        at,
      });
      const validNow = now >= validFrom && now <= validTo;
      const since = validNow ? '' : ` (its certificate has expired since, on ${validTo.toISOString().slice(0, 10)})`;
      return {
        role,
        participantId,
        status: 'valid',
        text: `Signed by ${who}${since}.`,
        certificate: { fingerprint, validFrom, validTo, validNow },
      };
    } catch (error) {
      if (!(error instanceof FoedusError)) throw error;
      return { role, participantId, status: 'invalid', text: error.message };
    }
  };
  const provider = check('provider', parties.assigner, signed.signatures.provider);
  const consumer = check('consumer', parties.assignee, signed.signatures.consumer);
  return { valid: provider.status === 'valid' && consumer.status === 'valid', at, signatures: [provider, consumer] };
}

/**
 * Reads an agreement as a connector hands it out (`foedus agreement show --json`).
 *
 * @throws FoedusError `bad-request` for anything else
 */
export function readSignedAgreement(json: string): SignedAgreement {
  try {
    return signedAgreementSchema.parse(JSON.parse(json));
  } catch (cause) {
    throw new FoedusError(
      'bad-request',
      'This is no exported agreement. `foedus agreement show ID --json` writes one, with the signatures beside the signed text.',
      { cause },
    );
  }
}

function readParties(agreement: unknown): z.infer<typeof partiesSchema> {
  const parsed = partiesSchema.safeParse(compactTerms(agreement));
  if (!parsed.success) {
    throw new FoedusError(
      'bad-request',
      `This is no agreement: ${parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`,
    );
  }
  return parsed.data;
}
