/**
 * Charge, then release: what a round costs under the agreement, and how it is charged in the own connector's ledger.
 * The connector decides; this side only says truthfully what will be released.
 */
import { FoedusError } from '@foedus/connector/errors';
import type {
  Account,
  LedgerEntry,
  OperatorClient,
  SignedHead,
  UsageRequestBody,
} from '@foedus/connector/operator-client';
import {
  type PrivacyEvent,
  type SessionPlan,
  type UpdateHeader,
  epsilonOf,
  metricNames,
  privacyEventSchema,
  subsampledGaussian,
} from '@foedus/fl-core';
import { z } from 'zod';

/** The action of the agreements' permission. */
export const TRAIN_ACTION = 'https://w3id.org/foedus/policy#train';

type MetricName = (typeof metricNames)[number];

/** A round that is to be released. */
export interface RoundUse {
  readonly agreementId: string;
  readonly plan: SessionPlan;
  /** SHA-256 of the plan, hex. */
  readonly planHash: string;
  /** SHA-256 of the session's initial parameters, hex. */
  readonly modelHash: string;
  readonly round: number;
  /**
   * Participants whose updates are summed: as the coordinator states it, or under secure aggregation the fewest that
   * there can be before this node helps to take the masks off.
   */
  readonly cohort: number;
}

/** What the ledger says of a round before it is trained. */
export interface Quote {
  readonly request: UsageRequestBody;
  /** The decision right now, without charging. */
  readonly isPermitted: boolean;
  /** A charge under this round's key exists: something may have been released under it. */
  readonly isCharged: boolean;
  /** For the update's header: where the budget will stand after this release. */
  readonly privacy: NonNullable<UpdateHeader['privacy']> | null;
}

export interface Charging {
  quote(use: RoundUse): Promise<Quote>;
  /**
   * Reserves and commits the round's charge. Again with the same round: charges nothing.
   *
   * @returns the ledger's newest head, signed, which goes with what is released
   * @throws FoedusError `not-permitted`, `budget-exhausted` with the connector's reasons, `unavailable`
   */
  charge(use: RoundUse): Promise<SignedHead>;
  /** @returns the metrics that the charge of this round paid for; none without a charge */
  paidMetrics(use: Pick<RoundUse, 'agreementId' | 'plan' | 'round'>): Promise<readonly MetricName[]>;
}

const basisMetricsSchema = z.object({ metrics: z.array(z.enum(metricNames)) });

/** How often a charge is computed anew because others were charged in between. */
const MOST_ATTEMPTS = 100;

/** The ledger's idempotency key of a round. */
export const chargeKey = (sessionId: string, round: number): string => `train/${sessionId}/${round}`;

export function createCharging(connector: Pick<OperatorClient, 'account' | 'decide' | 'reserve' | 'commit'>): Charging {
  const oneAtATime = createQueues();

  const isPermitted = async ({ agreementId }: RoundUse, request: UsageRequestBody): Promise<boolean> =>
    (await connector.decide(agreementId, request)).permit;

  /** All metrics of the plan if they are permitted, otherwise those that are. */
  const requestFor = async (
    use: RoundUse,
    account: Account,
  ): Promise<{ readonly request: UsageRequestBody; readonly isPermitted: boolean }> => {
    const { metrics } = use.plan.evaluation;
    const loss = privacyLossOf(use, account);
    const all = requestOf(use, loss, metrics);
    if (await isPermitted(use, all)) return { request: all, isPermitted: true };
    const allowed: MetricName[] = [];
    for (const metric of metrics) {
      if (await isPermitted(use, requestOf(use, loss, [metric]))) allowed.push(metric);
    }
    const some = requestOf(use, loss, allowed);
    return { request: some, isPermitted: await isPermitted(use, some) };
  };

  /** Other clients charge the same account: where it has moved meanwhile, the round costs something else. */
  const reserve = async (use: RoundUse): Promise<{ readonly entry: LedgerEntry }> => {
    for (let attempt = 1; ; attempt++) {
      const account = await connector.account(use.agreementId);
      const { request } = await requestFor(use, account);
      try {
        return await connector.reserve({
          agreementId: use.agreementId,
          key: chargeKey(use.plan.sessionId, use.round),
          request,
          basis: basisOf(use, request.training?.metrics ?? []),
          asOf: account.sequence,
        });
      } catch (error) {
        const hasMoved = error instanceof FoedusError && error.code === 'conflict' && 'sequence' in error.details;
        if (!hasMoved || attempt === MOST_ATTEMPTS) throw error;
      }
    }
  };

  return {
    async quote(use) {
      const account = await connector.account(use.agreementId);
      const { request, isPermitted: permitted } = await requestFor(use, account);
      const entry = entryOf(account, use);
      const { privacyLoss } = request.training ?? {};
      return {
        request,
        isPermitted: permitted,
        isCharged: entry !== undefined,
        privacy:
          privacyLoss === null || privacyLoss === undefined
            ? null
            : {
                epsilonSpent: account.spent.epsilon + (entry === undefined ? privacyLoss.epsilon : 0),
                epsilonLimit: account.limits.epsilon,
                delta: privacyLoss.delta,
              },
      };
    },

    // Two rounds charged at once against the same history could together be charged too little.
    charge: (use) =>
      oneAtATime(use.agreementId, async () => {
        const { entry } = await reserve(use);
        if (entry.agreementId !== use.agreementId || entry.state === 'refunded') {
          throw new FoedusError(
            'conflict',
            `The charge of round ${use.round} was given back and cannot be used again.`,
          );
        }
        return (await connector.commit(entry.id)).head;
      }),

    async paidMetrics(use) {
      const entry = entryOf(await connector.account(use.agreementId), use);
      const basis = basisMetricsSchema.safeParse(entry?.basis);
      return entry?.state === 'committed' && basis.success ? basis.data.metrics : [];
    },
  };
}

function entryOf(account: Account, { plan, round }: Pick<RoundUse, 'plan' | 'round'>): LedgerEntry | undefined {
  const key = chargeKey(plan.sessionId, round);
  return account.entries.find((entry) => entry.key === key && entry.state !== 'refunded');
}

/** What the round's mechanism is, for the accountant and for whoever recomputes the charge later. */
function eventOf({ local, privacy }: SessionPlan): PrivacyEvent | null {
  if (privacy === null) return null;
  const { noiseMultiplier } = privacy;
  return subsampledGaussian({ noiseMultiplier, samplingRate: local.samplingRate, steps: local.steps });
}

function basisOf({ plan, planHash, round }: RoundUse, metrics: readonly string[]): Record<string, unknown> {
  const event = eventOf(plan) ?? { mechanism: 'none' };
  const secureAggregation = plan.secureAggregation?.mode ?? null;
  return { ...event, sessionId: plan.sessionId, planHash, round, metrics, secureAggregation };
}

type PrivacyLoss = NonNullable<UsageRequestBody['training']>['privacyLoss'];

/**
 * What is missing in the account, once the round is composed with all that was charged before; null without
 * differential privacy. With a charge that was given back the account has less than the rest of them cost together: the
 * next round makes up for it. What was charged without its mechanism (what was reconciled) counts in full.
 */
function privacyLossOf({ plan, round }: RoundUse, account: Account): PrivacyLoss {
  const event = eventOf(plan);
  if (event === null || plan.privacy === null) return null;
  const own = chargeKey(plan.sessionId, round);
  const history: PrivacyEvent[] = [];
  let [uncomposed, charged] = [0, 0];
  for (const { key, state, basis, charges } of account.entries) {
    if (state === 'refunded') continue;
    const epsilon = charges.find(({ meter }) => meter === 'epsilon')?.amount ?? 0;
    if (key === own) charged = epsilon;
    else {
      const parsed = privacyEventSchema.safeParse(basis);
      if (parsed.success) history.push(parsed.data);
      else uncomposed += epsilon;
    }
  }
  // ε is counted at the agreement's δ; the plan's is for agreements without a budget.
  const delta = account.limits.delta ?? plan.privacy.delta;
  const composed = epsilonOf([...history, event], delta).epsilon + uncomposed;
  return { epsilon: Math.max(0, composed - (account.spent.epsilon - charged)), delta };
}

/** The round as the connector's decision point sees it. */
function requestOf(use: RoundUse, privacyLoss: PrivacyLoss, metrics: readonly MetricName[]): UsageRequestBody {
  const { plan, planHash, modelHash, round, cohort } = use;
  const secureAggregation = plan.secureAggregation !== null;
  return {
    action: TRAIN_ACTION,
    purpose: plan.purpose,
    columns: [...new Set([plan.label.column, ...plan.features.map(({ column }) => column)])],
    training: {
      sessionId: plan.sessionId,
      round,
      planHash,
      cohort,
      privacyLoss,
      metrics: [...metrics],
      modelHash,
      secureAggregation,
    },
  };
}

/** Runs what has the same name one after the other. */
function createQueues(): <T>(name: string, work: () => Promise<T>) => Promise<T> {
  const tails = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const run = (tails.get(name) ?? Promise.resolve()).then(work, work);
    const tail = run.catch(() => undefined);
    tails.set(name, tail);
    try {
      return await run;
    } finally {
      if (tails.get(name) === tail) tails.delete(name);
    }
  };
}
