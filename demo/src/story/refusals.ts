import { FoedusError } from '@foedus/connector/errors';
import type { PeerClient } from '@foedus/connector/identity';
import type { Transfer } from '@foedus/connector/operator-client';
import type { Narrator } from '../narrator.ts';
import { pull, type Ask } from './exchange.ts';

export interface Refusal {
  readonly asked: string;
  readonly code: string;
  readonly reason: string;
}

/**
 * Asks for what the contract does not grant.
 *
 * @throws Error when it is granted all the same
 */
export async function expectRefusal(
  peer: PeerClient,
  transfer: Transfer,
  asked: string,
  ask: Ask,
  narrator: Narrator,
): Promise<Refusal> {
  try {
    const response = await pull(peer, transfer, ask);
    await response.body?.cancel();
  } catch (error) {
    if (!(error instanceof FoedusError)) throw error;
    narrator.refused(`${asked}: ${error.message}`);
    return { asked, code: error.code, reason: error.message };
  }
  throw new Error(`Must be refused, and was not: ${asked}`);
}
