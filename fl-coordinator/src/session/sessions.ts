/** What an operator does with sessions. */
import { FoedusError } from '@foedus/connector/errors';
import type { OperatorClient } from '@foedus/connector/operator-client';
import {
  type SessionPlan,
  type SessionPromise,
  type SessionTradeOff,
  documentHash,
  initialParameters,
  parameterCount,
  parametersHash,
  planHash,
  sessionPlanSchema,
} from '@foedus/fl-core';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type ModelRegistry, partsOf } from '../store/model-registry.ts';
import type { ParticipantRecord, SessionRecord } from '../store/records.ts';
import type { SessionStore } from '../store/session-store.ts';
import { contractsOf, type Invited, promiseOf, requirePromise } from './planned-promise.ts';
import type { Rounds } from './rounds.ts';
import { checkSecureRounds } from './secure-rounds.ts';
import { canTransition, transition } from './session-machine.ts';
import type { TradeOffs } from './trade-offs.ts';
import type { Transfers } from './transfers.ts';

export const sessionRequestSchema = z.strictObject({
  /** Checked as a whole once the coordinator has added its part. */
  plan: z.record(z.string(), z.unknown()),
  participants: z
    .array(z.strictObject({ participantId: z.string().min(1).max(2048), agreementId: z.string().min(1).max(2048) }))
    .min(1)
    .max(10_000),
  /** Plan it although some partner's budget or rounds will not last: it ends when they do. */
  endsEarly: z.boolean().default(false),
});
export type SessionRequest = z.input<typeof sessionRequestSchema>;

type InvitedParticipant = Pick<ParticipantRecord, 'participantId' | 'agreementId' | 'agreementHash' | 'minimumCohort'>;

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly models: ModelRegistry;
  readonly connector: OperatorClient;
  readonly rounds: Rounds;
  readonly transfers: Transfers;
  readonly tradeOffs: TradeOffs;
  /** Participant id of the coordinator. */
  readonly coordinator: string;
  /** The largest model accepted, in float32 values. */
  readonly maxParameters: number;
  readonly now: () => Date;
  readonly onChange: (sessionId: string) => void;
}

export type Sessions = ReturnType<typeof createSessions>;

export function createSessions(options: SessionsOptions) {
  const { store, models, connector, rounds, transfers, tradeOffs, coordinator, maxParameters, now, onChange } = options;

  const known = (id: string): SessionRecord => {
    const session = store.session(id);
    if (session === undefined) throw new FoedusError('not-found', `There is no session ${id}.`);
    return session;
  };

  const planOf = (draft: Record<string, unknown>): SessionPlan => {
    const parsed = sessionPlanSchema.safeParse({ ...draft, version: 1, sessionId: randomUUID(), coordinator });
    if (!parsed.success) {
      throw new FoedusError('bad-request', `The plan is not valid. ${z.prettifyError(parsed.error)}`);
    }
    const parameters = parameterCount(parsed.data);
    if (parameters > maxParameters) {
      throw new FoedusError(
        'too-large',
        `The plan's model has ${parameters} parameters; this coordinator takes ${maxParameters} at most (rounds.maxParameters). Plan smaller layers.`,
      );
    }
    return parsed.data;
  };

  /** @returns the participants with what their agreements say about a round */
  const checkParticipants = async (
    plan: SessionPlan,
    participants: SessionRequest['participants'],
  ): Promise<(InvitedParticipant & Invited)[]> => {
    const ids = new Set(participants.map(({ participantId }) => participantId));
    const agreements = new Set(participants.map(({ agreementId }) => agreementId));
    if (ids.size < participants.length || agreements.size < participants.length) {
      throw new FoedusError('bad-request', 'A participant or an agreement is named twice. Name each once.');
    }
    if (plan.minimumCohort > participants.length) {
      throw new FoedusError(
        'bad-request',
        `The plan's minimum cohort of ${plan.minimumCohort} can never be reached by ${participants.length} participants.`,
      );
    }
    const invited: (InvitedParticipant & Invited)[] = [];
    for (const { participantId, agreementId } of participants) {
      const [agreement, limits] = await Promise.all([
        connector.agreement(agreementId),
        connector.trainingLimits(agreementId),
      ]);
      if (agreement.role !== 'consumer' || agreement.counterPartyId !== participantId) {
        throw new FoedusError('bad-request', `Agreement ${agreementId} is not one that ${participantId} gave to us.`);
      }
      if (!agreement.finalized) {
        throw new FoedusError('conflict', `Agreement ${agreementId} is not finalized yet. Wait for its negotiation.`);
      }
      const agreementHash = documentHash(agreement.agreement);
      const { minimumCohort } = limits;
      invited.push({ participantId, agreementId, agreementHash, minimumCohort, limits });
    }
    checkSecureRounds(plan, invited);
    return invited;
  };

  const invitedTo = (id: string): Promise<Invited[]> =>
    Promise.all(
      store.participants(id).map(async ({ participantId, agreementId }) => ({
        participantId,
        agreementId,
        limits: await connector.trainingLimits(agreementId),
      })),
    );

  /** Everybody is asked (again), under the same agreements. */
  const recruit = (session: SessionRecord): void => {
    store.transaction(() => {
      store.updateSession(session.id, { recruitingSince: now().toISOString() });
      for (const { participantId } of store.participants(session.id)) {
        store.updateParticipant(session.id, participantId, { status: 'invited', note: null });
      }
    });
  };

  return {
    /**
     * @throws FoedusError `bad-request`, `too-large`, `conflict`, `not-found` (agreement), `not-permitted` (an agreement
     *   that cannot be read), `unavailable` (own connector)
     */
    async create(request: SessionRequest): Promise<SessionRecord> {
      const plan = planOf(request.plan);
      const invited = await checkParticipants(plan, request.participants);
      const parameters = initialParameters(plan);
      const at = now().toISOString();
      const session: SessionRecord = {
        id: plan.sessionId,
        plan,
        planHash: planHash(plan),
        initialHash: parametersHash(parameters),
        parameters: parameters.length,
        state: 'planned',
        reason: null,
        seq: 1,
        roundsTarget: plan.rounds,
        roundsDone: 0,
        extended: false,
        recruitingSince: null,
        createdAt: at,
        updatedAt: at,
      };
      requirePromise(promiseOf(session, invited, store), request.endsEarly ?? false);
      store.transaction(() => {
        store.insert(
          session,
          invited.map(({ participantId, agreementId, agreementHash, minimumCohort }) => ({
            participantId,
            agreementId,
            agreementHash,
            minimumCohort,
            transferId: null,
            transferOpen: false,
            status: 'invited',
            note: null,
            lastSeenAt: null,
            privacy: null,
            enrolment: null,
          })),
        );
        models.put(session.id, 0, partsOf(parameters));
      });
      // As large as the model, and not needed again.
      (parameters.buffer as ArrayBuffer).transfer(0);
      onChange(session.id);
      return session;
    },
    /** What a session promises, with what its partners have paid for in other sessions until now. */
    promise: async (id: string): Promise<SessionPromise> => promiseOf(known(id), await invitedTo(id), store),
    /** Which noise each length of training takes within the partners' budgets. @throws FoedusError `unavailable` */
    async tradeOff(id: string): Promise<SessionTradeOff> {
      const { plan } = known(id);
      return await tradeOffs.of(plan, contractsOf(id, await invitedTo(id), store));
    },
    start(id: string): void {
      const session = known(id);
      transition(session.state, 'start');
      store.transaction(() => {
        recruit(session);
        rounds.apply(id, 'start');
      });
      transfers.reconcile(id);
    },
    pause: (id: string): void => rounds.apply(known(id).id, 'pause', 'Paused by the operator.'),
    resume: (id: string): void => rounds.apply(known(id).id, 'resume'),
    stop(id: string, reason: string | undefined): void {
      const why = reason === undefined ? 'Stopped by the operator.' : `Stopped by the operator: ${reason}`;
      rounds.apply(known(id).id, 'stop', why);
    },
    /** Asks for `additional` rounds on top of those that are asked for (or, when it has ended, done). */
    extend(id: string, additional: number): void {
      const session = known(id);
      transition(session.state, 'extend');
      const wasCompleted = session.state === 'completed';
      const roundsTarget = (wasCompleted ? session.roundsDone : session.roundsTarget) + additional;
      store.transaction(() => {
        store.updateSession(id, { roundsTarget, extended: true });
        if (wasCompleted) recruit(session);
        rounds.apply(id, 'extend', wasCompleted ? null : session.reason);
      });
      if (wasCompleted) transfers.reconcile(id);
    },
    /** After a restart: what was under way goes on, what was to be ended is ended. */
    recover(): void {
      for (const { id, state } of store.sessions()) {
        if (canTransition(state, 'stop') && state !== 'planned') rounds.recover(id);
        transfers.reconcile(id);
      }
    },
  };
}
