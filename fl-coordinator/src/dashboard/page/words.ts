/** Numbers, times and states in words. Pure: no document, no clock. */
import type { Feature, SecureStep, SessionPlan } from '@foedus/fl-core';
import type { ParticipantView, RoundView, SessionState, SessionView } from '../../session/view.ts';

export const stateWords: Readonly<Record<SessionState, string>> = {
  planned: 'Planned',
  recruiting: 'Waiting for partners',
  running: 'Running',
  paused: 'Paused',
  completed: 'Completed',
  stopped: 'Stopped',
  failed: 'Failed',
};

/** A participant's status; one that is enrolled when the session has ended has taken part. */
export type ShownStatus = ParticipantView['status'] | 'finished';

export const statusWords: Readonly<Record<ShownStatus, string>> = {
  invited: 'Invited',
  enrolled: 'Taking part',
  finished: 'Took part',
  away: 'Away',
  refused: 'Refused',
  departed: 'Left',
};

export const phaseWords: Readonly<Record<NonNullable<ParticipantView['phase']>, string>> = {
  waiting: 'waiting',
  downloading: 'downloading the model',
  training: 'training',
  charging: 'charging its budget',
  uploading: 'sending its update',
  unmasking: 'taking masks off the sum',
  evaluating: 'evaluating',
};

const roundPhaseWords: Readonly<Record<RoundView['phase'], string>> = {
  training: 'partners are training',
  aggregating: 'updates are being averaged',
  evaluating: 'partners are evaluating',
  done: 'done',
  abandoned: 'ended without output',
};

/** What to call a participant where space is short: the host of a did:web, or the whole id. */
export function shortName(participantId: string): string {
  return /^did:web:([^:]+)$/.exec(participantId)?.[1] ?? participantId;
}

/** Longer names would push what is said of a partner out of sight. */
const LONGEST_NAME = 40;

const shortened = (name: string): string =>
  name.length <= LONGEST_NAME ? name : `${name.slice(0, LONGEST_NAME - 13)}…${name.slice(-12)}`;

/**
 * Names for all participants of a session; whole ids where two would be called the same, the middle left out of long ones,
 * and a number behind those that are still the same. No two have the same name.
 */
export function namesOf(participantIds: readonly string[]): ReadonlyMap<string, string> {
  const usesOf = (names: readonly string[]): ReadonlyMap<string, number> => {
    const uses = new Map<string, number>();
    for (const name of names) uses.set(name, (uses.get(name) ?? 0) + 1);
    return uses;
  };
  const hosts = usesOf(participantIds.map(shortName));
  const names = participantIds.map((id) => shortened(hosts.get(shortName(id)) === 1 ? shortName(id) : id));
  const uses = usesOf(names);
  const taken = new Set(names);
  return new Map(
    participantIds.map((id, index) => {
      let name = names[index] ?? id;
      if (uses.get(name) !== 1) {
        let number = 1;
        while (taken.has(`${name} (${number})`)) number += 1;
        name = `${name} (${number})`;
        taken.add(name);
      }
      return [id, name];
    }),
  );
}

/** `abq.example, bdl.example and 3 more` */
export function someNames(
  participantIds: readonly string[],
  names: ReadonlyMap<string, string>,
  most: number = 3,
): string {
  const shown = participantIds.slice(0, most).map((id) => names.get(id) ?? id);
  if (participantIds.length > most) return `${shown.join(', ')} and ${count(participantIds.length - most)} more`;
  return shown.length > 1 ? `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}` : shown.join('');
}

const whole = new Intl.NumberFormat('en');

/** 12,345 */
export function count(value: number): string {
  return whole.format(value);
}

/** `1 round`, `2 rounds` */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** A metric with four decimals; a dash where nobody reported one. */
export function metric(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(4);
}

/** Between a number and its unit: no line ends there. */
const gap = '\u00A0';

/** Seconds as `40 ms`, `1.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–';
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)}${gap}ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)}${gap}s`;
  const total = Math.round(seconds);
  if (total < 60) return `${total}${gap}s`;
  if (total < 3600) return `${Math.floor(total / 60)}${gap}min${gap}${String(total % 60).padStart(2, '0')}${gap}s`;
  return `${count(Math.floor(total / 3600))}${gap}h${gap}${String(Math.floor((total % 3600) / 60)).padStart(2, '0')}${gap}min`;
}

/** Bytes in decimal units, as `12.9 kB`. */
export function bytes(value: number | null): string {
  if (value === null) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? scaled : scaled.toFixed(scaled < 99.95 ? 1 : 0)}${gap}${units[unit]}`;
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** Local time of day; with the date when that is not the day of `now`. */
export function time(iso: string | null, now: Date): string {
  if (iso === null) return '–';
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return '–';
  return day.format(at) === day.format(now) ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`;
}

/** δ as people write it: `1e-5`. */
export function delta(value: number): string {
  return value.toExponential().replace('+', '');
}

const cents = (value: number, round: (x: number) => number): string => (round(value * 100 - 0) / 100).toFixed(2);

/** ε with two decimals, rounded up: a budget never looks less used than it is. */
export function epsilonSpent(value: number): string {
  return cents(value, (x) => Math.ceil(x - 1e-9));
}

/** What is left of a budget, rounded down; nothing when it is overdrawn. */
export function epsilonLeft(privacy: { readonly epsilonSpent: number; readonly epsilonLimit: number }): string {
  const left = Math.max(0, privacy.epsilonLimit - privacy.epsilonSpent);
  return left > 0 && left < 0.01 ? 'less than 0.01' : cents(left, (x) => Math.floor(x + 1e-9));
}

/** `ε 3.10 of 4.00 at δ 1e-5, 0.90 left` */
export function privacySentence(privacy: NonNullable<ParticipantView['privacy']>): string {
  const { epsilonSpent: spent, epsilonLimit: limit } = privacy;
  if (limit === null) return `ε ${epsilonSpent(spent)} spent at δ ${delta(privacy.delta)}, no limit in the agreement`;
  const left = epsilonLeft({ epsilonSpent: spent, epsilonLimit: limit });
  return `ε ${epsilonSpent(spent)} of ${cents(limit, Math.round)} at δ ${delta(privacy.delta)}, ${left} left`;
}

/** What a round under secure aggregation is at. */
const stepWords: Readonly<Record<SecureStep, string>> = {
  keys: 'partners are exchanging keys',
  shares: 'partners are sharing their secrets',
  input: 'partners are training',
  confirmation: 'partners are confirming who is in the sum',
  unmasking: 'partners are taking the masks off the sum',
};

/** What a member has done last in a round under secure aggregation; empty before its keys came. */
export function answeredWords(answered: SecureStep | null): string {
  if (answered === null) return '';
  return {
    keys: 'keys sent',
    shares: 'secrets shared',
    input: 'masked update sent',
    confirmation: 'survivors confirmed',
    unmasking: 'masks taken off',
  }[answered];
}

/** What a member that dropped out of a round under secure aggregation did not do; what it sent before counts. */
export function droppedWords(step: SecureStep, phase: RoundView['phase']): string {
  const words: Readonly<Record<SecureStep, string>> = {
    keys: 'sent no keys',
    shares: 'shared no secrets',
    input: 'sent no masked update',
    confirmation: 'did not confirm the survivors',
    unmasking: 'did not help to take the masks off',
  };
  const counts = (step === 'confirmation' || step === 'unmasking') && phase !== 'abandoned';
  return `${words[step]}${counts ? '; its update counts' : ''}`;
}

/** `ε 4.81 at δ 1e-5`, which breaks between the two only. */
export function budgetWords({ epsilon, delta: at }: { readonly epsilon: number; readonly delta: number }): string {
  return `ε${gap}${epsilonSpent(epsilon)} at δ${gap}${delta(at)}`;
}

/** A noise multiplier, as the command prints it. */
export function multiplier(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toFixed(3);
}

/** Who sees a single update. */
export function aggregationWords({ secureAggregation }: SessionPlan): string {
  if (secureAggregation === null) return 'None: the coordinator sees every update';
  const { mode, clip, bits } = secureAggregation;
  const against =
    mode === 'active-server'
      ? 'even if the coordinator does not keep to the protocol'
      : 'as the coordinator keeps to the protocol';
  return `The coordinator sees sums and no update, ${against}; updates clipped at norm ${clip}, ${bits} bits a value`;
}

/** The round that is not over yet, if there is one. */
export function roundInProgress(view: SessionView): RoundView | null {
  const last = view.rounds.at(-1);
  return last === undefined || last.phase === 'done' || last.phase === 'abandoned' ? null : last;
}

/** `Round 12 of 24: partners are training` */
export function progressSentence(view: SessionView): string {
  const round = roundInProgress(view);
  if (round !== null && (view.state === 'running' || view.state === 'paused')) {
    const words = round.secure === null ? roundPhaseWords[round.phase] : stepWords[round.secure.step];
    return `Round ${count(round.round)} of ${count(view.roundsTarget)}: ${words}`;
  }
  return `${count(view.roundsDone)} of ${plural(view.roundsTarget, 'round')} done`;
}

/** What the session is doing or waiting for, for whoever knows nothing about it. */
export function situation(view: SessionView): string {
  if (view.reason !== null && view.reason !== '') return view.reason;
  const here = view.participants.filter((participant) => participant.status === 'enrolled').length;
  const partners = plural(view.participants.length, 'partner');
  const words: Readonly<Record<SessionState, string>> = {
    planned: `Ready to start with ${partners}. Nothing has been asked of anyone yet.`,
    recruiting: `${here} of ${partners} enrolled; a round needs ${view.plan.minimumCohort}.`,
    running: `${here} of ${partners} taking part; a round needs ${view.plan.minimumCohort}.`,
    paused: 'No round runs until it is resumed.',
    completed: 'All rounds asked for are done and the transfers are completed.',
    stopped: 'Stopped by the operator.',
    failed: 'The session cannot go on.',
  };
  return words[view.state];
}

function width(feature: Feature): number {
  if (feature.kind === 'number') return 1;
  if (feature.kind === 'hashed-category') return feature.buckets;
  return { hour: 24, weekday: 7, month: 12 }[feature.part];
}

/** One input column in words. */
export function featureWords(feature: Feature): string {
  if (feature.kind === 'time-part') return `${feature.part} of ${feature.column}`;
  if (feature.kind === 'number') return `${feature.column} as a number`;
  return `${feature.column} hashed into ${count(feature.buckets)} buckets`;
}

/** `Multilayer perceptron, 81 inputs → 32 → 1 output, ReLU` */
export function modelWords(plan: SessionPlan): string {
  const inputs = plan.features.reduce((sum, feature) => sum + width(feature), 0);
  const hidden = plan.model.hidden.map((size) => `${count(size)} → `).join('');
  const activation = plan.model.activation === 'relu' ? 'ReLU' : 'tanh';
  return plan.model.hidden.length === 0
    ? `Logistic regression, ${plural(inputs, 'input')} → 1 output`
    : `Multilayer perceptron, ${plural(inputs, 'input')} → ${hidden}1 output, ${activation}`;
}

/** What a partner does in one round. */
export function localWords(plan: SessionPlan): string {
  const { steps, samplingRate, learningRate } = plan.local;
  return `${plural(steps, 'step')} on samples of ${+(samplingRate * 100).toPrecision(3)} % of the rows, learning rate ${learningRate}`;
}

/** How rows, or whole partners, are protected in training. */
export function protectionWords(plan: SessionPlan): string {
  if (plan.privacy === null) return 'None: updates carry no noise and no privacy budget is spent';
  const { noiseMultiplier, delta: at } = plan.privacy;
  const noise = `noise multiplier ${noiseMultiplier}, counted at δ ${delta(at)}`;
  if (plan.privacy.unit === 'record') {
    return `Differential privacy for each row: gradients clipped at norm ${plan.privacy.clipNorm}, ${noise}`;
  }
  const clip = plan.secureAggregation?.clip ?? 0;
  const { colluding } = plan.privacy;
  const even =
    colluding === 0
      ? ''
      : ` even if ${plural(colluding, 'partner')} ${colluding === 1 ? 'colludes' : 'collude'} with whoever looks`;
  return `Differential privacy for each whole partner${even}: updates clipped at norm ${clip}, ${noise}`;
}

/** How updates become the next model. */
export function strategyWords(plan: SessionPlan): string {
  const { strategy } = plan;
  return strategy.name === 'fedavg'
    ? `FedAvg, server learning rate ${strategy.serverLearningRate}`
    : `FedAdam, server learning rate ${strategy.serverLearningRate}, β₁ ${strategy.beta1}, β₂ ${strategy.beta2}, τ ${strategy.tau}`;
}

/** When a round or the session ends before its time. */
export function roundRulesWords(plan: SessionPlan): string {
  const closes = `A round closes after ${duration(plan.roundTimeoutSeconds)} and needs ${plural(plan.minimumCohort, 'partner')}`;
  const { earlyStop } = plan;
  if (earlyStop === null) return closes;
  const name = earlyStop.metric === 'auc' ? 'AUC' : 'log loss';
  return `${closes}; training ends when mean ${name} has not improved by ${earlyStop.minDelta} for ${plural(earlyStop.patience, 'round')}`;
}

/** What partners report of a model, and how it is protected. */
export function evaluationWords({ evaluation }: SessionPlan): string {
  const { metrics, every, noise, holdOut } = evaluation;
  if (metrics.length === 0) return 'None: partners report nothing about the model';
  const names = metrics.map((name) => (name === 'auc' ? 'AUC' : 'log loss')).join(' and ');
  const when = every === 1 ? 'after every round' : `after every ${count(every)} rounds`;
  const rows = `${+(holdOut * 100).toPrecision(3)} % of the rows`;
  if (noise === null) return `${names} on ${rows}, ${when}, exact`;
  return `${names} on ${rows}, ${when}, from counts in ${noise.bins} bins with noise multiplier ${noise.noiseMultiplier}, paid for from the budget`;
}
