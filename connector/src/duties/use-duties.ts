import { randomUUID } from 'node:crypto';
import type { Decision, OwedDuty, UsageState } from '@foedus/usage-policies';
import { LOG } from '@foedus/usage-policies';
import type { LedgerEntry, SignedAgreement, UsageRequestBody } from '../management/model.ts';
import type { Transact } from '../store/transact.ts';
import type { Courier } from './courier.ts';
import type { DeliveryStore, Parcel } from './delivery-store.ts';
import { DELETIONS, type Duties } from './duties.ts';
import type { Delivery, Duty, UseNotice } from './model.ts';
import type { Sinks } from './sinks.ts';

/** What usage control has to know and to do about duties. */
export interface UseDuties {
  /**
   * States of duties for a decision, and why nothing may be used at all.
   *
   * @param performed keys of duties that were performed for this very use; `all`: the use was let happen before
   */
  standing(
    agreement: SignedAgreement,
    performed: readonly string[] | 'all',
  ): { duties?: NonNullable<UsageState['duties']>; refusals: readonly string[] };
  /** Keys of duties that this node performs before a use. */
  beforehand(agreement: SignedAgreement): readonly string[];
  /** Why a permitted use cannot happen here: what it asks to be logged or told has nowhere to go. */
  lacking(agreement: SignedAgreement, decision: Decision): readonly string[];
  /**
   * Performs what has to be done before a permitted use: writes the log, tells who is to be told.
   *
   * @returns keys of what was performed, and why the use cannot happen where something was not
   */
  perform(
    agreement: SignedAgreement,
    decision: Decision,
    request: UsageRequestBody,
  ): Promise<{ performed: readonly string[]; reasons: readonly string[] }>;
  /** A use is charged: what has to be done after it is kept until it is final. Inside the ledger's transaction. */
  reserved(agreement: SignedAgreement, decision: Decision, request: UsageRequestBody, entry: LedgerEntry): void;
  committed(entryId: string): void;
  refunded(entryId: string): void;
}

const NOTHING = { refusals: [] } as const;

export function createUseDuties(options: {
  participantId: string;
  duties: Pick<Duties, 'owedUnder' | 'ofAgreement'>;
  deliveries: DeliveryStore;
  sinks: Sinks;
  courier: Pick<Courier, 'wake'>;
  transact: Transact;
  clock: () => Date;
  /** Aborts when the node stops. */
  stopping: AbortSignal;
  /** Told why a use had to be refused: the caller gets no more than that it was. */
  failed: (delivery: Delivery) => void;
}): UseDuties {
  const { participantId, duties, deliveries, sinks, courier, transact, clock, stopping, failed } = options;

  const ofEachUse = (agreement: SignedAgreement, timing: OwedDuty['timing']): OwedDuty[] =>
    duties.owedUnder(agreement).filter((owed) => owed.everyUse && owed.timing === timing);
  /** Those that the decision has found to concern this use. */
  const concerning = (owed: readonly OwedDuty[], { duties: reports }: Decision): OwedDuty[] =>
    owed.filter(({ key }) => reports.some((report) => report.key === key && report.state !== 'inactive'));

  const parcelFor = (
    owed: OwedDuty,
    agreement: SignedAgreement,
    { action, purpose, columns }: UsageRequestBody,
    entryId: string | undefined,
  ): Parcel | undefined => {
    const sink = sinks.for(owed, agreement);
    if ('missing' in sink) return undefined;
    const id = `urn:uuid:${randomUUID()}`;
    const at = clock().toISOString();
    const beforeUse = owed.timing === 'before';
    const notice: UseNotice = {
      '@type': 'https://w3id.org/foedus/ns#UseNotice',
      id,
      agreementId: agreement.id,
      duty: owed.key,
      node: participantId,
      by: agreement.assignee,
      datasetId: agreement.target,
      action,
      ...(purpose !== undefined && { purpose }),
      ...(columns !== undefined && { columns: [...columns] }),
      ...(entryId !== undefined && { entryId }),
      when: beforeUse ? 'before-use' : 'after-use',
      at,
    };
    const delivery: Delivery = {
      id,
      kind: sink.kind,
      agreementId: agreement.id,
      duty: owed.key,
      to: sink.to,
      beforeUse,
      ...(entryId !== undefined && { entryId }),
      state: 'held',
      attempts: 0,
      createdAt: at,
    };
    return { lane: sink.lane, payload: notice, delivery };
  };

  return {
    standing: (agreement, performed) => {
      const owed = duties.owedUnder(agreement);
      if (owed.length === 0) return NOTHING;
      const kept = duties.ofAgreement(agreement.id);
      const established: Record<string, 'fulfilled' | 'violated' | 'not-set'> = {};
      for (const { key, everyUse } of owed) {
        if (everyUse && (performed === 'all' || performed.includes(key))) established[key] = 'fulfilled';
      }
      const now = clock().getTime();
      for (const duty of kept) {
        const state = stateOf(duty, now);
        if (state !== undefined) established[duty.duty] = state;
      }
      return { duties: established, refusals: refusalsOf(agreement, kept) };
    },
    beforehand: (agreement) => ofEachUse(agreement, 'before').map(({ key }) => key),
    lacking: (agreement, decision) =>
      concerning([...ofEachUse(agreement, 'before'), ...ofEachUse(agreement, 'after')], decision).flatMap((owed) => {
        const sink = sinks.for(owed, agreement);
        if (!('missing' in sink)) return [];
        return [
          `Each use has to be ${owed.action === LOG ? 'logged' : 'told'}, which this node cannot do: ${sink.missing}.`,
        ];
      }),

    perform: async (agreement, decision, request) => {
      const performed: string[] = [];
      for (const owed of concerning(ofEachUse(agreement, 'before'), decision)) {
        const parcel = parcelFor(owed, agreement, request, undefined);
        if (parcel === undefined) continue; // said by `lacking`
        const { delivery } = parcel;
        transact(() => deliveries.insert(parcel));
        try {
          await sinks.carry(parcel, stopping);
          transact(() => deliveries.save({ ...delivery, attempts: 1, state: 'done', doneAt: clock().toISOString() }));
          performed.push(owed.key);
        } catch (error) {
          const unsent: Delivery = { ...delivery, attempts: 1, state: 'failed', problem: (error as Error).message };
          transact(() => deliveries.save(unsent));
          failed(unsent);
          const what =
            owed.action === LOG
              ? 'has to be logged before it happens, and the log cannot be written'
              : `has to be told to ${owed.informedParty ?? agreement.assigner} before it happens, and the notice does not get there`;
          return { performed, reasons: [`This use ${what} at the moment. Try again later.`] };
        }
      }
      return { performed, reasons: [] };
    },

    reserved: (agreement, decision, request, { id }) => {
      for (const owed of concerning(ofEachUse(agreement, 'after'), decision)) {
        const parcel = parcelFor(owed, agreement, request, id);
        if (parcel !== undefined) deliveries.insert(parcel);
      }
    },
    committed: (entryId) => {
      const lanes = deliveries.release(entryId);
      // Once the transaction around this is durable.
      if (lanes.length > 0) setImmediate(() => lanes.forEach((lane) => courier.wake(lane)));
    },
    refunded: (entryId) => deliveries.drop(entryId),
  };
}

/** undefined: for a decision to find out, which knows the use. */
function stateOf(duty: Duty, now: number): 'fulfilled' | 'violated' | 'not-set' | undefined {
  if (duty.state === 'done') return 'fulfilled';
  if (!duty.timed) return undefined;
  if (duty.state === 'overdue') return 'violated';
  // Its end has passed before anything was received: a first use now would be too late already.
  return duty.dueAt !== undefined && now > Date.parse(duty.dueAt) ? undefined : 'not-set';
}

/** What whoever uses the data has not done in time keeps everybody from using more of them. */
function refusalsOf({ role, assignee }: SignedAgreement, kept: readonly Duty[]): string[] {
  return kept
    .filter(({ owedBy }) => owedBy === assignee)
    .flatMap(({ state, action, dueAt, text, fulfilledAt, owedBy }) => {
      if (state === 'overdue') {
        const then =
          role === 'provider'
            ? `No receipt of ${owedBy} says that it is done.`
            : 'Do it, and report it: foedus duties fulfil.';
        return [`Something is overdue under this agreement since ${dueAt}, so nothing may be used: ${text}. ${then}`];
      }
      if (role === 'consumer' && state === 'done' && DELETIONS.has(action)) {
        return [`The data were deleted on ${fulfilledAt}, as the agreement asks. Fetch them again to use them.`];
      }
      return [];
    });
}
