/**
 * The contract side of a session: one DSP transfer for each participant, requested at the coordinator's own connector
 * when the session recruits, watched while it is open, ended when the session rests.
 */
import { FoedusError } from '@foedus/connector/errors';
import type { OperatorClient, Transfer } from '@foedus/connector/operator-client';
import { type EnrolmentClaims, createBackOff } from '@foedus/fl-core';
import type { Logger } from 'pino';
import type { EndingTransfer, ParticipantRecord, SessionRecord } from '../store/records.ts';
import type { SessionStore } from '../store/session-store.ts';
import { restingStates } from './session-machine.ts';

export const TRANSFER_FORMAT = 'FederatedTraining-PUSH';
export const TRAINING_ENDPOINT_TYPE = 'https://w3id.org/foedus/ns#FederatedTraining';

export interface TransfersOptions {
  readonly store: SessionStore;
  readonly connector: OperatorClient;
  /** Root that clients reach the rounds at, as it stands in the transfers' data address. */
  readonly publicUrl: () => string;
  readonly logger: Logger;
  /** The participant's contract does not allow it to take part any more. */
  readonly onDeparture: (sessionId: string, participantId: string, reason: string) => void;
  /** Something that the operator sees has changed. */
  readonly onChange: (sessionId: string) => void;
}

export interface Transfers extends AsyncDisposable {
  /** Brings the session's transfers in line with its state, in the background, trying again while the connector is away. */
  reconcile(sessionId: string): void;
  /** @throws FoedusError `not-permitted` when the enrolment is not under the transfer that was requested, `unavailable` */
  check(participant: ParticipantRecord, claims: EnrolmentClaims): Promise<void>;
}

const isFinal = ({ state }: Transfer): boolean => state === 'COMPLETED' || state === 'TERMINATED';
const isUnavailable = (error: unknown): boolean => error instanceof FoedusError && error.code === 'unavailable';
const wordsOf = (error: unknown): string =>
  error instanceof FoedusError ? error.message : 'unexpected answer of the own connector; see the log';

export function createTransfers(options: TransfersOptions): Transfers {
  const { store, connector, publicUrl, logger, onDeparture, onChange } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const jobs = new Map<string, Promise<void>>();
  /** Transfers that are being ended by the session itself: nobody departs, even when more rounds are asked for meanwhile. */
  const endedHere = new Set<string>();

  /** The transfer that a coordinator killed between request and commit has left behind, if any. */
  const findOpen = async (session: SessionRecord, { agreementId }: ParticipantRecord): Promise<Transfer | undefined> =>
    (await connector.transfers()).find(
      (transfer) =>
        transfer.role === 'consumer' &&
        transfer.format === TRANSFER_FORMAT &&
        transfer.agreementId === agreementId &&
        transfer.dataAddress?.properties['sessionId'] === session.id &&
        !store.endingTransfers(session.id).some(({ transferId }) => transferId === transfer.id) &&
        !isFinal(transfer),
    );

  const invite = async (session: SessionRecord, participant: ParticipantRecord): Promise<void> => {
    const { agreementId, participantId } = participant;
    try {
      const transfer =
        (await findOpen(session, participant)) ??
        (await connector.requestTransfer({
          agreementId,
          format: TRANSFER_FORMAT,
          dataAddress: {
            endpointType: TRAINING_ENDPOINT_TYPE,
            endpoint: publicUrl(),
            properties: { sessionId: session.id },
          },
        }));
      store.updateParticipant(session.id, participantId, { transferId: transfer.id, transferOpen: true, note: null });
      onChange(session.id);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      logger.warn({ err: error, sessionId: session.id, participantId }, 'The transfer could not be requested');
      onDeparture(session.id, participantId, `The transfer could not be requested: ${wordsOf(error)}`);
    }
  };

  /** From here on the session's transfers are not its own any more: whatever it does next, it asks for new ones. */
  const letGo = (session: SessionRecord): void => {
    store.transaction(() => {
      for (const { participantId, transferId, transferOpen } of store.participants(session.id)) {
        if (!transferOpen || transferId === null) continue;
        const reason = session.reason ?? `The session is ${session.state}.`;
        store.insertEndingTransfer(session.id, { transferId, outcome: session.state, reason });
        store.updateParticipant(session.id, participantId, { transferOpen: false });
      }
    });
  };

  /** Completes the transfer; one that cannot be completed from its state is terminated. What is final stays as it is. */
  const end = async ({ transferId, outcome, reason }: EndingTransfer): Promise<void> => {
    const complete = (): Promise<Transfer> => connector.completeTransfer(transferId);
    const terminate = (): Promise<Transfer> => connector.terminateTransfer(transferId, { code: outcome, reason });
    for (const attempt of outcome === 'completed' ? [complete, terminate] : [terminate]) {
      try {
        await attempt();
        break;
      } catch (error) {
        if (isUnavailable(error)) throw error;
        logger.debug({ err: error, transferId }, 'The transfer did not end this way');
      }
    }
    store.deleteEndingTransfer(transferId);
  };

  /** One pass: what should not be open is ended, what should be is requested. */
  const pass = async (sessionId: string): Promise<void> => {
    for (const ending of store.endingTransfers(sessionId)) await end(ending);
    for (const { participantId } of store.participants(sessionId)) {
      // Read again: while the connector was asked, the operator may have stopped the session.
      const session = store.session(sessionId);
      const participant = store.participant(sessionId, participantId);
      if (session === undefined || participant === undefined) return;
      if (signal.aborted || restingStates.has(session.state)) return;
      if (!participant.transferOpen && participant.status === 'invited') await invite(session, participant);
      const invited = store.participant(sessionId, participantId);
      if (invited !== undefined) ensureWatch(sessionId, invited);
    }
  };

  const untilDone = async (sessionId: string): Promise<void> => {
    const backOff = createBackOff();
    while (!signal.aborted) {
      try {
        await pass(sessionId);
        return;
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ err: error, sessionId }, 'The transfers of the session wait for the own connector');
        await backOff.wait(signal).catch(() => undefined);
      }
    }
  };

  /** Follows one transfer at the own connector: the contract comes before everything. */
  const watch = async (sessionId: string, participantId: string, transferId: string): Promise<void> => {
    const backOff = createBackOff();
    let isSuspended = false;
    while (!signal.aborted) {
      const participant = store.participant(sessionId, participantId);
      if (participant?.transferId !== transferId || !participant.transferOpen) return;
      try {
        const next = isSuspended ? 'STARTED' : 'SUSPENDED';
        const transfer = await connector.transferUntil(transferId, [next, 'COMPLETED', 'TERMINATED'], signal);
        backOff.reset();
        observe(sessionId, participantId, transfer);
        isSuspended = transfer.state === 'SUSPENDED';
      } catch (error) {
        if (signal.aborted) return;
        logger.warn(
          { err: error, sessionId, transferId },
          'The own connector does not tell of a transfer; trying again',
        );
        await backOff.wait(signal).catch(() => undefined);
      }
    }
  };

  const observe = (sessionId: string, participantId: string, transfer: Transfer): void => {
    const session = store.session(sessionId);
    const participant = store.participant(sessionId, participantId);
    if (session === undefined || participant?.transferId !== transfer.id || !participant.transferOpen) return;
    // Ended by the session itself, perhaps a moment ago: this is only the news of it.
    if (endedHere.has(transfer.id) || !participant.transferOpen) return;
    if (isFinal(transfer)) store.updateParticipant(sessionId, participantId, { transferOpen: false });
    // A transfer that goes on again needs nothing: its client enrols again.
    const words = { SUSPENDED: 'is suspended', COMPLETED: 'was completed', TERMINATED: 'was terminated' };
    if (!Object.hasOwn(words, transfer.state) || participant.status === 'departed') return;
    const because = transfer.reason === undefined ? '.' : `: ${transfer.reason}`;
    onDeparture(sessionId, participantId, `The transfer ${words[transfer.state as keyof typeof words]}${because}`);
  };

  /** At most one for each transfer. */
  const watches = new Map<string, Promise<void>>();
  const ensureWatch = (sessionId: string, { participantId, transferId, transferOpen }: ParticipantRecord): void => {
    if (transferId === null || !transferOpen || watches.has(transferId)) return;
    const watching = watch(sessionId, participantId, transferId).finally(() => watches.delete(transferId));
    watches.set(transferId, watching);
  };

  return {
    reconcile(sessionId) {
      const session = store.session(sessionId);
      if (session !== undefined && restingStates.has(session.state)) letGo(session);
      const job = (jobs.get(sessionId) ?? Promise.resolve()).then(() => untilDone(sessionId));
      jobs.set(sessionId, job);
      void job.finally(() => {
        if (jobs.get(sessionId) === job) jobs.delete(sessionId);
      });
    },
    async check(participant, claims) {
      if (participant.transferId === null || !participant.transferOpen) {
        throw new FoedusError('unavailable', 'The transfer is only being requested. Enrol again in a moment.');
      }
      const transfer = await connector.transfer(participant.transferId);
      if (transfer.providerPid === undefined) {
        throw new FoedusError('unavailable', 'The transfer is not known on both sides yet. Enrol again in a moment.');
      }
      if (transfer.providerPid !== claims.transferId || transfer.agreementId !== claims.agreementId) {
        throw new FoedusError(
          'not-permitted',
          `The enrolment names transfer ${claims.transferId}, but this session's is ${transfer.providerPid} under agreement ${transfer.agreementId}.`,
        );
      }
      // REQUESTED: the provider's start message may arrive after its client's enrolment.
      if (transfer.state !== 'STARTED' && transfer.state !== 'REQUESTED') {
        throw new FoedusError('conflict', `The transfer is ${transfer.state}, not STARTED. Enrol again when it is.`);
      }
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all([...watches.values(), ...jobs.values()]);
    },
  };
}
