import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';

/** What the address of a file is good for: this file, for this profile, while this transfer lasts. */
export interface FileGrant {
  readonly fileId: string;
  readonly profileId: string;
  readonly agreementId: string;
  readonly transferId: string;
}

export interface FileTokens {
  issue(grant: FileGrant): Promise<{ token: string; expiresAt: Date }>;
  /** @throws FoedusError `not-authenticated` for what is forged, expired, or was given for another file */
  verify(token: string, fileId: string): Promise<FileGrant>;
}

const claimsSchema = z.object({ sub: z.string(), file: z.string(), agreement: z.string(), transfer: z.string() });

/**
 * Tokens in the addresses of files: JWTs (RFC 7519) that only the node which made them can check, hence HS256.
 *
 * @param secret 32 bytes
 * @param audience address of the endpoint
 */
export function createFileTokens(options: {
  readonly secret: () => Uint8Array;
  readonly audience: () => string;
  readonly lifetimeSeconds: number;
  readonly clock: () => Date;
}): FileTokens {
  const { secret, audience, lifetimeSeconds, clock } = options;
  return {
    issue: async ({ fileId, profileId, agreementId, transferId }) => {
      const expires = Math.floor(clock().getTime() / 1000) + lifetimeSeconds;
      const token = await new SignJWT({ file: fileId, agreement: agreementId, transfer: transferId })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setAudience(audience())
        .setSubject(profileId)
        .setExpirationTime(expires)
        .sign(secret());
      return { token, expiresAt: new Date(expires * 1000) };
    },
    verify: async (token, fileId) => {
      try {
        const { payload } = await jwtVerify(token, secret(), {
          algorithms: ['HS256'],
          audience: audience(),
          requiredClaims: ['exp', 'sub'],
          currentDate: clock(),
        });
        const claims = claimsSchema.parse(payload);
        if (claims.file !== fileId) throw new Error('another file');
        return { fileId, profileId: claims.sub, agreementId: claims.agreement, transferId: claims.transfer };
      } catch (cause) {
        throw new FoedusError(
          'not-authenticated',
          'This address is not one of this node, or it has expired. Query the table again: that is another use.',
          { cause },
        );
      }
    },
  };
}
