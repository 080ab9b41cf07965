/**
 * Charge, then release: what a round or an evaluation costs under the agreement, and how it is charged in the own connector's ledger.
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
  type RoundTerms,
  type SessionPlan,
  type UpdateHeader,
  aboutRecords,
  epsilonOf,
  histogramEvent,
  metricNames,
  privacyEventSchema,
  roundEvent,
} from '@foedus/fl-core';
import type { KeptHeads } from './kept-heads.ts';

/** The action of the agreements' permission. */
export const TRAIN_ACTION = 'https://w3id.org/foedus/policy#train';

export type MetricName = (typeof metricNames)[number];

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
  /** Of the round under secure aggregation: what privacy of organisations costs follows from them. */
  readonly terms?: RoundTerms;
  /** SHA-256, hex, of the bytes that are to leave, once there are any: one charge is for these, and for no others. */
  readonly released?: string;
}

/** What the ledger says of a round before it is trained. */
export interface Quote {
  readonly request: UsageRequestBody;
  /** The decision right now, without charging. */
  readonly isPermitted: boolean;
  /** A charge under this round's key exists: something may have been released under it. */
  readonly isCharged: boolean;
  /** For the update's header: where the budget will stand after this release. */
  readonly privacy: PrivacyStatement;
}

/** null: no differential privacy. */
type PrivacyStatement = NonNullable<UpdateHeader['privacy']> | null;

/** An evaluation that is to be released: a release of its own, and no round. */
export type EvaluationUse = Omit<RoundUse, 'cohort' | 'terms'>;

/** What the ledger says of an evaluation before the model is measured. */
export interface EvaluationQuote {
  /** What may be released right now; empty: nothing, and `reason` says why. */
  readonly metrics: readonly MetricName[];
  readonly reason: string;
  /** A charge under this evaluation's key exists: something may have been released under it. */
  readonly isCharged: boolean;
  /** Where the budget will stand after this release. */
  readonly privacy: PrivacyStatement;
}

export interface Charging {
  quote(use: RoundUse): Promise<Quote>;
  /**
   * Reserves and commits the round's charge. Again with the same round and the same bytes: charges nothing.
   *
   * @returns the ledger's newest head, signed, which goes with what is released
   * @throws FoedusError `not-permitted`, `budget-exhausted` with the connector's reasons, `unavailable`;
   *   `already-released` where the round was charged for other bytes
   */
  charge(use: RoundUse): Promise<SignedHead>;
  /**
   * Shows the ledger a head that a partner holds of it.
   *
   * @returns the newest head, which goes on from that one
   * @throws FoedusError `conflict` where the ledger is older: nothing is released any more until it is reconciled;
   *   `bad-request`, `bad-signature` for what is no head of it; `unavailable`
   */
  present(agreementId: string, held: SignedHead): Promise<SignedHead>;
}

export interface EvaluationCharging {
  quoteEvaluation(use: EvaluationUse): Promise<EvaluationQuote>;
  /**
   * Reserves and commits the evaluation's charge, as `charge` does a round's.
   *
   * @param metrics what is released: of what the quote allowed
   * @throws as `charge`
   */
  chargeEvaluation(use: EvaluationUse, metrics: readonly MetricName[]): Promise<SignedHead>;
}

/** Another update of a round whose first one is paid for would not be paid for. */
export const ALREADY_RELEASED = 'already-released';

/** How often a charge is computed anew because others were charged in between. */
const MOST_ATTEMPTS = 100;

/** What is charged at once. */
interface Release {
  readonly use: EvaluationUse;
  /** The ledger's idempotency key. */
  readonly key: string;
  /** What it costs, for the accountant and for whoever recomputes the charge later; null: nothing is kept private. */
  readonly event: PrivacyEvent | null;
  readonly metrics: readonly MetricName[];
  /** null: an evaluation. */
  readonly cohort: number | null;
}

const trainKeys = (sessionId: string): string => `train/${sessionId}/`;
const evaluateKeys = (sessionId: string): string => `evaluate/${sessionId}/`;

function releaseOfRound(use: RoundUse): Release {
  const { plan, round, cohort, terms = null } = use;
  return { use, key: `${trainKeys(plan.sessionId)}${round}`, event: roundEvent(plan, terms), metrics: [], cohort };
}

function releaseOfEvaluation(use: EvaluationUse, metrics: readonly MetricName[]): Release {
  const { plan, round } = use;
  const { noise } = plan.evaluation;
  const event = plan.privacy === null || noise === null ? null : histogramEvent(noise);
  return { use, key: `${evaluateKeys(plan.sessionId)}${round}`, event, metrics, cohort: null };
}

/** @param heads what is kept of the ledger beside it, and shown to it before every charge */
export function createCharging(
  connector: Pick<OperatorClient, 'account' | 'decide' | 'reserve' | 'presentHead'>,
  heads?: KeptHeads,
): Charging & EvaluationCharging {
  const oneAtATime = createQueues();
  /** As they were when a release was quoted: still so, unless something was charged meanwhile. */
  const quoted = new Map<string, Account>();

  const decide = (release: Release, account: Account) =>
    connector.decide(release.use.agreementId, requestOf(release, account));

  /** Other clients charge the same account: where it has moved meanwhile, the release costs something else. */
  const reserve = async (release: Release): Promise<{ readonly entry: LedgerEntry; readonly head: SignedHead }> => {
    const { agreementId } = release.use;
    for (let attempt = 1; ; attempt++) {
      const account = quoted.get(agreementId) ?? (await connector.account(agreementId));
      quoted.delete(agreementId);
      try {
        return await connector.reserve({
          agreementId,
          key: release.key,
          request: requestOf(release, account),
          basis: basisOf(release),
          asOf: account.sequence,
          commit: true,
        });
      } catch (error) {
        const hasMoved = error instanceof FoedusError && error.code === 'conflict' && 'sequence' in error.details;
        if (!hasMoved || attempt === MOST_ATTEMPTS) throw error;
      }
    }
  };

  /** A ledger that does not contain what is kept is on record as too old with that: it refuses to be charged. */
  const presentKept = async (agreementId: string): Promise<void> => {
    const kept = await heads?.get(agreementId);
    if (kept === undefined) return;
    try {
      await connector.presentHead(agreementId, kept);
    } catch (error) {
      if (!(error instanceof FoedusError) || error.code === 'unavailable') throw error;
    }
  };

  // Two releases charged at once against the same history could together be charged too little.
  const charge = (release: Release): Promise<SignedHead> =>
    oneAtATime(release.use.agreementId, async () => {
      const { agreementId } = release.use;
      await presentKept(agreementId);
      const { entry, head } = await reserve(release);
      await heads?.keep(agreementId, head);
      // Another client of this organisation may have charged the same round for an update of its own.
      if (entry.basis?.['released'] !== release.use.released) {
        throw new FoedusError(
          ALREADY_RELEASED,
          `Something else was released as ${release.key}: what is on this node's disk is not paid for. Run one client only.`,
        );
      }
      if (entry.agreementId === agreementId && entry.state === 'committed') return head;
      throw new FoedusError('bad-answer', `The connector has not committed the charge ${release.key}. Update it.`);
    });

  return {
    async quote(use) {
      const release = releaseOfRound(use);
      const account = await connector.account(use.agreementId);
      quoted.set(use.agreementId, account);
      const request = requestOf(release, account);
      const { permit } = await connector.decide(use.agreementId, request);
      const entry = entryOf(account, release.key);
      return {
        request,
        isPermitted: permit,
        isCharged: entry !== undefined,
        privacy: statementOf(request, account, entry),
      };
    },

    charge: (use) => charge(releaseOfRound(use)),

    present: (agreementId, held) => connector.presentHead(agreementId, held),

    async quoteEvaluation(use) {
      const { noise, metrics } = use.plan.evaluation;
      const account = await connector.account(use.agreementId);
      const entry = entryOf(account, releaseOfEvaluation(use, []).key);
      const privacy = statementOf(requestOf(releaseOfEvaluation(use, []), account), account, entry);
      const known = { isCharged: entry !== undefined, privacy };
      const early = reasonNotDue(use, account);
      if (early !== null) return { metrics: [], reason: early, ...known };
      // A histogram tells all of them; exact metrics are told one by one.
      const wanted = noise === null ? metrics : metricNames;
      const { permit, reasons } = await decide(releaseOfEvaluation(use, wanted), account);
      if (permit) return { metrics: wanted, reason: '', ...known };
      const allowed: MetricName[] = [];
      for (const metric of noise === null ? metrics : []) {
        if ((await decide(releaseOfEvaluation(use, [metric]), account)).permit) allowed.push(metric);
      }
      return { metrics: allowed, reason: allowed.length === 0 ? reasons.join(' ') : '', ...known };
    },

    chargeEvaluation: (use, metrics) => charge(releaseOfEvaluation(use, metrics)),
  };
}

function statementOf(request: UsageRequestBody, account: Account, entry: LedgerEntry | undefined): PrivacyStatement {
  const { privacyLoss = null } = request.training ?? {};
  if (privacyLoss === null) return null;
  return {
    epsilonSpent: account.spent.epsilon + (entry === undefined ? privacyLoss.epsilon : 0),
    epsilonLimit: account.limits.epsilon,
    delta: privacyLoss.delta,
  };
}

const isKept = ({ state }: LedgerEntry): boolean => state !== 'refunded';

function entryOf(account: Account, key: string): LedgerEntry | undefined {
  return account.entries.find((entry) => entry.key === key && isKept(entry));
}

/**
 * Evaluations follow rounds that this node took part in, as often as the plan says: a coordinator cannot spend the
 * budget by asking for them alone.
 *
 * @returns why an evaluation is not due now; null: it is
 */
function reasonNotDue({ plan, round }: EvaluationUse, account: Account): string | null {
  const { sessionId, evaluation } = plan;
  const keptUnder = (keys: string): LedgerEntry[] =>
    account.entries.filter((entry) => entry.key.startsWith(keys) && isKept(entry));
  const trained = keptUnder(trainKeys(sessionId));
  if (!trained.some(({ key, state }) => key === `${trainKeys(sessionId)}${round}` && state === 'committed')) {
    return `This node took no part in round ${round}: it evaluates only models of rounds that it took part in.`;
  }
  const others = keptUnder(evaluateKeys(sessionId)).filter(({ key }) => key !== `${evaluateKeys(sessionId)}${round}`);
  if (others.length < Math.ceil(trained.length / evaluation.every)) return null;
  return `The plan has an evaluation after every ${evaluation.every} rounds: none is due after round ${round}.`;
}

function basisOf({ use, event, metrics, cohort }: Release): Record<string, unknown> {
  const { plan, planHash, round, released } = use;
  const secureAggregation = plan.secureAggregation?.mode ?? null;
  return {
    ...(event ?? { mechanism: 'none' }),
    sessionId: plan.sessionId,
    planHash,
    round,
    metrics,
    ...(released === undefined ? {} : { released }),
    ...(cohort === null ? {} : { secureAggregation }),
  };
}

type PrivacyLoss = NonNullable<UsageRequestBody['training']>['privacyLoss'];

/**
 * What is missing in the account, once the release is composed with all that was charged before; null without
 * differential privacy. With a charge that was given back the account has less than the rest of them cost together: the
 * next release makes up for it. What was charged without its mechanism (what was reconciled) counts in full.
 *
 * The account is about rows: what hides a whole organisation hides each of its rows, and is composed as such.
 */
function privacyLossOf({ use, key: own, event }: Release, account: Account): PrivacyLoss {
  const { privacy } = use.plan;
  if (event === null || privacy === null) return null;
  const history: PrivacyEvent[] = [];
  let [uncomposed, charged] = [0, 0];
  for (const { key, state, basis, charges } of account.entries) {
    if (state === 'refunded') continue;
    const epsilon = charges.find(({ meter }) => meter === 'epsilon')?.amount ?? 0;
    if (key === own) charged = epsilon;
    else {
      const parsed = privacyEventSchema.safeParse(basis);
      if (parsed.success) history.push(aboutRecords(parsed.data));
      else uncomposed += epsilon;
    }
  }
  // ε is counted at the agreement's δ; the plan's is for agreements without a budget.
  const delta = account.limits.delta ?? privacy.delta;
  const composed = epsilonOf([...history, aboutRecords(event)], delta).epsilon + uncomposed;
  return { epsilon: Math.max(0, composed - (account.spent.epsilon - charged)), delta };
}

/** The release as the connector's decision point sees it. */
function requestOf(release: Release, account: Account): UsageRequestBody {
  const { use, event, metrics, cohort } = release;
  const { plan, planHash, modelHash, round } = use;
  const secureAggregation = plan.secureAggregation !== null;
  return {
    action: TRAIN_ACTION,
    purpose: plan.purpose,
    columns: [...new Set([plan.label.column, ...plan.features.map(({ column }) => column)])],
    training: {
      sessionId: plan.sessionId,
      round,
      planHash,
      // Each partner's metrics are its own: nobody's hide in others'.
      cohort: cohort ?? 1,
      privacyLoss: privacyLossOf(release, account),
      metrics: [...metrics],
      modelHash,
      secureAggregation,
      privacyUnit: event?.unit ?? null,
      ...(cohort === null ? { evaluation: true } : {}),
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
