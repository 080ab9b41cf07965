import { TRAIN, USE, type Decision, type TrainingLimits, type UsageEvent as PolicyEvent } from '@foedus/usage-policies';
import type { LocalDecision, LocalReport, PermittedUse } from '@foedus/usage-policies/local-rules';
import type { UseDuties } from '../duties/use-duties.ts';
import { FoedusError } from '../errors.ts';
import type { Account, LedgerEntry, SignedAgreement, UsageRequestBody } from '../management/model.ts';
import type { Database } from '../store/database.ts';
import type { Spent } from './chain.ts';
import { createDisputes } from './disputes.ts';
import { createDraw } from './draw.ts';
import type { LedgerHead } from './head.ts';
import { olderThanPartner } from './heads.ts';
import { createLedger, type Drawable, type Drawn, type Exercised } from './ledger.ts';
import type { Restrict } from './local-rules.ts';
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
  /**
   * Asks the operator's own rules about a use, and performs what the policy wants done before it. Where there are such
   * rules or duties, nothing is permitted without this.
   *
   * @param options `key` of the reservation that is to be made: one that is there already performs nothing again.
   *   `look`: only to decide; nothing is performed
   * @throws FoedusError `not-found` for an unknown agreement
   */
  ask(agreementId: string, request: UsageRequestBody, options?: { key?: string; look?: boolean }): Promise<Consent>;
  /** Decides without charging. @throws FoedusError `not-found` for an unknown agreement */
  decide(agreementId: string, request: UsageRequestBody, consent?: Consent): Decision;
  /**
   * Decides and reserves all charges in one transaction. With a `key` seen before, returns that reservation unchanged;
   * with `commit`, committed.
   *
   * @throws FoedusError `not-permitted` or `budget-exhausted`; the message names each reason, `details.decision` has all;
   *   `conflict` with `details.sequence` where the account is not as it was at `asOf` any more, and without where a
   *   refunded one is to be committed
   */
  reserve(use: {
    agreementId: string;
    key: string;
    request: UsageRequestBody;
    basis?: Record<string, unknown>;
    /** What `ask` answered for this agreement and this very request. */
    consent?: Consent;
    /** `sequence` of the account that the request was made from. */
    asOf?: number;
    /** Makes it final in the same transaction. */
    commit?: boolean;
  }): GrantedUse;
  /** Makes a reservation final. Idempotent. A crash between reserve and commit leaves it charged. */
  commit(reservationId: string): LedgerEntry;
  /** Gives a reservation back, when nothing was released. @throws FoedusError `conflict` once committed */
  refund(reservationId: string): LedgerEntry;
  /**
   * Charges rows and bytes that are about to leave under a reservation, committed or not, before they leave. Decides
   * again whether the use is permitted: an agreement may end while its data are on their way. The operator's own rules
   * are not asked again.
   *
   * @param amounts whole numbers of 0 or more
   * @throws FoedusError `budget-exhausted` when a limit of the agreement would be passed, `not-permitted` when it does
   *   not permit the use any more, `conflict` once refunded, `not-found`; nothing is charged then
   */
  draw(reservationId: string, amounts: Drawn): void;
  account(agreementId: string): Account;
  /** What an agreement asks of whoever trains under it; nothing is decided by that. @throws FoedusError `not-permitted` for one that cannot be read */
  trainingLimits(agreementId: string): TrainingLimits;
  /** What stands for everything that has been charged and drawn under an agreement until now. */
  head(agreementId: string): LedgerHead;
}

/** What the operator's own rules say of one use. */
export interface Consent {
  readonly agreementId: string;
  readonly request: UsageRequestBody;
  readonly permit: boolean;
  readonly reasons: readonly string[];
  /** Every source that was asked, with the digest of its rules. */
  readonly localRules: readonly LocalReport[];
  /** Keys of the duties that were performed before this use. */
  readonly performed: readonly string[];
  /** Why the use cannot happen where something that has to be done before it could not be done. */
  readonly unperformed?: readonly string[];
  /** Nothing was performed: it is good for a decision, and for no use. */
  readonly look: boolean;
}

/** The stored agreements, as far as usage control needs them. */
export interface AgreementReader {
  get(agreementId: string): SignedAgreement | undefined;
}

/**
 * What usage control tells whoever counts and logs: of a denial after the transaction, of anything else within it, so
 * that it can be recorded with the charge. Whoever passes it on waits until the transaction is durable.
 */
export type UsageEvent =
  | {
      readonly type: 'denied';
      readonly agreementId: string;
      readonly key: string;
      readonly request: UsageRequestBody;
      readonly decision: Decision;
    }
  | { readonly type: 'reserved' | 'committed' | 'refunded' | 'reconciled'; readonly entry: LedgerEntry };

export interface UsageControlOptions {
  readonly database: Database;
  /** Runs a transaction of `database`; where `events` has transactions that know when they are durable, one of those. */
  readonly transact?: <T>(work: () => T) => T;
  readonly agreements: AgreementReader;
  readonly clock: () => Date;
  /** The operator's own rules. @default none */
  readonly restrict?: Restrict | undefined;
  /** What is known and done about duties. @default nothing: a duty that is due before a use forbids it */
  readonly duties?: UseDuties;
  /** Called with what was decided and charged. Must not throw. */
  readonly events?: (event: UsageEvent) => void;
}

/** The operand of the IDS usage-control class 2. */
const CONNECTOR = 'https://w3id.org/idsa/code/CONNECTOR';

/**
 * Usage control over the ledger in `database` (migrations 2, 5 and 6).
 *
 * Uses are decided by the node that holds the data: the provider's before they leave, and the consumer's once they
 * have come, each by its own account. The assignee of every request is the agreement's. Reading what is spent, deciding
 * and reserving are one immediate transaction, so processes that share the file cannot overspend together.
 *
 * All methods throw FoedusError: `not-found` for an agreement or reservation that this node does not have,
 * `not-permitted` for an agreement that is not in force, `unavailable` when another process
 * holds the ledger for longer than the database waits.
 */
export function createUsageControl(options: UsageControlOptions): UsageControl {
  const { database, agreements, clock, restrict, duties, events } = options;
  const transact = options.transact ?? ((work) => database.transaction(work));
  const ledger = createLedger({ database, clock });
  const disputes = createDisputes(database);
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
    if (!agreement.finalized) {
      throw new FoedusError(
        'not-permitted',
        `Agreement ${agreementId} is not in force: its negotiation is not finalized. Finish the negotiation first.`,
      );
    }
    if (disputes.has(agreementId)) throw olderThanPartner(agreementId);
    return agreement;
  };
  /**
   * @param performed keys of duties that were performed for this use
   * @param charged the use itself, where it is charged already: it is weighed as if it were not
   */
  const weigh = (
    agreement: SignedAgreement,
    body: UsageRequestBody,
    performed: readonly string[] = [],
    charged?: Drawable,
  ): Omit<PermittedUse, 'agreementId' | 'dataSet'> => {
    const { action, purpose, columns, training } = body;
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
    const standing = duties?.standing(agreement, charged === undefined ? performed : 'all');
    const state = {
      spent: spentBeside(ledger.spent(agreement.id), charged),
      agreedAt: new Date(agreement.createdAt),
      ...(policy.asksForUses && { history: usesOf(agreement, ledger.exercised(agreement.id, charged?.sequence)) }),
      ...(standing?.duties && { duties: standing.duties }),
    };
    const decision = policy.decide(request, state);
    const refusals = standing?.refusals ?? [];
    return { request, state, decision: refusals.length === 0 ? decision : refused(decision, refusals, []) };
  };
  const decideNow = (agreement: SignedAgreement, request: UsageRequestBody, consent?: Consent): Decision => {
    // The rules were asked before the transaction that charges: about this use, and not about another.
    const consented = consent?.agreementId === agreement.id && consent.request === request ? consent : undefined;
    const { decision } = weigh(agreement, request, consented?.performed);
    if (decision.permit) {
      const lacking = duties?.lacking(agreement, decision) ?? [];
      if (lacking.length > 0) return refused(decision, lacking, []);
    } else if (consented?.unperformed !== undefined) return refused(decision, consented.unperformed, []);
    if (restrict === undefined || !decision.permit) return decision;
    if (consented === undefined) {
      return refused(decision, ['The rules of this node were not asked about this use.'], []);
    }
    if (!consented.permit) return refused(decision, consented.reasons, consented.localRules);
    return withReports(decision, consented.localRules);
  };

  /** Within a transaction. */
  const commitNow = (reservationId: string): LedgerEntry => {
    const { entry, changed } = ledger.commit(reservationId);
    if (!changed) return entry;
    duties?.committed(reservationId);
    tell({ type: 'committed', entry });
    return entry;
  };

  const drawing = createDraw({
    ledger,
    inForce,
    decideAgain: (agreement, request, use) => weigh(agreement, request, [], use).decision,
    denial,
  });

  return {
    async ask(agreementId, request, { key, look = false } = {}) {
      const agreement = inForce(agreementId);
      const beforehand = duties?.beforehand(agreement) ?? [];
      const consent = { agreementId, request, permit: true, reasons: [], localRules: [], performed: [], look: false };
      if (restrict === undefined && beforehand.length === 0) return consent;
      // As if all had been performed: what is not permitted even so is not announced to anybody.
      const weighed = weigh(agreement, request, beforehand);
      const rules = await restrict?.({ agreementId, dataSet: agreement.target, ...weighed });
      const asked: Consent = { ...consent, ...(rules && pickConsent(rules)) };
      const idle = look || (key !== undefined && ledger.find(agreementId, key) !== undefined);
      if (idle) return { ...asked, look, performed: beforehand };
      if (duties === undefined || !asked.permit || !weighed.decision.permit) return asked;
      const { performed, reasons } = await duties.perform(agreement, weighed.decision, request);
      return reasons.length === 0 ? { ...asked, performed } : { ...asked, performed, unperformed: reasons };
    },

    decide: (agreementId, request, consent) => decideNow(inForce(agreementId), request, consent),

    reserve({ agreementId, key, request, basis, consent, asOf, commit = false }) {
      const outcome = onLedger(transact, (): { entry?: LedgerEntry; decision: Decision } => {
        const agreement = inForce(agreementId);
        const earlier = ledger.find(agreementId, key);
        if (earlier !== undefined) return commit ? { ...earlier, entry: commitNow(earlier.entry.id) } : earlier;
        if (asOf !== undefined) checkMoved(agreementId, asOf, ledger.sequence(agreementId));
        const decision = decideNow(agreement, request, consent?.look ? undefined : consent);
        if (!decision.permit) return { decision };
        const entry = ledger.reserve({ agreementId, key, decision, request, ...(basis && { basis }) });
        duties?.reserved(agreement, decision, request, entry);
        tell({ type: 'reserved', entry });
        return { decision, entry: commit ? commitNow(entry.id) : entry };
      });
      const { entry, decision } = outcome;
      if (entry === undefined) {
        tell({ type: 'denied', agreementId, key, request, decision });
        throw denial(decision);
      }
      return { entry, decision };
    },

    commit: (reservationId) => onLedger(transact, () => commitNow(reservationId)),

    refund: (reservationId) =>
      onLedger(transact, () => {
        const { entry, changed } = ledger.refund(reservationId);
        if (!changed) return entry;
        duties?.refunded(reservationId);
        tell({ type: 'refunded', entry });
        return entry;
      }),

    draw: (reservationId, amounts) => onLedger(transact, () => drawing(reservationId, amounts)),

    head: (agreementId) => onLedger(transact, () => ledger.head(known(agreementId).id)),

    trainingLimits: (agreementId) => policyOf(known(agreementId)).training,

    account(agreementId) {
      const agreement = known(agreementId);
      // Read first: what another process charges meanwhile makes it too old, never too new.
      const sequence = ledger.sequence(agreementId);
      return {
        agreementId,
        sequence,
        spent: ledger.spent(agreementId),
        limits: policyOf(agreement).limits,
        entries: ledger.entries(agreementId),
      };
    },
  };
}

function checkMoved(agreementId: string, asOf: number, sequence: number): void {
  if (asOf === sequence) return;
  throw new FoedusError(
    'conflict',
    `The account of agreement ${agreementId} has moved since the charge was computed from it: it is at ${sequence}, and was at ${asOf}. Read it again, and compute the charge anew.`,
    { details: { sequence } },
  );
}

/** Rows and bytes that a running use has drawn, with those of others, are held against their limits as they are drawn. */
function spentBeside(spent: Spent, charged: Drawable | undefined): Spent {
  return charged === undefined ? spent : { ...spent, uses: spent.uses - charged.uses, rows: 0, bytes: 0 };
}

/** The first and the last of each kind: all that the time since the first use, or the last, depends on. */
function usesOf({ assignee }: SignedAgreement, exercised: readonly Exercised[]): PolicyEvent[] {
  return exercised.flatMap(({ meter, first, last }) =>
    [first, last].map((at) => ({ action: meter === 'uses' ? USE : TRAIN, by: assignee, at: new Date(at) })),
  );
}

function pickConsent({
  permit,
  reasons,
  localRules,
}: LocalDecision): Pick<Consent, 'permit' | 'reasons' | 'localRules'> {
  return { permit, reasons, localRules };
}

function withReports(decision: Decision, localRules: readonly LocalReport[]): LocalDecision {
  return { ...decision, localRules };
}

function refused(decision: Decision, reasons: readonly string[], localRules: readonly LocalReport[]): LocalDecision {
  return { ...decision, permit: false, exhausted: false, reasons, plan: null, charges: [], localRules };
}

/** A denied decision as the error that a caller gets: every reason, in plain words. */
function denial(decision: Decision & Partial<LocalDecision>): FoedusError {
  const { exhausted, policyDigest, localRules = [] } = decision;
  // Why they could not be asked names what runs beside this node: that is for the operator, who is told by an event.
  const unasked = localRules.some(({ digest }) => digest === null);
  const reasons = unasked ? ['The rules of this node could not be asked. Try again later.'] : decision.reasons;
  return new FoedusError(
    exhausted ? 'budget-exhausted' : 'not-permitted',
    reasons.length === 0 ? 'The agreement does not permit this use.' : reasons.join(' '),
    { details: { decision: { permit: false, reasons, policyDigest } } },
  );
}

/** Runs `work` in one transaction; a database that stays locked is an outage, not a fault of the program. */
function onLedger<T>(transact: <R>(work: () => R) => R, work: () => T): T {
  try {
    return transact(work);
  } catch (cause) {
    const SQLITE_BUSY = 5;
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === SQLITE_BUSY) {
      throw new FoedusError('unavailable', 'The ledger is busy with another process. Try again.', { cause });
    }
    throw cause;
  }
}
