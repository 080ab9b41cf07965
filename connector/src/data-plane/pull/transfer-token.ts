import { randomUUID } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { FoedusError } from '../../errors.ts';

const claimsSchema = z.object({
  sub: z.string(),
  transfer: z.string(),
  agreement: z.string(),
  generation: z.int().min(0),
});

/** What a token is bound to. */
export interface TokenBinding {
  readonly transferId: string;
  readonly agreementId: string;
  /** Participant id of the consumer: who else presents the token is refused. */
  readonly subject: string;
  /** Of the transfer's access when the token was made: see `generationOf`. */
  readonly generation: number;
}

/** What a consumer is given to fetch data with. */
export interface TokenPair {
  readonly accessToken: string;
  /** Good for new access tokens, for as long as the transfer runs. */
  readonly renewalToken: string;
  /** Seconds that the access token is good for. */
  readonly expiresIn: number;
}

export interface TransferTokens {
  issue(binding: TokenBinding): Promise<TokenPair>;
  /** @throws FoedusError `not-authenticated` for a token that is forged, expired or meant for somewhere else */
  verify(accessToken: string): Promise<TokenBinding>;
  /** @throws FoedusError as `verify` */
  verifyRenewal(renewalToken: string): Promise<TokenBinding>;
}

/**
 * Tokens of pull transfers: JWTs (RFC 7519) that only the node which made them can check, hence HS256. One lets its
 * holder fetch data, the other gets a new one of the first; each has an audience of its own, so that none is taken for
 * the other. Both are of use to one participant only, who shows its certificate: a renewal token need not change at
 * each use (RFC 9700, section 4.14.2).
 *
 * @param secret 32 bytes
 * @param issuer the node's participant id
 * @param audience address of the data plane
 * @param lifetimeSeconds how long an access token is good for
 */
export function createTransferTokens(options: {
  secret: Uint8Array;
  issuer: string;
  audience: string;
  lifetimeSeconds: number;
  clock: () => Date;
}): TransferTokens {
  const { secret, issuer, audience, lifetimeSeconds, clock } = options;
  const renewal = `${audience}#renewal`;
  const now = (): number => Math.floor(clock().getTime() / 1000);
  const made = ({ transferId, agreementId, subject, generation }: TokenBinding, meantFor: string): SignJWT =>
    new SignJWT({ transfer: transferId, agreement: agreementId, generation })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(issuer)
      .setAudience(meantFor)
      .setSubject(subject)
      .setJti(randomUUID())
      .setIssuedAt(now());
  const read = async (token: string, meantFor: string, requiredClaims: string[], refusal: string) => {
    try {
      const { payload } = await jwtVerify(token, secret, {
        algorithms: ['HS256'],
        issuer,
        audience: meantFor,
        requiredClaims,
        currentDate: clock(),
      });
      const { transfer, agreement, sub, generation } = claimsSchema.parse(payload);
      return { transferId: transfer, agreementId: agreement, subject: sub, generation };
    } catch (cause) {
      throw new FoedusError('not-authenticated', refusal, { cause });
    }
  };
  return {
    async issue(binding) {
      return {
        accessToken: await made(binding, audience)
          .setExpirationTime(now() + lifetimeSeconds)
          .sign(secret),
        renewalToken: await made(binding, renewal).sign(secret),
        expiresIn: lifetimeSeconds,
      };
    },
    verify: (token) =>
      read(
        token,
        audience,
        ['exp', 'sub'],
        'The token is not one of this node, or has expired. Get a new one at the refreshEndpoint of the data address.',
      ),
    verifyRenewal: (token) =>
      read(token, renewal, ['sub'], 'The refresh token is not one of this node. Use the one of the data address.'),
  };
}
