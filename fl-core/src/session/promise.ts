/**
 * What a session can promise, checked before anybody is asked to train: which aggregation and which unit of privacy go
 * together, what each partner's rows will have paid after each round, and whether the agreements allow it. Pure; each
 * partner's own node decides and charges all the same.
 *
 * Rules: every organisation takes part in every round, so its sampling rate is 1 and nothing is amplified for it; rows are
 * sampled within an organisation, and for them it is. Updates are weighted equally, since counts of rows would be a release
 * of their own. Noise that members add together counts with the fewest of them with which a round still has output.
 */
import { aboutRecords, type PrivacyEvent, type PrivacyUnit } from '../privacy/event.ts';
import type { Encoding } from '../secure-aggregation/encoding.ts';
import { chooseDegree, type Mode, thresholdOf } from '../secure-aggregation/graph.ts';
import { planHash } from './hash.ts';
import { metricNames, NEEDS_SECURE_AGGREGATION, type SessionPlan } from './plan.ts';
import { organisationEvent, roundEvent } from './round-event.ts';
import { secureEncoding, secureTask } from './secure-round.ts';
import { NOTHING_SPENT, spendingBy } from './spending.ts';

/** What an agreement's policy asks of training in every case, as its own node reads it; null: nothing. */
export interface ContractLimits {
  /** Whether it permits any training at all. */
  readonly permitted: boolean;
  readonly budget: { readonly epsilon: number; readonly delta: number } | null;
  readonly roundBudget: { readonly epsilon: number; readonly delta: number } | null;
  readonly rounds: number | null;
  readonly minimumCohort: number | null;
  /** Metrics that may be released. */
  readonly metrics: readonly string[] | null;
  readonly purposes: readonly string[] | null;
  readonly modelHash: string | null;
  readonly planHash: string | null;
  readonly secureAggregation: boolean;
  /** What the noise has to hide at least: a row, or all that the organisation contributes and so each of its rows. */
  readonly privacyUnit: PrivacyUnit | null;
  /** What the policy says beyond that and its reader cannot check, a sentence each. */
  readonly problems: readonly string[];
}

export const NO_LIMITS: ContractLimits = {
  permitted: true,
  budget: null,
  roundBudget: null,
  rounds: null,
  minimumCohort: null,
  metrics: null,
  purposes: null,
  modelHash: null,
  planHash: null,
  secureAggregation: false,
  privacyUnit: null,
  problems: [],
};

/** A partner and the agreement that it would train under. */
export interface Contract {
  readonly participantId: string;
  readonly limits: ContractLimits;
  /** What was paid for under the agreement before, as far as whoever asks knows. */
  readonly history?: { readonly rounds: number; readonly events: readonly PrivacyEvent[] };
}

export type ReasonCode =
  | 'cohort-too-small'
  | 'ring-too-small'
  | 'unit-needs-secure-aggregation'
  | 'no-honest-noise'
  | 'metrics-need-noise'
  | 'secure-aggregation-required'
  | 'privacy-required'
  | 'unit-required'
  | 'unit-not-agreed'
  | 'budget-exceeded'
  | 'round-budget-exceeded'
  | 'too-many-rounds'
  | 'other-model'
  | 'other-plan'
  | 'no-training-permitted';

/** Why a session cannot be held as planned; the words say what to change. */
export interface Reason {
  readonly code: ReasonCode;
  readonly words: string;
}

export interface PartnerPromise {
  readonly participantId: string;
  /** The δ at which ε is counted: the agreement's, otherwise the plan's; null without privacy. */
  readonly delta: number | null;
  /** The agreement's limit of ε in all. */
  readonly limit: number | null;
  /** ε of everything released after each of some rounds, ascending; the first is 0, the last is the plan's. */
  readonly byRound: readonly { readonly round: number; readonly epsilon: number }[];
  /** The most that one round adds. */
  readonly largestRound: number;
  readonly reasons: readonly Reason[];
  /** What will be otherwise than planned, and is no reason not to begin. */
  readonly notes: readonly string[];
}

export interface SessionPromise {
  readonly holds: boolean;
  /** What is wrong with the plan whatever the agreements say. */
  readonly reasons: readonly Reason[];
  readonly partners: readonly PartnerPromise[];
  /**
   * Members with which a round still has output: the plan's minimum or the agreements'. The threshold counts those who are
   * there when a round begins, and promises nothing beforehand.
   */
  readonly fewest: number;
  /** Of everybody invited, members that may be gone at the end of a round that all of them began. */
  readonly mayDrop: number;
  /** Under secure aggregation: how updates become integers. */
  readonly ring: Pick<Encoding, 'bits' | 'scale' | 'wrapProbability'> | null;
  /** What the session promises, a sentence each. */
  readonly words: readonly string[];
  /** What could go wrong all the same. */
  readonly cautions: readonly string[];
}

/**
 * @param contracts one for each partner that would be invited
 * @param modelHash SHA-256 of the initial parameters, where known: compared with agreements that name one
 */
export function checkPromise(
  plan: SessionPlan,
  contracts: readonly Contract[],
  { modelHash }: { readonly modelHash?: string } = {},
): SessionPromise {
  const cohort = cohortOf(plan, contracts);
  const ring = ringOf(plan, contracts.length);
  const event = eventOf(plan, ring.encoding);
  const reasons = [...cohort.reasons, ...ring.reasons, ...event.reasons, ...evaluationReasons(plan)];
  const spending = spendingBy(plan, event.event && aboutRecords(event.event));
  const partners = contracts.map((contract) => partnerPromise(plan, contract, event.event, spending, modelHash));
  const { encoding } = ring;
  return {
    holds: reasons.length === 0 && partners.every((partner) => partner.reasons.length === 0),
    reasons,
    partners,
    fewest: cohort.fewest,
    mayDrop: Math.max(0, contracts.length - cohort.needed),
    ring: encoding && { bits: encoding.bits, scale: encoding.scale, wrapProbability: encoding.wrapProbability },
    words: wordsOf(plan, contracts.length, cohort, encoding),
    cautions: cohort.cautions,
  };
}

function cohortOf(plan: SessionPlan, contracts: readonly Contract[]) {
  const { secureAggregation: secure } = plan;
  const invited = contracts.length;
  const reasons: Reason[] = [];
  const asked = Math.max(
    plan.minimumCohort,
    secure === null ? 1 : 2,
    ...contracts.map(({ limits }) => limits.minimumCohort ?? 1),
  );
  if (asked > invited) {
    const words = `A round needs ${asked} participants by the plan and the agreements; ${invited} are invited. Invite more.`;
    reasons.push({ code: 'cohort-too-small', words });
  }
  const cautions: string[] = [];
  if (secure === null) return { fewest: asked, needed: asked, inLeague: '', reasons, cautions };
  if (asked === 2) {
    cautions.push('With two in a sum, each knows the other’s update once it sees the model: three would be better.');
  }
  const { degree, mode } = secure;
  if (degree === null || degree >= invited - 1) {
    // Holders of a secret are a member's neighbours and itself: on the complete graph the whole cohort.
    const needed = Math.max(asked, thresholdOf(Math.max(1, invited - 1), mode));
    return { fewest: asked, needed, inLeague: inLeagueOf(asked, mode), reasons, cautions };
  }
  const corrupt = Math.floor(invited / 50);
  const dropped = Math.max(0, invited - asked);
  const enough = chooseDegree({ members: invited, corrupt, dropped });
  if (enough === null || enough > degree) {
    const wanted = enough === null ? 'the complete graph (degree null)' : `${enough} neighbours`;
    cautions.push(
      `With ${degree} neighbours each a round may fail, or a secret be exposed, when ${dropped} of ${invited} are gone ` +
        `and ${corrupt} collude: ${wanted} would be enough, or a larger minimum cohort.`,
    );
  }
  const inLeague = leagueWords('few', enough === null || enough > degree ? 0 : corrupt, invited);
  return { fewest: asked, needed: asked, inLeague, reasons, cautions };
}

/**
 * How many may be in league with the coordinator where everybody holds shares of everybody's secrets, in words:
 * secure-aggregation/README.md. It may begin a round with no more than the minimum cohort, and takes the inputs of those in
 * league with it out of the sum, in which two others have to stay.
 */
function inLeagueOf(minimumCohort: number, mode: Mode): string {
  const most = mode === 'active-server' ? Math.ceil(minimumCohort / 3) - 1 : Math.floor(minimumCohort / 2);
  const fraction = mode === 'active-server' ? 'fewer than a third' : 'at most half';
  return leagueWords(fraction, Math.min(most, minimumCohort - 2), minimumCohort);
}

const leagueWords = (fraction: string, most: number, of: number): string =>
  `${fraction} of the members are in league with it (${most === 0 ? 'none' : `at most ${most}`} of ${of})`;

function ringOf(plan: SessionPlan, invited: number): { encoding: Encoding | null; reasons: Reason[] } {
  const { secureAggregation: secure, privacy } = plan;
  if (secure === null || invited < 2) return { encoding: null, reasons: [] };
  if (privacy?.unit === 'organisation' && leastOf(plan) <= privacy.colluding) return { encoding: null, reasons: [] };
  try {
    const hash = '0'.repeat(64);
    const policies = Array.from({ length: invited }, (_, i): [string, string] => [`${i}`, hash]);
    // Everybody invited may be in the sum, and as few may be left as the plan says: the ring has to hold the noise of both.
    const task = { plan, planHash: hash, round: 1, modelHash: hash, policies, minimumCohort: leastOf(plan) };
    const encoding = secureEncoding(plan, secureTask(task).terms);
    if (encoding.clipNorm * encoding.scale < Math.sqrt(encoding.length) / 2) {
      throw new RangeError('Rounding would hide the update.');
    }
    return { encoding, reasons: [] };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const words =
      `Sums of ${invited} updates fit into ${secure.bits} bits with wrap-around probability ` +
      `${secure.wrapProbability} only on a grid too coarse to be of use: plan more bits, a smaller clip or less noise.`;
    return { encoding: null, reasons: [{ code: 'ring-too-small', words }] };
  }
}

/**
 * The smallest cohort that the plan alone allows. What an agreement asks for beyond that is gone when its partner is, and
 * a round with fewer members, or a smaller minimum, must not cost more than was promised: the grid is never coarser than
 * with everybody invited and this minimum.
 */
const leastOf = ({ minimumCohort }: SessionPlan): number => Math.max(2, minimumCohort);

/**
 * What a round costs a member at most, when so many are invited.
 *
 * @returns null without privacy, or where none could be stated: checkPromise says why
 */
export const plannedRoundEvent = (plan: SessionPlan, invited: number): PrivacyEvent | null =>
  eventOf(plan, ringOf(plan, invited).encoding).event;

/** What one round costs at most, as the accountant counts it; null: no privacy, or none that could be stated. */
function eventOf(plan: SessionPlan, encoding: Encoding | null): { event: PrivacyEvent | null; reasons: Reason[] } {
  const { privacy, secureAggregation } = plan;
  const refused = (code: ReasonCode, words: string) => ({ event: null, reasons: [{ code, words }] });
  if (privacy?.unit !== 'organisation') return { event: roundEvent(plan, null), reasons: [] };
  if (secureAggregation === null) return refused('unit-needs-secure-aggregation', NEEDS_SECURE_AGGREGATION);
  const fewest = leastOf(plan);
  if (fewest <= privacy.colluding) {
    return refused(
      'no-honest-noise',
      `With ${fewest} survivors, ${privacy.colluding} of whom may collude, no honest one adds noise: plan a larger minimum cohort.`,
    );
  }
  if (encoding === null) return { event: null, reasons: [] };
  return { event: organisationEvent(privacy, encoding, fewest), reasons: [] };
}

/** Metrics of one organisation are a release of their own: with privacy they need noise that ε counts. */
function evaluationReasons({ evaluation, privacy }: SessionPlan): Reason[] {
  const refused = (words: string): Reason[] => [{ code: 'metrics-need-noise', words }];
  if (evaluation.metrics.length === 0) return [];
  if (privacy === null) {
    if (evaluation.noise === null) return [];
    return refused(
      'The noise of metrics is paid for as part of a privacy budget, and the plan has none: leave it out.',
    );
  }
  if (privacy.unit === 'organisation') {
    return refused('Metrics tell about one organisation what its privacy hides: leave evaluation.metrics empty.');
  }
  if (evaluation.noise !== null) return [];
  return refused(
    'Metrics of a partner are a release that exact numbers would not keep private: plan their noise ' +
      '(evaluation.noise, with bins and noiseMultiplier), or leave evaluation.metrics empty.',
  );
}

/** A histogram tells all of them, so an agreement has to allow all of them. */
export const allowsHistograms = ({ metrics }: Pick<ContractLimits, 'metrics'>): boolean =>
  metrics !== null && metricNames.every((metric) => metrics.includes(metric));

const HIDDEN: Readonly<Record<PrivacyUnit, string>> = { record: 'single rows', organisation: 'whole organisations' };

/** As the partner's policy decides: sums of floating-point numbers may exceed a limit by this. */
export const TOLERANCE = 1e-9;

function partnerPromise(
  plan: SessionPlan,
  { participantId, limits, history = { rounds: 0, events: [] } }: Contract,
  event: PrivacyEvent | null,
  spending: ReturnType<typeof spendingBy>,
  modelHash: string | undefined,
): PartnerPromise {
  const { privacy, rounds } = plan;
  const { budget, roundBudget } = limits;
  const reasons: Reason[] = [];
  const refuse = (code: ReasonCode, words: string): void => void reasons.push({ code, words });
  const delta = privacy === null ? null : (budget?.delta ?? privacy.delta);
  // An agreement's budget is about rows, and what hides an organisation hides each of its rows.
  const cost = event && aboutRecords(event);
  const paid = history.events.map((one) => aboutRecords(one));
  const isComparable =
    cost === null || paid.every(({ unit, adjacency }) => unit === cost.unit && adjacency === cost.adjacency);
  const { byRound, largestRound, instead } =
    delta === null || !isComparable ? NOTHING_SPENT : spending(paid, delta, allowsHistograms(limits));
  const total = byRound.at(-1)?.epsilon ?? 0;

  if (!limits.permitted) {
    refuse('no-training-permitted', 'The agreement permits no training. Negotiate one whose permission is for it.');
  }
  if (limits.secureAggregation && plan.secureAggregation === null) {
    refuse('secure-aggregation-required', 'The agreement asks for secure aggregation, and the plan has none.');
  }
  if (limits.rounds !== null && history.rounds + rounds > limits.rounds) {
    const left = Math.max(0, limits.rounds - history.rounds);
    refuse(
      'too-many-rounds',
      `The agreement allows ${limits.rounds} rounds, of which ${left} are left; ${rounds} are planned.`,
    );
  }
  if (limits.modelHash !== null && modelHash !== undefined && limits.modelHash !== modelHash) {
    refuse('other-model', `The agreement is for model ${limits.modelHash}; the plan's is ${modelHash}.`);
  }
  if (limits.planHash !== null && limits.planHash !== planHash(plan)) {
    refuse(
      'other-plan',
      `The agreement is for the session plan ${limits.planHash} alone; this one's is ${planHash(plan)}.`,
    );
  }
  if (privacy === null && (budget !== null || roundBudget !== null)) {
    refuse('privacy-required', 'The agreement sets a privacy budget, and the plan trains without noise.');
  }
  if (limits.privacyUnit !== null && privacy === null) {
    refuse(
      'privacy-required',
      `The agreement asks for noise that hides ${HIDDEN[limits.privacyUnit]}, and the plan has none.`,
    );
  } else if (limits.privacyUnit === 'organisation' && privacy?.unit === 'record') {
    refuse(
      'unit-required',
      'The agreement asks for noise that hides whole organisations, and the plan hides single rows: plan privacy of ' +
        'the unit "organisation", under secure aggregation and without metrics of single partners.',
    );
  }
  if (!isComparable) {
    refuse('unit-not-agreed', 'Under this agreement privacy of another unit was paid for: the two cannot be added up.');
  } else if (event !== null && budget !== null && total > budget.epsilon + TOLERANCE) {
    const words = `${rounds} rounds cost ε ${shown(total)} at δ ${budget.delta}; the agreement allows ${budget.epsilon}.`;
    refuse('budget-exceeded', `${words} ${instead(budget.epsilon)}`);
  }
  if (event !== null && isComparable && roundBudget !== null) {
    if (delta !== null && roundBudget.delta < delta) {
      const words = `The agreement limits each round at δ ${roundBudget.delta}, and ε is counted at δ ${delta}: they cannot be compared.`;
      refuse('round-budget-exceeded', words);
    } else if (largestRound > roundBudget.epsilon) {
      const words = `One round costs up to ε ${shown(largestRound)}; the agreement allows ${roundBudget.epsilon}. Plan more noise or fewer steps.`;
      refuse('round-budget-exceeded', words);
    }
  }
  return {
    participantId,
    delta,
    limit: budget?.epsilon ?? null,
    byRound,
    largestRound,
    reasons,
    notes: notesOf(plan, limits),
  };
}

function notesOf({ evaluation, purpose, privacy }: SessionPlan, limits: ContractLimits): string[] {
  const { metrics, purposes, problems } = limits;
  const { noise } = evaluation;
  const isAllowed = (metric: string): boolean =>
    noise === null ? metrics?.includes(metric) === true : allowsHistograms(limits);
  const kept = evaluation.metrics.filter((metric) => !isAllowed(metric));
  const sent = evaluation.metrics.filter(isAllowed);
  const why = noise === null ? 'allow it' : `allow all of ${metricNames.join(' and ')}, which one histogram tells`;
  return [
    ...(kept.length === 0 ? [] : [`It will not report ${kept.join(' and ')}: the agreement does not ${why}.`]),
    ...(sent.length === 0 || privacy === null || noise === null
      ? []
      : [
          `It reports a noised histogram of its scores on held-out rows after every ${evaluation.every === 1 ? 'round' : `${evaluation.every} rounds`}, from which ` +
            `${sent.join(' and ')} follow; ε counts it.`,
        ]),
    ...(purposes === null || purposes.includes(purpose)
      ? []
      : [
          purposes.length === 0
            ? 'Its agreement has conditions on the purpose that exclude each other.'
            : `Its node decides whether ${purpose} is a kind of ${purposes.join(' or ')}.`,
        ]),
    ...problems.map(
      (problem) => `Its agreement says what cannot be checked here, and its node may refuse for it: ${problem}`,
    ),
  ];
}

function wordsOf(
  plan: SessionPlan,
  invited: number,
  { fewest, needed, inLeague }: ReturnType<typeof cohortOf>,
  encoding: Encoding | null,
): string[] {
  const { secureAggregation: secure, privacy } = plan;
  const dropped = Math.max(0, invited - needed);
  return [
    secure === null
      ? 'The coordinator sees every update.'
      : `The coordinator sees the sum of at least ${fewest} updates and no single one` +
        (secure.mode === 'active-server' ? ', whatever it sends, ' : ', as long as it follows the protocol and ') +
        `while ${inLeague}.`,
    `A round has output while ${needed} of ${invited} are left: ${dropped === 0 ? 'nobody' : dropped} may drop out.`,
    'Every update has the same weight, and no counts of rows are sent.',
    ...(encoding === null
      ? []
      : [
          `Values travel as ${encoding.bits} bits in steps of ${(1 / encoding.scale).toExponential(1)}; a sum wraps around ` +
            `with probability at most ${encoding.wrapProbability}.`,
        ]),
    privacy === null
      ? 'Nothing is noised: the model may tell about single rows.'
      : privacy.unit === 'record'
        ? 'One row more or less at a partner changes what it releases by no more than its ε says' +
          (plan.local.divisor === undefined
            ? ', if how many rows it has is known anyway: the noise in its updates tells that (local.divisor hides it).'
            : '.')
        : 'All that one organisation contributes is hidden within ε, and with it each of its rows; every organisation is in every round, so nothing is amplified.',
  ];
}

const shown = (epsilon: number): string => epsilon.toPrecision(4);
