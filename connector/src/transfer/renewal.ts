import type { Logger } from 'pino';
import { z } from 'zod';
import { FoedusError } from '../errors.ts';
import type { PeerClient } from '../identity/index.ts';
import type { DataAddress, Transfer } from '../management/model.ts';
import type { ProcessStore } from '../protocol/process-store.ts';
import type { Transact } from '../store/transact.ts';

/** A token is renewed once less than this share of its life is left. */
const RENEWED_AT = 1 / 3;

const LONGEST_LIFETIME = 10 * 365 * 86_400;

const answerSchema = z.object({
  // What goes into a header later: printable, and no space.
  access_token: z
    .string()
    .min(1)
    .max(100_000)
    .regex(/^[\x21-\x7e]+$/),
  expires_in: z.number().positive().max(LONGEST_LIFETIME).optional(),
  refresh_token: z.string().min(1).max(100_000).optional(),
});
const problemSchema = z.object({
  message: z.string().optional(),
  error_description: z.string().optional(),
  error: z.string().optional(),
});

/** Keeps the tokens of the pull transfers that this node consumes good. */
export interface TokenRenewal {
  /**
   * The data address of a transfer, with a token that is good for a while yet where its provider renews tokens
   * (`refreshEndpoint` and `refreshToken` in the address, RFC 6749 section 6).
   *
   * @param force renews even a token that seems to be good: the provider has refused it
   * @throws FoedusError `not-permitted` or `unavailable` where `force` is of no avail; without it the address is given
   *   as it is then
   */
  renewed(transfer: Transfer & { readonly dataAddress: DataAddress }, force: boolean): Promise<DataAddress>;
}

export function createTokenRenewal(options: {
  store: ProcessStore<Transfer>;
  transact: Transact;
  client: Pick<PeerClient, 'call'>;
  clock: () => Date;
  logger: Logger;
}): TokenRenewal {
  const { store, transact, client, clock, logger } = options;
  // Several callers wait for the same new token.
  const underWay = new Map<string, Promise<DataAddress>>();

  const renew = async (transfer: Transfer, old: DataAddress): Promise<DataAddress> => {
    const { refreshEndpoint = '', refreshToken = '', ...others } = old.properties;
    if (!URL.canParse(refreshEndpoint)) {
      throw new FoedusError('unavailable', 'The refreshEndpoint of the data address is no address.');
    }
    const { status, body = new Uint8Array() } = await client.call(refreshEndpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        // What other connectors' endpoints want to see beside the refresh token.
        ...(/^[\x20-\x7e]+$/.test(others['authorization'] ?? '') && { authorization: others['authorization']! }),
      },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }).toString(),
      expect: transfer.counterPartyId,
      timeoutMs: 30_000,
      maxBytes: 300_000,
    });
    const text = Buffer.from(body).toString('utf8');
    if (status !== 200) throw refusal(status, text);
    const answer = readAnswer(text);
    const properties = {
      ...others,
      refreshEndpoint,
      authorization: answer.access_token,
      refreshToken: answer.refresh_token ?? refreshToken,
      ...(answer.expires_in !== undefined && { expiresIn: String(answer.expires_in) }),
    };
    const dataAddress = { ...old, properties };
    transact(() => {
      const now = store.get(transfer.id);
      // Perhaps the provider has sent another address meanwhile: that one is newer.
      if (now?.dataAddress?.properties['authorization'] !== old.properties['authorization']) return;
      store.save({ ...now!, dataAddress, dataAddressAt: clock().toISOString() });
    });
    logger.info({ transfer: transfer.id, provider: transfer.counterPartyId }, 'a token is renewed');
    return dataAddress;
  };

  return {
    async renewed(transfer, force) {
      const { dataAddress } = transfer;
      const { refreshEndpoint, refreshToken } = dataAddress.properties;
      if (refreshEndpoint === undefined || refreshToken === undefined || transfer.state !== 'STARTED') {
        return dataAddress;
      }
      if (!force && !isDue(transfer, clock())) return dataAddress;
      const waiting = underWay.get(transfer.id) ?? renew(transfer, dataAddress);
      underWay.set(transfer.id, waiting);
      try {
        return await waiting;
      } catch (error) {
        logger.warn({ err: error, transfer: transfer.id }, 'a token could not be renewed');
        if (force) throw error;
        return dataAddress;
      } finally {
        if (underWay.get(transfer.id) === waiting) underWay.delete(transfer.id);
      }
    },
  };
}

/** Whether most of a token's life is over. Without `expiresIn` nobody knows: then a refused one is renewed. */
function isDue({ dataAddress, dataAddressAt, updatedAt }: Transfer, now: Date): boolean {
  const lifetime = Number(dataAddress?.properties['expiresIn']);
  if (!(lifetime > 0)) return false;
  const age = (now.getTime() - new Date(dataAddressAt ?? updatedAt).getTime()) / 1000;
  return lifetime - age < lifetime * RENEWED_AT;
}

function readAnswer(text: string): z.infer<typeof answerSchema> {
  try {
    return answerSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new FoedusError('unavailable', 'The provider answered the renewal of a token with something else.', {
      cause,
    });
  }
}

function refusal(status: number, text: string): FoedusError {
  let why: string = `status ${status}`;
  try {
    const problem = problemSchema.parse(JSON.parse(text));
    why = (problem.message ?? problem.error_description ?? problem.error ?? why).slice(0, 500);
  } catch {
    // The status has to do.
  }
  return new FoedusError(
    status >= 500 || status === 408 || status === 429 ? 'unavailable' : 'not-permitted',
    `The provider does not renew the token: ${why}`,
  );
}
