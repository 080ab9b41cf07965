import type { Decision } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import * as model from '../management/model.ts';
import { json, operation, type Operation } from '../management/operation.ts';
import type { JsonLimits } from '../protocol/json-body.ts';
import type { LedgerHeads } from './heads.ts';
import type { UsageControl } from './usage-control.ts';

/** No usage request comes near this; the basis of a charge is the largest part of it. */
const bodyLimits: JsonLimits = { maxBytes: 256 * 1024, maxDepth: 32 };

/** Keys of the data plane: whoever had reserved by one would have its request take the place of a consumer's. */
const OURS = /^(pull|push)\//;

/**
 * The operator's API of usage control, below `/usage`: what an enforcement point outside of the node (a trainer, an
 * application) calls before it lets anything out or uses what has come.
 *
 * @param view a decision as it is told: the plan included, for whoever asks has to cut the data by it
 */
export function usageOperations(
  usageControl: UsageControl,
  heads: LedgerHeads,
  view: (agreementId: string, decision: Decision) => model.DecisionView,
): Operation[] {
  const shared = { tag: 'Usage', scope: 'use' } as const;
  return [
    operation({
      ...shared,
      method: 'post',
      path: '/usage/decisions',
      id: 'decideUsage',
      summary: 'Says whether a use is permitted, without charging anything',
      body: model.decisionRequestSchema,
      bodyLimits,
      answer: json(model.decisionSchema, 'The decision.'),
      errors: ['not-found', 'not-permitted', 'conflict', 'unavailable'],
      handle: async ({ body: { agreementId, request } }) => {
        const consent = await usageControl.ask(agreementId, request, { look: true });
        return view(agreementId, usageControl.decide(agreementId, request, consent));
      },
    }),
    operation({
      ...shared,
      method: 'post',
      path: '/usage/reservations',
      id: 'reserveUsage',
      summary: 'Decides a use and reserves its charges in one step',
      description:
        'A key that was used before gives that reservation again, and charges nothing. With `commit` it is final at once: one durable write instead of two. What has to be logged or told before the use is, or the use is refused.',
      body: model.reservationRequestSchema,
      bodyLimits,
      answer: json(
        model.reservationSchema,
        'The reservation: release, then commit it. Or the committed entry: release.',
      ),
      errors: ['not-found', 'not-permitted', 'budget-exhausted', 'conflict', 'unavailable'],
      handle: async ({ body: { basis, asOf, commit = false, ...use } }) => {
        if (OURS.test(use.key)) {
          throw new FoedusError(
            'bad-request',
            `Keys that begin with pull/ or push/ are those of this node's own uses. Choose another one than ${use.key}.`,
          );
        }
        const consent = await usageControl.ask(use.agreementId, use.request, { key: use.key });
        const { entry, decision } = usageControl.reserve({
          ...use,
          commit,
          consent,
          ...(basis && { basis }),
          ...(asOf !== undefined && { asOf }),
        });
        return { entry, decision: view(use.agreementId, decision), head: await heads.signed(use.agreementId) };
      },
    }),
    operation({
      ...shared,
      method: 'post',
      path: '/usage/reservations/:id/commit',
      id: 'commitReservation',
      summary: 'Makes a reservation final',
      description: 'May be repeated.',
      body: model.emptySchema,
      bodyLimits,
      answer: json(model.committedEntrySchema, 'The entry, committed, and the head that goes with what is released.'),
      errors: ['not-found', 'conflict', 'unavailable'],
      handle: async ({ params }) => {
        const entry = usageControl.commit(params.id);
        return { ...entry, head: await heads.signed(entry.agreementId) };
      },
    }),
    operation({
      ...shared,
      method: 'post',
      path: '/usage/reservations/:id/refund',
      id: 'refundReservation',
      summary: 'Gives a reservation back under which nothing was released',
      body: model.emptySchema,
      bodyLimits,
      answer: json(model.ledgerEntrySchema, 'The entry, refunded.'),
      errors: ['not-found', 'conflict', 'unavailable'],
      handle: ({ params }) => usageControl.refund(params.id),
    }),
    operation({
      ...shared,
      scope: 'any',
      method: 'get',
      path: '/usage/accounts/:agreementId',
      id: 'getAccount',
      summary: 'Shows what is spent and left under an agreement, with every entry',
      answer: json(model.accountSchema, 'The account.'),
      errors: ['not-found', 'not-permitted'],
      handle: ({ params }) => usageControl.account(params.agreementId),
    }),
  ];
}
