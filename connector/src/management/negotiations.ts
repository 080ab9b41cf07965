import { z } from 'zod';
import type { AgreementStore } from '../agreement/agreement-store.ts';
import type { UsageControl } from '../ledger/index.ts';
import { negotiationTopic, type Negotiations } from '../negotiation/negotiations.ts';
import type { Changes } from '../protocol/changes.ts';
import { existing } from '../protocol/conversation.ts';
import type { ProcessStore } from '../protocol/process-store.ts';
import { isFinal, negotiationMachine } from '../protocol/state-machine.ts';
import type { Database } from '../store/database.ts';
import { createListing, field, is, listParameters, oneOf } from './listing.ts';
import * as model from './model.ts';
import { created, json, list, operation, type Operation } from './operation.ts';
import { longPoll, oneOrMore, waitSchema } from './requests.ts';

const text = z.string().min(1).max(2048).optional();

/** Negotiations in both roles, the decisions that they wait for, and the agreements that they lead to. */
export function negotiationOperations(options: {
  database: Database;
  negotiations: Negotiations;
  negotiationStore: ProcessStore<model.Negotiation>;
  agreements: AgreementStore;
  usageControl: Pick<UsageControl, 'trainingLimits'>;
  changes: Changes;
}): Operation[] {
  const { database, negotiations, negotiationStore, agreements, usageControl, changes } = options;
  const listNegotiations = createListing<model.Negotiation, 'createdAt' | 'updatedAt'>(database, {
    table: 'negotiation',
    sorts: { createdAt: 'sequence', updatedAt: field('updatedAt') },
    filters: {
      state: oneOf('state'),
      role: is('role'),
      counterPartyId: is('counterparty_id'),
      datasetId: is(field('datasetId')),
      pendingDecision: is(`(${field('pendingDecision')} IS NOT NULL)`),
    },
  });
  const listAgreements = createListing<model.SignedAgreement, 'createdAt'>(database, {
    table: 'agreement',
    sorts: { createdAt: 'sequence' },
    filters: {
      role: is(field('role')),
      counterPartyId: is(field('counterPartyId')),
      target: is(field('target')),
      finalized: is(field('finalized')),
    },
  });
  const shared = { tag: 'Negotiations' };

  return [
    operation({
      ...shared,
      method: 'post',
      path: '/negotiations',
      id: 'negotiate',
      summary: 'Asks a provider for an offer of its catalog',
      scope: 'operate',
      body: model.negotiationRequestSchema,
      answer: created(model.negotiationSchema, '/negotiations', 'The negotiation, REQUESTED.'),
      errors: ['not-found', 'unavailable', 'wrong-peer', 'refused-redirect'],
      handle: ({ body }) => negotiations.request(body),
    }),
    operation({
      ...shared,
      method: 'post',
      path: '/negotiations/offers',
      id: 'offer',
      summary: 'Offers a data set to a consumer that has not asked for it',
      scope: 'operate',
      body: model.offerRequestSchema,
      answer: created(model.negotiationSchema, '/negotiations', 'The negotiation, OFFERED.'),
      errors: ['not-found', 'unavailable', 'wrong-peer', 'refused-redirect'],
      handle: ({ body }) => negotiations.offerTo(body),
    }),
    operation({
      ...shared,
      method: 'get',
      path: '/negotiations',
      id: 'listNegotiations',
      summary: 'Lists negotiations',
      scope: 'read',
      query: z.strictObject({
        ...listParameters(['-createdAt', 'updatedAt']),
        state: oneOrMore(model.negotiationStates).optional().describe('Only those in one of these states.'),
        role: z.enum(model.roles).optional().describe('Only those in which this node has this role.'),
        counterPartyId: text.describe('Only those with this participant.'),
        datasetId: text.describe('Only those about this data set.'),
        pendingDecision: z.stringbool().optional().describe('Only those that wait for a person here, or that do not.'),
      }),
      answer: list(model.negotiationSchema, 'Negotiations.'),
      errors: [],
      handle: ({ query }) => listNegotiations(query),
    }),
    operation({
      ...shared,
      method: 'get',
      path: '/negotiations/:id',
      id: 'getNegotiation',
      summary: 'Shows a negotiation, at once or when it has got somewhere',
      scope: 'read',
      query: z.strictObject({
        wait: waitSchema,
        until: oneOrMore(model.negotiationStates)
          .optional()
          .describe('Hold the answer back until one of these states (or a final one) is reached.'),
        orPendingDecision: z
          .stringbool()
          .default(false)
          .describe('Answer as soon as it waits for a person here as well.'),
      }),
      answer: json(model.negotiationSchema, 'The negotiation.'),
      errors: ['not-found'],
      handle: ({ params: { id }, query: { wait, until, orPendingDecision }, context }) =>
        longPoll(context, {
          wait,
          changes,
          topic: negotiationTopic(id),
          read: () => existing(negotiationStore.get(id), 'negotiation', id),
          ready: ({ state, pendingDecision }) =>
            until === undefined ||
            until.includes(state) ||
            isFinal(negotiationMachine, state) ||
            (orPendingDecision && pendingDecision !== undefined),
        }),
    }),
    operation({
      ...shared,
      method: 'post',
      path: '/negotiations/:id/decision',
      id: 'decideNegotiation',
      summary: 'Accepts, rejects or counters what the counterparty asks for or offers',
      description:
        'For a provider in REQUESTED and a consumer in OFFERED. A provider agrees only to rules that this node can enforce.',
      scope: 'operate',
      body: model.operatorDecisionSchema,
      answer: json(model.negotiationSchema, 'The negotiation afterwards.'),
      errors: ['not-found', 'conflict'],
      handle: ({ params, body }) => negotiations.decide(params.id, body),
    }),
    operation({
      ...shared,
      method: 'post',
      path: '/negotiations/:id/termination',
      id: 'terminateNegotiation',
      summary: 'Ends a negotiation',
      scope: 'operate',
      body: model.terminationSchema,
      answer: json(model.negotiationSchema, 'The negotiation, TERMINATED.'),
      errors: ['not-found', 'illegal-transition'],
      handle: ({ params, body }) => negotiations.terminate(params.id, body),
    }),

    operation({
      tag: 'Agreements',
      method: 'get',
      path: '/agreements',
      id: 'listAgreements',
      summary: 'Lists agreements',
      scope: 'read',
      query: z.strictObject({
        ...listParameters(['-createdAt']),
        role: z.enum(model.roles).optional().describe('Only those in which this node has this role.'),
        counterPartyId: text.describe('Only those with this participant.'),
        target: text.describe('Only those about this data set.'),
        finalized: z.stringbool().optional().describe('Only those that are in force, or that are not.'),
      }),
      answer: list(model.signedAgreementSchema, 'Agreements.'),
      errors: [],
      handle: ({ query }) => listAgreements(query),
    }),
    operation({
      tag: 'Agreements',
      method: 'get',
      path: '/agreements/:id',
      id: 'getAgreement',
      summary: 'Shows an agreement with its signatures',
      scope: 'read',
      answer: json(model.signedAgreementSchema, 'The agreement.'),
      errors: ['not-found'],
      handle: ({ params: { id } }) => existing(agreements.get(id), 'agreement', id),
    }),
    operation({
      tag: 'Agreements',
      method: 'get',
      path: '/agreements/:id/training',
      id: 'getTrainingLimits',
      summary: 'Says what an agreement asks of whoever trains under it',
      description: 'For a session to be planned by. Nothing is decided: the node of the provider decides every round.',
      scope: 'read',
      answer: json(model.trainingLimitsSchema, 'What holds for all training that it permits.'),
      errors: ['not-found', 'not-permitted'],
      handle: ({ params: { id } }) => usageControl.trainingLimits(id),
    }),
  ];
}
