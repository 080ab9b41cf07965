import type { Logger } from 'pino';
import { owedDuties, parsePolicy, PolicyError, type OwedDuty } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import type { BusinessEvent, Events } from '../events.ts';
import type { Identity } from '../identity/index.ts';
import type { SignedAgreement } from '../management/model.ts';
import type { Transact, Transaction } from '../store/transact.ts';
import type { DutyStore } from './duty-store.ts';
import type { Duty, SignedReceipt } from './model.ts';
import { checkReceipt, CLOCK_DIFFERENCE, signReceipt } from './receipts.ts';
import { standingAt, type DutyFacts } from './standing.ts';

/** Actions after which there are no data any more. What is received later has to be deleted again. */
export const DELETIONS: ReadonlySet<string> = new Set(['delete']);

/** The duties under this node's agreements, ours and the counterparties'. */
export interface Duties {
  /**
   * Called with every business event inside its transaction: an agreement that is final has its duties from then on,
   * a transfer that starts is when data could first be used.
   */
  heed(transaction: Transaction, event: BusinessEvent): void;
  /** What the agreement's policy asks for. @returns none for a policy that cannot be read: it permits nothing either */
  owedUnder(agreement: SignedAgreement): readonly OwedDuty[];
  /** The agreement's duties as they stand now. */
  ofAgreement(agreementId: string): Duty[];
  /** @throws FoedusError `not-found` */
  get(id: string): Duty;
  /**
   * Notes that a duty is done. One of ours is done by that, and the other side gets a signed receipt. One of theirs is
   * taken for done because this side says so. Once it is done, nothing changes.
   *
   * @throws FoedusError `not-found`, `conflict` before it may be done
   */
  fulfil(id: string, evidence: unknown): Promise<Duty>;
  /**
   * Takes a counterparty's receipt, once however often it comes.
   *
   * @throws FoedusError `not-found`, `bad-request`, `bad-signature`
   */
  receive(from: string, agreementId: string, signed: SignedReceipt): Promise<Duty>;
  /** The other side has taken the receipt of one of ours. */
  receiptDelivered(transaction: Transaction, agreementId: string, key: string, receiptId: string): void;
  /** Leaves a remark for the operator. */
  remark(dutyId: string, note: string): void;
  /** Brings every state up to now. @returns when there is something to do next */
  advance(): Date | undefined;
  /** Takes up agreements from before duties were kept track of. */
  recover(): void;
}

export interface DutiesOptions {
  readonly identity: Identity;
  readonly store: DutyStore;
  readonly agreements: { get(id: string): SignedAgreement | undefined };
  readonly transact: Transact;
  readonly events: Pick<Events, 'record'>;
  readonly logger: Logger;
  readonly clock: () => Date;
  /** Queues the receipt of one of ours within the transaction. */
  readonly sendReceipt: (transaction: Transaction, duty: Duty, signed: SignedReceipt) => void;
  /** Something has changed durably that the schedule depends on. */
  readonly changed: () => void;
}

/** Policies kept in memory. */
const MOST_POLICIES = 1_000;

export function createDuties(options: DutiesOptions): Duties {
  const { identity, store, agreements, transact, events, logger, clock, sendReceipt, changed } = options;
  const { participantId } = identity;

  const policies = new Map<string, readonly OwedDuty[]>();
  const owedUnder = (agreement: SignedAgreement): readonly OwedDuty[] => {
    const known = policies.get(agreement.id);
    if (known !== undefined) return known;
    const owed = readOwed(agreement);
    const oldest = policies.keys().next();
    if (policies.size >= MOST_POLICIES && !oldest.done) policies.delete(oldest.value);
    policies.set(agreement.id, owed);
    return owed;
  };
  const scheduleOf = (duty: Duty): OwedDuty['schedule'] => {
    const agreement = agreements.get(duty.agreementId);
    return agreement && owedUnder(agreement).find(({ key }) => key === duty.duty)?.schedule;
  };

  /** Stores a duty with the state that follows from what is known, and tells where that is another one. */
  const settle = (transaction: Transaction, duty: Duty, before?: Duty['state']): Duty => {
    const now = clock();
    const { state, next } = standingAt(factsOf(duty), now.getTime());
    const settled: Duty = { ...duty, state, updatedAt: now.toISOString() };
    store.save({ duty: settled, next });
    if (state !== before) events.record(transaction, { type: 'duty', duty: settled });
    transaction.after(changed);
    return settled;
  };

  const plan = (transaction: Transaction, agreement: SignedAgreement): void => {
    for (const owed of owedUnder(agreement)) {
      // Those of each use are fulfilled with it. Those before a use are for the decision about it.
      if (owed.everyUse || (owed.kind === 'duty' && owed.timing === 'before')) continue;
      const at = clock();
      const owedBy = owed.by ?? agreement.assignee;
      const planned: Duty = {
        id: dutyId(agreement.id, owed.key),
        agreementId: agreement.id,
        duty: owed.key,
        kind: owed.kind,
        action: owed.action,
        text: owed.text,
        role: agreement.role,
        owedBy,
        ours: owedBy === participantId,
        counterPartyId: agreement.counterPartyId,
        datasetId: agreement.target,
        state: 'pending',
        timed: owed.schedule !== undefined,
        waits: false,
        createdAt: at.toISOString(),
        updatedAt: at.toISOString(),
      };
      const duty = { ...planned, ...timesOf(planned, agreement, owed.schedule) };
      const { state, next } = standingAt(factsOf(duty), at.getTime());
      const stored = { ...duty, state };
      if (!store.insert({ duty: stored, next })) continue;
      events.record(transaction, { type: 'duty', duty: stored });
      transaction.after(changed);
    }
  };

  /** Data may flow from now on: the time of duties that count from then begins, and what was deleted is here again. */
  const received = (transaction: Transaction, agreementId: string): void => {
    const agreement = agreements.get(agreementId);
    if (agreement === undefined) return;
    for (const duty of store.ofAgreement(agreementId)) {
      const at = clock().toISOString();
      const again = duty.fulfilledAt !== undefined && DELETIONS.has(duty.action);
      if (duty.receivedAt !== undefined && !DELETIONS.has(duty.action)) continue;
      const open = again ? reopened(duty) : duty;
      const known = { ...open, receivedAt: duty.receivedAt ?? at, lastDataAt: at };
      // The end is counted from the first time only.
      const times = duty.receivedAt === undefined ? timesOf(known, agreement, scheduleOf(duty)) : { waits: false };
      settle(transaction, { ...known, ...times }, duty.state);
    }
  };

  const get = (id: string): Duty => {
    const duty = store.get(id);
    if (duty !== undefined) return duty;
    throw new FoedusError('not-found', `This node knows no duty ${id}. foedus duties list shows those that it knows.`);
  };
  const advance = (): Date | undefined => {
    for (;;) {
      const now = clock();
      const ripe = store.ripe(now);
      if (ripe.length === 0) return store.nextRipe();
      transact((transaction) => {
        for (const duty of store.ripe(now)) settle(transaction, duty, duty.state);
      });
    }
  };
  const current = (id: string): Duty => {
    advance();
    return get(id);
  };

  return {
    owedUnder,
    get: current,
    advance,
    ofAgreement: (agreementId) => {
      const now = clock().getTime();
      // Not what was stored: a decision must not depend on whether a timer has rung.
      return store.ofAgreement(agreementId).map((duty) => ({ ...duty, state: standingAt(factsOf(duty), now).state }));
    },

    heed: (transaction, event) => {
      if (event.type === 'agreement' && event.step === 'finalized') {
        const agreement = agreements.get(event.agreementId);
        if (agreement !== undefined) plan(transaction, agreement);
      }
      if (event.type === 'transfer' && event.transfer.state === 'STARTED') {
        received(transaction, event.transfer.agreementId);
      }
    },

    fulfil: async (id, evidence) => {
      const seen = current(id);
      if (seen.fulfilledAt !== undefined) return seen;
      const at = clock();
      if (seen.opensAt !== undefined && at.toISOString() < seen.opensAt) {
        throw new FoedusError('conflict', `This must not be done before ${seen.opensAt}. Do it then: ${seen.text}`);
      }
      // Signing takes its time: the receipt is made first, and forgotten where somebody else was faster.
      const receipt = seen.ours ? await signReceipt(identity, seen, { at, evidence }) : undefined;
      return transact((transaction) => {
        const duty = get(id);
        if (duty.fulfilledAt !== undefined || duty.receivedAt !== seen.receivedAt) return duty;
        const done: Duty = {
          ...duty,
          note: undefined,
          fulfilledAt: at.toISOString(),
          late: isLate(duty, at.toISOString()),
          ...(evidence !== undefined && { evidence }),
          ...(receipt === undefined ? { confirmed: true } : { receipt }),
        };
        if (receipt !== undefined) sendReceipt(transaction, done, receipt);
        return settle(transaction, done, duty.state);
      });
    },

    receive: async (from, agreementId, signed) => {
      const id = dutyId(agreementId, signed.receipt.duty);
      const known = store.get(id);
      // Whether there is an agreement with somebody else is nobody's business.
      if (known === undefined || known.counterPartyId !== from || known.owedBy !== from) {
        throw new FoedusError(
          'not-found',
          `This node knows no duty ${signed.receipt.duty} of yours under agreement ${agreementId}.`,
        );
      }
      await checkReceipt(identity, signed, known, clock());
      return transact((transaction) => {
        const duty = get(id);
        const at = clock().toISOString();
        // A receipt is kept and counts once; what was received after it has to be done again.
        if (!store.insertReceipt(signed.receipt.id, id, signed, at) || duty.fulfilledAt !== undefined) return duty;
        const fulfilledAt = new Date(signed.receipt.at).toISOString();
        if (isOfEarlierData(duty, fulfilledAt)) {
          const { receivedAt = at } = duty;
          return receivedAt < fulfilledAt
            ? settle(transaction, reopened({ ...duty, fulfilledAt, late: isLate(duty, fulfilledAt) }), duty.state)
            : duty;
        }
        const late = isLate(duty, fulfilledAt);
        const shown = { receipt: signed, receiptDeliveredAt: at };
        const agreement = agreements.get(agreementId);
        const owed = agreement && owedUnder(agreement).find(({ key }) => key === duty.duty);
        if (late && owed?.hasConsequences) {
          const note =
            'The receipt came, but it was done late: its consequences are owed as well. Confirm the duty when they are met.';
          return settle(transaction, { ...duty, ...shown, note }, duty.state);
        }
        return settle(transaction, { ...duty, ...shown, note: undefined, fulfilledAt, late }, duty.state);
      });
    },

    receiptDelivered: (transaction, agreementId, key, receiptId) => {
      const duty = store.get(dutyId(agreementId, key));
      if (duty?.receipt?.receipt.id !== receiptId || duty.receiptDeliveredAt !== undefined) return;
      const delivered = { ...duty, receiptDeliveredAt: clock().toISOString() };
      settle(transaction, delivered, duty.state);
      events.record(transaction, { type: 'duty', duty: delivered });
    },

    remark: (id, note) => {
      transact((transaction) => {
        const duty = store.get(id);
        if (duty === undefined || duty.note === note) return;
        settle(transaction, { ...duty, note }, duty.state);
        events.record(transaction, { type: 'duty', duty: { ...duty, note } });
      });
    },

    recover: () =>
      transact((transaction) => {
        const ids = store.takeOldAgreements();
        for (const id of ids) plan(transaction, agreements.get(id)!);
        if (ids.length > 0) logger.info({ agreements: ids.length }, 'duties of earlier agreements are kept track of');
      }),
  };
}

/** @returns the id of a duty in this node's API: a part of the agreement */
function dutyId(agreementId: string, key: string): string {
  return `${agreementId}#${key}`;
}

function readOwed({ agreement }: SignedAgreement): readonly OwedDuty[] {
  // Most agreements ask for nothing, and reading a policy costs more than looking for the words.
  if (!/duty|obligation/i.test(JSON.stringify(agreement))) return [];
  try {
    return owedDuties(parsePolicy(agreement));
  } catch (error) {
    if (error instanceof PolicyError) return [];
    throw error;
  }
}

function timesOf(
  duty: Duty,
  agreement: SignedAgreement,
  schedule: OwedDuty['schedule'],
): Pick<Duty, 'opensAt' | 'dueAt' | 'waits'> {
  const received = duty.receivedAt !== undefined;
  const times = schedule?.({
    agreedAt: new Date(agreement.createdAt),
    ...(duty.receivedAt !== undefined && { receivedAt: new Date(duty.receivedAt) }),
  });
  const { opensAt, dueAt, waits = false } = times ?? {};
  return {
    ...(opensAt && { opensAt: opensAt.toISOString() }),
    ...(dueAt && { dueAt: dueAt.toISOString() }),
    // What a use brings about does not begin before there is something to use; an obligation binds from the start.
    waits: waits || (duty.kind === 'duty' && !received),
  };
}

const milliseconds = (at: string | undefined): number | undefined => (at === undefined ? undefined : Date.parse(at));

function factsOf({ createdAt, receivedAt, opensAt, dueAt, fulfilledAt, waits }: Duty): DutyFacts {
  return {
    since: Date.parse(receivedAt ?? createdAt),
    waits,
    opensAt: milliseconds(opensAt),
    dueAt: milliseconds(dueAt),
    fulfilled: fulfilledAt !== undefined,
  };
}

/** Whether a deletion was done before data came again: it says nothing of those. */
function isOfEarlierData({ action, lastDataAt }: Duty, at: string): boolean {
  if (!DELETIONS.has(action) || lastDataAt === undefined) return false;
  return Date.parse(at) + CLOCK_DIFFERENCE < Date.parse(lastDataAt);
}

function isLate({ dueAt }: Duty, at: string): boolean {
  return dueAt !== undefined && Date.parse(at) > Date.parse(dueAt);
}

/**
 * A duty to delete, once there are data again. Its end stays, unless the deletion was late: then more data were given
 * out knowing that, and a new end is nobody's to set.
 */
function reopened(duty: Duty): Duty {
  const { fulfilledAt: _at, late, receipt: _receipt, confirmed: _confirmed, note: _note, ...rest } = duty;
  const { evidence: _evidence, receiptDeliveredAt: _delivered, opensAt: _opens, dueAt, ...open } = rest;
  return { ...open, ...(dueAt !== undefined && !late && { dueAt }) };
}
