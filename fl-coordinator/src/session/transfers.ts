/**
 * The contract side of a session: one DSP transfer for each participant, requested at the coordinator's own connector
 * when the session recruits, watched while it is open, ended when the session rests.
 */
import { FoedusError } from '@foedus/connector/errors';
import type { OperatorClient, Transfer } from '@foedus/connector/operator-client';
import { type EnrolmentClaims, createBackOff } from '@foedus/fl-core';
import type { Logger } from 'pino';
import type { ParticipantRecord, SessionRecord } from '../store/records.ts';
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
  /** Whether the own connector answered last time. */
  readonly connected: boolean;
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
  let connected = true;

  /** The transfer that a coordinator killed between request and commit has left behind, if any. */
  const findOpen = async (session: SessionRecord, { agreementId }: ParticipantRecord): Promise<Transfer | undefined> =>
    (await connector.transfers()).find(
      (transfer) =>
        transfer.role === 'consumer' &&
        transfer.format === TRANSFER_FORMAT &&
        transfer.agreementId === agreementId &&
        transfer.dataAddress?.properties['sessionId'] === session.id &&
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

  /** Completes the transfer; one that cannot be completed from its state is terminated. What is final stays as it is. */
  const end = async (session: SessionRecord, { participantId, transferId }: ParticipantRecord): Promise<void> => {
    const attempts = [
      ...(session.state === 'completed' ? [() => connector.completeTransfer(transferId ?? '')] : []),
      () =>
        connector.terminateTransfer(transferId ?? '', { code: session.state, reason: session.reason ?? session.state }),
    ];
    for (const attempt of attempts) {
      try {
        await attempt();
        break;
      } catch (error) {
        if (isUnavailable(error)) throw error;
        logger.debug({ err: error, sessionId: session.id, transferId }, 'The transfer did not end this way');
      }
    }
    store.updateParticipant(session.id, participantId, { transferOpen: false });
    onChange(session.id);
  };

  /** One pass: what should be open is requested, what should not be is ended. */
  const pass = async (sessionId: string): Promise<void> => {
    for (const { participantId } of store.participants(sessionId)) {
      // Read again: while the connector was asked, the operator may have stopped the session.
      const session = store.session(sessionId);
      const participant = store.participant(sessionId, participantId);
      if (session === undefined || participant === undefined || signal.aborted) return;
      if (restingStates.has(session.state)) {
        if (participant.transferOpen && participant.transferId !== null) await end(session, participant);
      } else if (!participant.transferOpen && participant.status === 'invited') await invite(session, participant);
    }
  };

  const untilDone = async (sessionId: string): Promise<void> => {
    const backOff = createBackOff();
    while (!signal.aborted) {
      try {
        await pass(sessionId);
        connected = true;
        return;
      } catch (error) {
        if (signal.aborted) return;
        connected = !isUnavailable(error);
        logger.warn({ err: error, sessionId }, 'The transfers of the session wait for the own connector');
        await backOff.wait(signal).catch(() => undefined);
      }
    }
  };

  /** What the own connector says of the session's transfers: the contract comes before everything. */
  const observe = async (open: readonly Transfer[]): Promise<void> => {
    const byId = new Map(open.map((transfer) => [transfer.id, transfer]));
    for (const session of store.sessions()) {
      if (restingStates.has(session.state)) continue;
      for (const participant of store.participants(session.id)) {
        const { participantId, transferId, transferOpen, status } = participant;
        if (transferId === null || !transferOpen) continue;
        // The list holds what is not final; it may be older than our own request.
        const transfer = byId.get(transferId) ?? (await connector.transfer(transferId));
        if (isFinal(transfer)) {
          store.updateParticipant(session.id, participantId, { transferOpen: false });
          const word = transfer.state === 'COMPLETED' ? 'completed' : 'terminated';
          const reason = `The transfer was ${word}${transfer.reason === undefined ? '.' : `: ${transfer.reason}`}`;
          if (status !== 'departed') onDeparture(session.id, participantId, reason);
        } else if (transfer.state === 'SUSPENDED' && status !== 'departed') {
          const reason = `The transfer is suspended${transfer.reason === undefined ? '.' : `: ${transfer.reason}`}`;
          onDeparture(session.id, participantId, reason);
        }
      }
    }
  };

  const watch = async (): Promise<void> => {
    const backOff = createBackOff();
    let after = 0;
    while (!signal.aborted) {
      try {
        const { version, transfers } = await connector.flowTransfers(TRANSFER_FORMAT, after, signal);
        after = version;
        connected = true;
        await observe(transfers);
        backOff.reset();
      } catch (error) {
        if (signal.aborted) return;
        connected = !isUnavailable(error);
        // A connector that was started again may count from the beginning.
        after = 0;
        logger.warn({ err: error }, 'The own connector does not tell of its transfers; trying again');
        await backOff.wait(signal).catch(() => undefined);
      }
    }
  };
  const watching = watch();

  return {
    get connected() {
      return connected;
    },
    reconcile(sessionId) {
      const job = (jobs.get(sessionId) ?? Promise.resolve()).then(() => untilDone(sessionId));
      jobs.set(sessionId, job);
      void job.finally(() => {
        if (jobs.get(sessionId) === job) jobs.delete(sessionId);
      });
    },
    async check(participant, claims) {
      if (participant.transferId === null) {
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
      await Promise.all([watching, ...jobs.values()]);
    },
  };
}
