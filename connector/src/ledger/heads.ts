import { policyDigest } from '@foedus/usage-policies';
import type { Logger } from 'pino';
import { FoedusError } from '../errors.ts';
import type { Identity } from '../identity/index.ts';
import { meters, type LedgerEntry, type SignedAgreement } from '../management/model.ts';
import type { Database } from '../store/database.ts';
import { createChain, type Chain, type Spent } from './chain.ts';
import { createDisputes } from './disputes.ts';
import type { LedgerHead, SignedHead } from './head.ts';
import { createLedger, type Ledger } from './ledger.ts';
import type { AgreementReader, UsageEvent } from './usage-control.ts';
import { verifyHead } from './verify-head.ts';

/**
 * Signed heads of this node's ledger: partners keep the newest and present it, so that a ledger that was set back to an
 * older copy of itself is found out before anything is released by it.
 */
export interface LedgerHeads {
  /**
   * The newest head of this node's ledger of an agreement, signed by this node. It covers everything that was
   * charged and drawn before this call: give it away with what is released, or after.
   *
   * @throws FoedusError `not-found`
   */
  signed(agreementId: string): Promise<SignedHead>;
  /**
   * Takes a head that a partner holds. Where the chain does not contain it, the ledger is older than what the partner
   * holds: nothing is released under the agreement any more until it has been reconciled.
   *
   * @returns the newest head of the own chain
   * @throws FoedusError `conflict` where the chain does not contain it; `bad-signature` or `bad-request` for a head that
   *   is not ours or of another agreement, which changes nothing; `not-found`
   */
  present(agreementId: string, presented: SignedHead): Promise<SignedHead>;
  /** Heads that were presented and are waited to be reconciled. */
  disputed(agreementId: string): LedgerHead[];
  /**
   * Adopts the heads that are not in the chain: charges what they say that was spent and this ledger does not know of,
   * and records that in the chain. From then on uses are possible again, within what is left.
   *
   * @throws FoedusError `conflict` where there is nothing to reconcile; `not-found`
   */
  reconcile(agreementId: string, decided: Reconciliation): Promise<{ entry: LedgerEntry; head: SignedHead }>;
}

export interface Reconciliation {
  /** What happened and was decided, in the operator's words: it stays in the chain. */
  readonly reason: string;
  /** What is to count as spent at least, where more is known to have been than the heads say. */
  readonly atLeast?: Partial<Spent>;
}

export interface LedgerHeadsOptions {
  readonly database: Database;
  readonly agreements: AgreementReader;
  readonly identity: Pick<Identity, 'sign' | 'trust'>;
  readonly clock: () => Date;
  readonly logger: Logger;
  /** Told of what was adopted, after the transaction. */
  readonly events?: (event: UsageEvent) => void;
}

export function createLedgerHeads(options: LedgerHeadsOptions): LedgerHeads {
  const { database, agreements, identity, clock, logger, events } = options;
  const ledger = createLedger({ database, clock });
  const chain = createChain(database);
  const disputes = createDisputes(database);

  const known = (agreementId: string): SignedAgreement => {
    const agreement = agreements.get(agreementId);
    if (agreement === undefined) {
      throw new FoedusError(
        'not-found',
        `This node has no agreement ${agreementId}. List its agreements to find the right id.`,
      );
    }
    return agreement;
  };
  const sign = async (head: LedgerHead): Promise<SignedHead> => ({ head, signature: await identity.sign(head) });

  return {
    signed: async (agreementId) => await sign(ledger.head(known(agreementId).id)),

    async present(agreementId, presented) {
      const { role, assigner, assignee } = known(agreementId);
      const signer = role === 'provider' ? assigner : assignee;
      verifyHead(presented, { agreementId, signer, trust: identity.trust });
      const { head } = presented;
      const own = database.transaction(() => {
        const newest = ledger.head(agreementId);
        if (contains(chain, head)) return newest;
        disputes.add(head, clock().toISOString());
        return undefined;
      });
      if (own !== undefined) return await sign(own);
      logger.error(
        { agreement: agreementId, sequence: head.sequence, at: head.at },
        'the ledger is older than what a partner holds: nothing is released under the agreement until it is reconciled',
      );
      throw olderThanPartner(agreementId);
    },

    disputed: (agreementId) => disputes.of(agreementId),

    async reconcile(agreementId, { reason, atLeast = {} }) {
      const agreement = known(agreementId);
      const { entry, head } = database.transaction(() => {
        const heads = disputes.of(agreementId);
        if (heads.length === 0) {
          throw new FoedusError(
            'conflict',
            `No partner holds a head of agreement ${agreementId} that this ledger does not contain: there is nothing to reconcile.`,
          );
        }
        const amounts = lostBy(agreementId, heads, atLeast, ledger, chain);
        const digest = policyDigest(agreement.agreement);
        const adopted = ledger.adopt({ agreementId, policyDigest: digest, reason, heads, amounts });
        disputes.clear(agreementId);
        return { entry: adopted, head: ledger.head(agreementId) };
      });
      events?.({ type: 'reconciled', entry });
      return { entry, head: await sign(head) };
    },
  };
}

/** What every use of an agreement is refused with while a partner's head is not reconciled. */
export function olderThanPartner(agreementId: string): FoedusError {
  return new FoedusError(
    'conflict',
    `The ledger of agreement ${agreementId} is older than what a partner holds of it, most likely because a backup was restored. Nothing is released until the operator of this node has reconciled it (foedus ledger reconcile).`,
  );
}

/**
 * Whether the chain contains a head of ours: as one of its elements, or as part of what was adopted. The elements that
 * led to an adopted head are lost; an earlier head with no more spent is covered by it all the same.
 */
function contains(chain: Chain, { agreementId, sequence, hash, at, spent }: LedgerHead): boolean {
  if (sequence === 0 || chain.hashAt(agreementId, sequence) === hash) return true;
  return chain
    .adopted(agreementId)
    .some(
      (adopted) =>
        adopted.hash === hash ||
        (sequence <= adopted.sequence &&
          at <= adopted.at &&
          meters.every((meter) => spent[meter] <= adopted.spent[meter])),
    );
}

/**
 * What is missing in the own account. A head was signed before the ledger was set back, so what the own chain has from
 * after the head's time came after the setting back, and was not counted in the head: both were spent. Draws that the
 * copy had not chained when it was made are chained after, and so count twice: more than was spent, never less.
 */
function lostBy(
  agreementId: string,
  heads: readonly LedgerHead[],
  atLeast: Partial<Spent>,
  ledger: Ledger,
  chain: Chain,
): Partial<Spent> {
  const own = ledger.head(agreementId).spent;
  return Object.fromEntries(
    meters.map((meter) => {
      const totals = heads.map(
        ({ at, spent }) => spent[meter] + Math.max(0, own[meter] - chain.spentAt(agreementId, at)[meter]),
      );
      return [meter, Math.max(0, ...totals.map((total) => total - own[meter]), (atLeast[meter] ?? 0) - own[meter])];
    }),
  );
}
