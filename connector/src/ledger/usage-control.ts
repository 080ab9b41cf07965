import type { Decision } from '@foedus/usage-policies';
import type { Account, LedgerEntry, UsageRequestBody } from '../management/model.ts';

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
