import { randomUUID } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';

/** How long a token is good for. A transfer that lasts longer is suspended and started again for a new one. */
export const TOKEN_LIFETIME_SECONDS = 24 * 60 * 60;

const claimsSchema = z.object({ sub: z.string(), transfer: z.string(), agreement: z.string() });

/** What a token is bound to. */
export interface TokenBinding {
  readonly transferId: string;
  readonly agreementId: string;
  /** Participant id of the consumer: who else presents the token is refused. */
  readonly subject: string;
}

export interface TransferTokens {
  issue(binding: TokenBinding): Promise<string>;
  /** @throws FoedusError `not-authenticated` for a token that is forged, expired or meant for somewhere else */
  verify(token: string): Promise<TokenBinding>;
}

/**
 * Access tokens of pull transfers: JWTs (RFC 7519) that only the node which made them can check, hence HS256.
 *
 * @param secret 32 bytes
 * @param issuer the node's participant id
 * @param audience address of the data plane
 */
export function createTransferTokens(options: {
  secret: Uint8Array;
  issuer: string;
  audience: string;
  clock: () => Date;
}): TransferTokens {
  const { secret, issuer, audience, clock } = options;
  return {
    issue({ transferId, agreementId, subject }) {
      const now = Math.floor(clock().getTime() / 1000);
      return new SignJWT({ transfer: transferId, agreement: agreementId })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(subject)
        .setJti(randomUUID())
        .setIssuedAt(now)
        .setExpirationTime(now + TOKEN_LIFETIME_SECONDS)
        .sign(secret);
    },
    async verify(token) {
      try {
        const { payload } = await jwtVerify(token, secret, {
          algorithms: ['HS256'],
          issuer,
          audience,
          requiredClaims: ['exp', 'sub'],
          currentDate: clock(),
        });
        const claims = claimsSchema.parse(payload);
        return { transferId: claims.transfer, agreementId: claims.agreement, subject: claims.sub };
      } catch (cause) {
        throw new FoedusError(
          'not-authenticated',
          'The token is not one of this node, or has expired. Suspend the transfer and start it again to get a new one.',
          { cause },
        );
      }
    },
  };
}
