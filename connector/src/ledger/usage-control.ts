import { TRAIN, USE, type Decision, type UsageEvent as PolicyEvent } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import type { Account, LedgerEntry, SignedAgreement, UsageRequestBody } from '../management/model.ts';
import type { Database } from '../store/database.ts';
import { createLedger, type Exercised } from './ledger.ts';
import { createPolicyCache } from './policy-cache.ts';

/** A permitted use whose charges are held in the ledger. */
export interface GrantedUse {
  readonly entry: LedgerEntry;
  readonly decision: Decision;
}

/**
 * The one way to any use of data: decide by the signed agreement, charge the ledger, then release.
 *
 * Assignee and time are set here, from the agreement's counterparty and the clock that was given at start.
 */
export interface UsageControl {
  /** Decides without charging. @throws FoedusError `not-found` for an unknown agreement */
  decide(agreementId: string, request: UsageRequestBody): Decision;
  /**
   * Decides and reserves all charges in one transaction. With a `key` seen before, returns that reservation unchanged.
   *
   * @throws FoedusError `not-permitted` or `budget-exhausted`; the message names each reason, `details.decision` has all
   */
  reserve(use: {
    agreementId: string;
    key: string;
    request: UsageRequestBody;
    basis?: Record<string, unknown>;
  }): GrantedUse;
  /** Makes a reservation final. Idempotent. A crash between reserve and commit leaves it charged. */
  commit(reservationId: string): LedgerEntry;
  /** Gives a reservation back, when nothing was released. @throws FoedusError `conflict` once committed */
  refund(reservationId: string): LedgerEntry;
  account(agreementId: string): Account;
}

/** The stored agreements, as far as usage control needs them. */
export interface AgreementReader {
  get(agreementId: string): SignedAgreement | undefined;
}

/** What usage control tells whoever counts and logs: told after the transaction, never before. */
export type UsageEvent =
  | {
      readonly type: 'denied';
      readonly agreementId: string;
      readonly key: string;
      readonly request: UsageRequestBody;
      readonly decision: Decision;
    }
  | { readonly type: 'reserved' | 'committed' | 'refunded'; readonly entry: LedgerEntry };

export interface UsageControlOptions {
  readonly database: Database;
  readonly agreements: AgreementReader;
  readonly clock: () => Date;
  /** Called with what was decided and charged. Must not throw. */
  readonly events?: (event: UsageEvent) => void;
}

/** The operand of the IDS usage-control class 2. */
const CONNECTOR = 'https://w3id.org/idsa/code/CONNECTOR';

/**
 * Usage control over the ledger in `database` (migration 2).
 *
 * Uses are decided by the node that holds the data: the provider of the agreement. The assignee of every request is
 * the agreement's. Reading what is spent, deciding and reserving are one immediate transaction, so processes that
 * share the file cannot overspend together.
 *
 * All methods throw FoedusError: `not-found` for an agreement or reservation that this node does not have,
 * `not-permitted` for an agreement that is not in force or not ours to decide, `unavailable` when another process
 * holds the ledger for longer than the database waits.
 */
export function createUsageControl({ database, agreements, clock, events }: UsageControlOptions): UsageControl {
  const ledger = createLedger({ database, clock });
  const policyOf = createPolicyCache();
  const tell = events ?? (() => undefined);

  const known = (agreementId: string): SignedAgreement => {
    const agreement = agreements.get(agreementId);
    if (agreement !== undefined) return agreement;
    throw new FoedusError(
      'not-found',
      `This node has no agreement ${agreementId}. List its agreements to find the right id.`,
    );
  };
  const inForce = (agreementId: string): SignedAgreement => {
    const agreement = known(agreementId);
    if (agreement.role !== 'provider') {
      throw new FoedusError(
        'not-permitted',
        `This node is the consumer under agreement ${agreementId}: its uses are decided and charged by the provider, ${agreement.assigner}.`,
      );
    }
    if (!agreement.finalized) {
      throw new FoedusError(
        'not-permitted',
        `Agreement ${agreementId} is not in force: its negotiation is not finalized. Finish the negotiation first.`,
      );
    }
    return agreement;
  };
  const decideNow = (
    agreement: SignedAgreement,
    { action, purpose, columns, training }: UsageRequestBody,
  ): Decision => {
    const policy = policyOf(agreement);
    const request = {
      action,
      assignee: agreement.assignee,
      at: clock(),
      ...(purpose !== undefined && { purpose }),
      ...(columns && { columns }),
      ...(training && { training }),
      // Each participant has one connector, and the certificate that both sides checked says which.
      values: { [CONNECTOR]: agreement.assignee },
    };
    return policy.decide(request, {
      spent: ledger.spent(agreement.id),
      agreedAt: new Date(agreement.createdAt),
      ...(policy.asksForUses && { history: usesOf(agreement, ledger.exercised(agreement.id)) }),
    });
  };

  return {
    decide: (agreementId, request) => decideNow(inForce(agreementId), request),

    reserve({ agreementId, key, request, basis }) {
      const outcome = onLedger(database, (): { fresh: boolean; entry?: LedgerEntry; decision: Decision } => {
        const agreement = inForce(agreementId);
        const earlier = ledger.find(agreementId, key);
        if (earlier !== undefined) return { fresh: false, ...earlier };
        const decision = decideNow(agreement, request);
        if (!decision.permit) return { fresh: true, decision };
        return {
          fresh: true,
          decision,
          entry: ledger.reserve({ agreementId, key, decision, ...(basis && { basis }) }),
        };
      });
      const { fresh, entry, decision } = outcome;
      if (entry === undefined) {
        tell({ type: 'denied', agreementId, key, request, decision });
        throw denial(decision);
      }
      if (fresh) tell({ type: 'reserved', entry });
      return { entry, decision };
    },

    commit(reservationId) {
      const { entry, changed } = onLedger(database, () => ledger.commit(reservationId));
      if (changed) tell({ type: 'committed', entry });
      return entry;
    },

    refund(reservationId) {
      const { entry, changed } = onLedger(database, () => ledger.refund(reservationId));
      if (changed) tell({ type: 'refunded', entry });
      return entry;
    },

    account(agreementId) {
      const agreement = known(agreementId);
      return {
        agreementId,
        spent: ledger.spent(agreementId),
        limits: policyOf(agreement).limits,
        entries: ledger.entries(agreementId),
      };
    },
  };
}

/** The first and the last of each kind: all that the time since the first use, or the last, depends on. */
function usesOf({ assignee }: SignedAgreement, exercised: readonly Exercised[]): PolicyEvent[] {
  return exercised.flatMap(({ meter, first, last }) =>
    [first, last].map((at) => ({ action: meter === 'uses' ? USE : TRAIN, by: assignee, at: new Date(at) })),
  );
}

/** A denied decision as the error that a caller gets: every reason, in plain words. */
function denial(decision: Decision): FoedusError {
  return new FoedusError(
    decision.exhausted ? 'budget-exhausted' : 'not-permitted',
    decision.reasons.length === 0 ? 'The agreement does not permit this use.' : decision.reasons.join(' '),
    { details: { decision: { permit: false, reasons: decision.reasons, policyDigest: decision.policyDigest } } },
  );
}

/** Runs `work` in one transaction; a database that stays locked is an outage, not a fault of the program. */
function onLedger<T>(database: Database, work: () => T): T {
  try {
    return database.transaction(work);
  } catch (cause) {
    const SQLITE_BUSY = 5;
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === SQLITE_BUSY) {
      throw new FoedusError('unavailable', 'The ledger is busy with another process. Try again.', { cause });
    }
    throw cause;
  }
}
