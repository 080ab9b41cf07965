/** A participant that does what a test tells it, over the real round protocol: mutual TLS, signatures, update codec. */
import type { Identity, PeerClient } from '@foedus/connector/identity';
import type { SignedHead } from '@foedus/connector/operator-client';
import { encodeUpdate, type EnrolmentClaims, type SessionDescription, type Task } from '@foedus/fl-core';
import { createCoordinatorClient, type CoordinatorClient } from '../../fl-client/src/flow/coordinator-client.ts';
import { parameters, peerOf, PURPOSE, transferOf, type Partner } from './federation.ts';

const never = new AbortController().signal;
type TrainTask = Extract<Task, { kind: 'train' }>;

export interface ScriptedClient extends AsyncDisposable {
  readonly partner: Partner;
  readonly peer: PeerClient;
  readonly coordinator: CoordinatorClient;
  readonly root: string;
  readonly description: SessionDescription;
  /** Enrols with claims as they should be, but for `change`, signed by `signer`. */
  enrol(change?: Partial<EnrolmentClaims>, signer?: Identity): Promise<void>;
  /** The next task of this kind, after all that were seen. */
  task<K extends Task['kind']>(kind: K): Promise<Extract<Task, { kind: K }>>;
  /** An update in which every value is `value`. */
  update(round: number, value: number): Uint8Array<ArrayBuffer>;
  /** Charges a round in the partner's real ledger; again: nothing more. @returns the newest head, which goes with the release */
  charge(round: number): Promise<SignedHead>;
  /** Charges and uploads. */
  upload(round: number, value: number): Promise<void>;
}

/** Waits for the session's transfer at the partner's connector, and reads the description. Does not enrol. */
export async function scriptedClient(partner: Partner, sessionId: string): Promise<ScriptedClient> {
  const transfer = await transferOf(partner, sessionId);
  const peer = peerOf(partner);
  const endpoint = transfer.dataAddress?.endpoint ?? '';
  const coordinator = createCoordinatorClient({
    peers: peer,
    endpoint,
    coordinator: transfer.counterPartyId,
    sessionId,
  });
  const description = await coordinator.describe(never);
  const { planHash, modelHash, agreementId } = description;
  let after = 0;
  const update = (round: number, value: number): Uint8Array<ArrayBuffer> =>
    encodeUpdate({ sessionId, planHash, round, kind: 'update' }, new Float32Array(parameters).fill(value));
  const charge = async (round: number): Promise<SignedHead> => {
    const privacyLoss = { epsilon: 1e-3, delta: 1e-5 };
    const { head } = await partner.operator.reserve({
      agreementId,
      key: `train/${sessionId}/${round}`,
      request: {
        action: 'https://w3id.org/foedus/policy#train',
        purpose: PURPOSE,
        columns: ['delay', 'distance'],
        training: { sessionId, round, planHash, modelHash, cohort: 3, privacyLoss, metrics: [] },
      },
      commit: true,
    });
    return head;
  };
  return {
    partner,
    peer,
    coordinator,
    root: `${endpoint}/fl/v1/sessions/${sessionId}`,
    description,
    async enrol(change = {}, signer = partner.identity) {
      const claims: EnrolmentClaims = {
        type: 'FederatedTrainingEnrolment',
        sessionId,
        planHash,
        modelHash,
        participantId: partner.participantId,
        coordinator: transfer.counterPartyId,
        agreementId,
        transferId: transfer.providerPid ?? '',
        issuedAt: new Date().toISOString(),
        ...change,
      };
      await coordinator.enrol({ claims, jws: await signer.sign(claims) }, never);
    },
    async task(kind) {
      for (;;) {
        const task = await coordinator.nextTask(after, never);
        if (task === null) continue;
        after = task.seq;
        if (task.kind === kind) return task as never;
      }
    },
    update,
    charge,
    upload: async (round, value) => await coordinator.upload(round, update(round, value), await charge(round), never),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

/** Enrols everybody and waits for the first round. */
export async function enrolAll(
  partners: readonly Partner[],
  sessionId: string,
): Promise<{ clients: ScriptedClient[]; task: TrainTask }> {
  const clients = await Promise.all(partners.map((partner) => scriptedClient(partner, sessionId)));
  await Promise.all(clients.map((client) => client.enrol()));
  const tasks = await Promise.all(clients.map((client) => client.task('train')));
  return { clients, task: tasks[0]! };
}
