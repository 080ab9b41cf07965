/**
 * Moves sessions forward. Everything is level-triggered: whatever happened is written to the store first, then `settle`
 * looks at what is stored and does what follows from it, until nothing more does. So a restart needs no special path.
 */
import type { MaskedInputHeader, UpdateHeader } from '@foedus/fl-core';
import type { CoordinatorEvents } from '../events.ts';
import type { ModelRegistry } from '../store/model-registry.ts';
import type { ParticipantRecord, RoundRecord, SessionRecord } from '../store/records.ts';
import { type SessionStore, waitingContribution } from '../store/session-store.ts';
import { type Aggregate, type RunningSum, createRunningSum, release } from '../strategy/aggregate.ts';
import { NotFiniteError, nextModel, strategyOf } from '../strategy/strategy.ts';
import { createAlarms } from './alarms.ts';
import type { ChangeFeed } from './change-feed.ts';
import { deadlineOf, lastEnd } from './deadline.ts';
import { type MetricMeans, bestOf, earlyStopReason } from './early-stop.ts';
import { isEvaluated } from './evaluation.ts';
import {
  type Member,
  type RoundEvent,
  evaluationIsComplete,
  lossesOf,
  nextPhase,
  trainingVerdict,
} from './round-machine.ts';
import type { SecureRounds } from './secure-rounds.ts';
import { type SessionEvent, recruitingVerdict, transition } from './session-machine.ts';
import { durationsAt } from './session-view.ts';

/** Answers to a step that come faster than this are told of together, in milliseconds. */
const TELL_EVERY_MS = 100;

export interface RoundsOptions {
  readonly store: SessionStore;
  readonly models: ModelRegistry;
  readonly secureRounds: SecureRounds;
  readonly changes: ChangeFeed;
  readonly events: CoordinatorEvents;
  readonly now: () => Date;
  /** A session has come to rest: its transfers should end. */
  readonly onRest: (sessionId: string) => void;
}

export interface Rounds extends Disposable {
  /** Does what follows from what is stored, arms the timer for the next deadline, tells whoever watches. */
  settle(sessionId: string): void;
  /** Something has happened that concerns only whoever watches. */
  tellSoon(sessionId: string): void;
  /** Moves the session by an event and settles it. @throws FoedusError `conflict` when the table does not allow it */
  apply(sessionId: string, event: SessionEvent, reason?: string | null): void;
  /** After a restart: sums are lost, so an unfinished round begins again. */
  recover(sessionId: string): void;
  /** A participant that has enrolled (again) joins the round that is in training. */
  join(sessionId: string, participantId: string): void;
  /** A participant has left, or its contract does not allow it to go on. */
  depart(sessionId: string, participantId: string, reason: string): void;
  /** Adds an update to the sum. The caller has checked that it is welcome. */
  receive(
    sessionId: string,
    round: number,
    participantId: string,
    update: { readonly header: UpdateHeader; readonly values: Float32Array; readonly bytes: number },
  ): void;
  /** A masked input has been added to the sum of the secure round. */
  receiveMasked(
    sessionId: string,
    round: number,
    participantId: string,
    input: { readonly privacy: MaskedInputHeader['privacy']; readonly bytes: number },
  ): void;
  /** A member has answered a step of the secure round: does what follows from it. */
  stepAnswered(sessionId: string): void;
}

export function createRounds(options: RoundsOptions): Rounds {
  const { store, models, secureRounds, changes, events, now, onRest } = options;
  const sums = new Map<string, { readonly round: number; readonly sum: RunningSum }>();
  const unmasked = new Map<string, { readonly round: number; readonly sum: Aggregate }>();
  const alarms = createAlarms(
    (sessionId) => settle(sessionId),
    () => now().getTime(),
  );
  const notices = createAlarms(
    (sessionId) => changes.publish(sessionId),
    () => now().getTime(),
  );
  let disposed = false;

  const move = (session: SessionRecord, event: SessionEvent, reason: string | null): void => {
    const state = transition(session.state, event);
    store.updateSession(session.id, { state, reason, seq: session.seq + 1 });
    if (state !== session.state) events.sessionChanged(session.id, state, reason);
  };

  const enterPhase = (sessionId: string, round: RoundRecord, event: RoundEvent, reason: string | null = null): void => {
    const at = now();
    const phase = nextPhase(round.phase, event);
    const ended = phase === 'done' || phase === 'abandoned';
    store.putRound(sessionId, {
      ...round,
      phase,
      durations: durationsAt(round, at),
      phaseSince: ended ? null : at.toISOString(),
      endedAt: ended ? at.toISOString() : null,
      reason,
    });
    events.roundPhase(sessionId, round.round, phase, reason);
  };

  const membersOf = (sessionId: string, round: number): (Member & { evaluated: boolean })[] => {
    const participants = new Map(store.participants(sessionId).map((one) => [one.participantId, one]));
    return store.contributions(sessionId, round).flatMap((contribution) => {
      const participant = participants.get(contribution.participantId);
      if (participant === undefined) return [];
      const { participantId, evaluated, reason } = contribution;
      return [{ participantId, status: participant.status, contribution: contribution.status, reason, evaluated }];
    });
  };

  const overSince = (since: string | null, seconds: number): boolean =>
    since !== null && now().getTime() >= Date.parse(since) + seconds * 1000;

  const startRound = (session: SessionRecord): void => {
    const round = (store.lastRound(session.id)?.round ?? 0) + 1;
    const at = now().toISOString();
    store.transaction(() => {
      store.putRound(session.id, {
        round,
        phase: 'training',
        phaseSince: at,
        startedAt: at,
        endedAt: null,
        durations: {},
        reason: null,
      });
      const isSecure = session.plan.secureAggregation !== null;
      const cohort: ParticipantRecord[] = [];
      for (const participant of store.participants(session.id)) {
        const { participantId, status } = participant;
        if (status === 'departed') continue;
        // Who refused one round is asked again for the next: a reason such as the time of day may have passed.
        if (status === 'refused')
          store.updateParticipant(session.id, participantId, { status: 'enrolled', note: null });
        // A secure round's cohort is fixed when it begins: nobody who is away can come into it later.
        else if (isSecure && status !== 'enrolled') continue;
        store.insertContribution(session.id, waitingContribution(round, participantId));
        cohort.push(participant);
      }
      store.updateSession(session.id, { seq: session.seq + 1, reason: null });
      if (isSecure) secureRounds.open(session, round, cohort);
      else sums.set(session.id, { round, sum: createRunningSum(session.parameters) });
    });
    events.roundPhase(session.id, round, 'training');
  };

  /** A round below the minimum cohort has no output, and the session ends. */
  const abandon = (session: SessionRecord, round: RoundRecord, reason: string): void => {
    sums.delete(session.id);
    store.transaction(() => {
      enterPhase(session.id, round, 'abandon', reason);
      // What was planned is done; only what was asked for on top of it is not.
      move(session, session.roundsDone >= session.plan.rounds ? 'complete' : 'fail', reason);
    });
  };

  /** A secure round without output: another follows while there is a point in it. */
  const abandonSecure = (session: SessionRecord, round: RoundRecord, why: string): void => {
    secureRounds.forget(session.id);
    const reason = `Round ${round.round}: ${lossesOf(membersOf(session.id, round.round))}${why}`;
    store.transaction(() => {
      enterPhase(session.id, round, 'abandon', reason);
      if (secureRounds.goesOn(session)) store.updateSession(session.id, { seq: session.seq + 1 });
      else move(session, session.roundsDone >= session.plan.rounds ? 'complete' : 'fail', reason);
    });
  };

  /** @returns whether something changed */
  const advanceSecure = (session: SessionRecord, round: RoundRecord): boolean => {
    if (unmasked.get(session.id)?.round === round.round) return false;
    const secure = secureRounds.of(session.id);
    if (secure?.round !== round.round) {
      abandonSecure(session, round, 'its secrets are lost.');
      return true;
    }
    const progress = secure.advance((id) => store.participant(session.id, id)?.status === 'enrolled');
    if (progress.kind !== 'wait') store.putDropouts(session.id, round.round, progress.lost);
    if (progress.kind === 'failed') abandonSecure(session, round, progress.reason);
    if (progress.kind === 'step') {
      events.secureStep(session.id, round.round, progress.step);
      if (progress.step === 'confirmation') closeContributions(session, round);
    }
    if (progress.kind === 'summed') {
      const sum = secureRounds.aggregateOf(session, secure, progress.sum);
      unmasked.set(session.id, { round: round.round, sum });
      setImmediate(() => {
        if (!disposed) aggregate(session.id, round.round);
      });
    }
    return progress.kind === 'failed' || progress.kind === 'step';
  };

  /** Whether a secure round can begin; while it cannot, the session waits or ends. */
  const muster = (session: SessionRecord): 'ready' | 'wait' | 'ended' => {
    const participants = store.participants(session.id);
    const least = secureRounds.leastOf(session);
    const here = participants.filter(({ status }) => status === 'enrolled' || status === 'refused').length;
    if (here >= least) return 'ready';
    const verdict = recruitingVerdict(participants, least, false);
    if (
      verdict.kind === 'fail' ||
      overSince(lastEnd(session, store.lastRound(session.id)), session.plan.roundTimeoutSeconds)
    ) {
      move(session, 'fail', verdict.kind === 'run' ? null : verdict.reason);
      return 'ended';
    }
    if (verdict.kind === 'wait' && session.reason !== verdict.reason) {
      store.updateSession(session.id, { reason: verdict.reason });
    }
    return 'wait';
  };

  const closeContributions = (session: SessionRecord, round: RoundRecord): void => {
    store.passing(() => {
      for (const one of store.contributions(session.id, round.round)) {
        if (one.status !== 'waiting') continue;
        const reason = 'No update before the round closed.';
        store.updateContribution(session.id, round.round, one.participantId, { status: 'missed', reason });
      }
      enterPhase(session.id, round, 'close');
    });
  };

  const close = (session: SessionRecord, round: RoundRecord): void => {
    closeContributions(session, round);
    // Whoever watches sees the phase before the arithmetic keeps the process busy.
    setImmediate(() => {
      if (!disposed) aggregate(session.id, round.round);
    });
  };

  const aggregate = (sessionId: string, number: number): void => {
    const session = store.session(sessionId);
    const round = store.lastRound(sessionId);
    const of = unmasked.get(sessionId) ?? sums.get(sessionId);
    const base = models.newest(sessionId);
    // A stop may have come in between.
    if (!session || !base || round?.round !== number || round.phase !== 'aggregating' || of?.round !== number) return;
    // Out of the way before the next round begins, with its own.
    sums.delete(sessionId);
    unmasked.delete(sessionId);
    secureRounds.forget(sessionId);
    try {
      // With the beginning of what follows: one wait for the disk.
      store.transaction(() => {
        const parts = nextModel(strategyOf(session.plan.strategy), models.parts(sessionId, base.round), of.sum);
        models.put(sessionId, number, parts);
        release(of.sum);
        store.updateSession(sessionId, { roundsDone: session.roundsDone + 1, seq: session.seq + 1 });
        enterPhase(sessionId, round, isEvaluated(session) ? 'evaluate' : 'finish');
        prune(session, number);
        follow(sessionId);
      });
    } catch (error) {
      if (!(error instanceof NotFiniteError)) throw error;
      release(of.sum);
      const reason = `Round ${number}: the new parameters are not finite numbers. Plan a session with smaller learning rates.`;
      abandon(session, round, reason);
    }
    settle(sessionId, session.state);
  };

  /** Rounds with output, oldest first. Where no metrics are asked for, nobody has to look through them. */
  const history = ({ id, plan }: SessionRecord): { readonly round: number; readonly means: MetricMeans }[] =>
    plan.evaluation.metrics.length === 0 ? [] : store.metricsByRound(id);

  const prune = (session: SessionRecord, newest: number): void => {
    const rounds = history(session);
    const best = bestOf(
      rounds.map(({ means }) => means),
      session.plan.earlyStop?.metric ?? null,
    );
    models.keepOnly(session.id, newest, best === null ? newest : (rounds[best]?.round ?? newest));
  };

  const finishEvaluation = (session: SessionRecord, round: RoundRecord): void => {
    store.transaction(() => {
      enterPhase(session.id, round, 'finish');
      prune(session, round.round);
      follow(session.id);
    });
  };

  /** @returns whether something changed */
  const advanceRound = (session: SessionRecord): boolean => {
    const { plan } = session;
    const round = store.lastRound(session.id);
    if (round === undefined || round.phase === 'done' || round.phase === 'abandoned') {
      const rule = session.extended ? null : plan.earlyStop;
      const means = rule === null ? [] : history(session).map((one) => one.means);
      const early = earlyStopReason(means, rule);
      if (early !== null) move(session, 'complete', early);
      else if (session.roundsDone >= session.roundsTarget) {
        move(
          session,
          'complete',
          session.roundsDone === 1 ? 'The one round is done.' : `All ${session.roundsDone} rounds are done.`,
        );
      } else if (plan.secureAggregation === null) startRound(session);
      else {
        const readiness = muster(session);
        if (readiness === 'ready') startRound(session);
        return readiness !== 'wait';
      }
      return true;
    }
    if (plan.secureAggregation !== null && round.phase !== 'evaluating') return advanceSecure(session, round);
    const members = membersOf(session.id, round.round);
    const isOver = overSince(round.phaseSince, plan.roundTimeoutSeconds);
    if (round.phase === 'training') {
      const timeout = { isOver, seconds: plan.roundTimeoutSeconds };
      const verdict = trainingVerdict(round.round, members, plan.minimumCohort, timeout);
      if (verdict.kind === 'close') close(session, round);
      if (verdict.kind === 'abandon') abandon(session, round, verdict.reason);
      return verdict.kind === 'abandon';
    }
    if (round.phase === 'evaluating' && evaluationIsComplete(members, isOver)) {
      finishEvaluation(session, round);
      return true;
    }
    return false;
  };

  const advance = (session: SessionRecord): boolean => {
    if (session.state === 'running') return advanceRound(session);
    if (session.state !== 'recruiting') return false;
    const { minimumCohort, roundTimeoutSeconds } = session.plan;
    const isOver = overSince(session.recruitingSince, roundTimeoutSeconds);
    const verdict = recruitingVerdict(store.participants(session.id), minimumCohort, isOver);
    if (verdict.kind === 'run') move(session, 'recruited', null);
    else if (verdict.kind === 'fail') move(session, 'fail', verdict.reason);
    else if (session.reason !== verdict.reason) store.updateSession(session.id, { reason: verdict.reason });
    return verdict.kind !== 'wait';
  };

  /** Does what follows from what is stored, until nothing more does. Within a transaction all of it is part of that. */
  const follow = (sessionId: string): SessionRecord | undefined => {
    let session = store.session(sessionId);
    while (session !== undefined && advance(session)) session = store.session(sessionId);
    return session;
  };

  /** @param before what the state was before the change that is settled */
  const settle = (sessionId: string, before = store.session(sessionId)?.state): void => {
    if (disposed) return;
    const session = follow(sessionId);
    if (session === undefined) return;
    alarms.set(sessionId, deadlineOf(session, store.lastRound(sessionId), secureRounds.of(sessionId)?.deadline));
    if (session.state !== before && ['completed', 'failed', 'stopped'].includes(session.state)) onRest(sessionId);
    changes.publish(sessionId);
  };

  /** A pause halts the clock of the phase; going on starts it anew. The secrets of a secure round do not wait. */
  const haltClock = (session: SessionRecord, event: SessionEvent): void => {
    const round = store.lastRound(session.id);
    if (round === undefined || round.endedAt !== null) return;
    const isSecure = session.plan.secureAggregation !== null && round.phase !== 'evaluating';
    if (event === 'pause' && isSecure) {
      endSecure(session.id);
      enterPhase(session.id, round, 'abandon', 'The session was paused by the operator.');
    } else if (event === 'pause') {
      store.putRound(session.id, { ...round, durations: durationsAt(round, now()), phaseSince: null });
    } else if (event === 'resume') store.putRound(session.id, { ...round, phaseSince: now().toISOString() });
    else if (event === 'stop' || event === 'fail') {
      sums.delete(session.id);
      endSecure(session.id);
      if (round.phase === 'evaluating') enterPhase(session.id, round, 'finish');
      else enterPhase(session.id, round, 'abandon', 'The session was stopped.');
    }
  };

  const endSecure = (sessionId: string): void => {
    unmasked.delete(sessionId);
    secureRounds.forget(sessionId);
  };

  const apply: Rounds['apply'] = (sessionId, event, reason = null) => {
    const session = store.session(sessionId);
    if (session === undefined) return;
    transition(session.state, event);
    store.transaction(() => {
      haltClock(session, event);
      move(session, event, reason);
    });
    const state = store.session(sessionId)?.state;
    if (state === 'stopped' || state === 'failed') onRest(sessionId);
    settle(sessionId);
  };

  return {
    settle,
    tellSoon: (sessionId) => notices.after(sessionId, TELL_EVERY_MS),
    apply,
    recover(sessionId) {
      const session = store.session(sessionId);
      const round = store.lastRound(sessionId);
      if (session === undefined) return;
      store.transaction(() => {
        store.updateSession(sessionId, { seq: session.seq + 1 });
        if (round === undefined || round.endedAt !== null) return;
        if (round.phase !== 'evaluating' && session.plan.secureAggregation !== null) {
          const reason =
            'The coordinator was started again: the masks of the round are lost, and nobody is asked twice.';
          enterPhase(sessionId, round, 'abandon', reason);
          return;
        }
        if (round.phase !== 'evaluating') {
          const departed = new Set(
            store.participants(sessionId).flatMap((one) => (one.status === 'departed' ? [one.participantId] : [])),
          );
          for (const { participantId, status } of store.contributions(sessionId, round.round)) {
            if (status === 'refused' || departed.has(participantId)) continue;
            const { status: waiting, reason, bytes, trainingSeconds } = waitingContribution(round.round, participantId);
            const again = { status: waiting, reason, bytes, trainingSeconds };
            store.updateContribution(sessionId, round.round, participantId, again);
          }
          sums.set(sessionId, { round: round.round, sum: createRunningSum(session.parameters) });
        }
        const durations = round.phase === 'evaluating' ? round.durations : {};
        enterPhase(sessionId, { ...round, durations, phaseSince: null }, 'restart');
        if (session.state === 'paused') {
          const again = store.lastRound(sessionId);
          if (again !== undefined) store.putRound(sessionId, { ...again, phaseSince: null });
        }
      });
      settle(sessionId);
    },
    join(sessionId, participantId) {
      const round = store.lastRound(sessionId);
      if (round?.phase !== 'training' || secureRounds.of(sessionId) !== undefined) return;
      const own = store.contributions(sessionId, round.round).find((one) => one.participantId === participantId);
      if (own === undefined) store.insertContribution(sessionId, waitingContribution(round.round, participantId));
      else if (own.status !== 'received') {
        store.updateContribution(sessionId, round.round, participantId, { status: 'waiting', reason: null });
      }
    },
    depart(sessionId, participantId, reason) {
      const round = store.lastRound(sessionId);
      store.transaction(() => {
        store.updateParticipant(sessionId, participantId, { status: 'departed', note: reason });
        if (round?.phase !== 'training') return;
        const own = store.contributions(sessionId, round.round).find((one) => one.participantId === participantId);
        if (own?.status === 'waiting') {
          store.updateContribution(sessionId, round.round, participantId, { status: 'missed', reason });
        }
      });
      secureRounds.of(sessionId)?.leave(participantId);
      events.participantChanged(sessionId, participantId, 'departed', reason);
      settle(sessionId);
    },
    receive(sessionId, round, participantId, { header, values, bytes }) {
      const of = sums.get(sessionId);
      if (of?.round !== round) throw new Error(`round ${round} has no sum`);
      of.sum.add(values);
      store.passing(() => {
        store.updateContribution(sessionId, round, participantId, {
          status: 'received',
          reason: null,
          trainingSeconds: header.trainingSeconds ?? null,
          bytes,
        });
        store.updateParticipant(sessionId, participantId, {
          status: 'enrolled',
          note: null,
          ...(header.privacy === undefined ? {} : { privacy: header.privacy }),
        });
      });
      events.updateReceived(sessionId, round, participantId, bytes);
      settle(sessionId);
    },
    receiveMasked(sessionId, round, participantId, { privacy, bytes }) {
      store.passing(() => {
        store.updateContribution(sessionId, round, participantId, { status: 'received', reason: null, bytes });
        store.updateParticipant(sessionId, participantId, { status: 'enrolled', note: null, privacy });
      });
      events.updateReceived(sessionId, round, participantId, bytes);
    },
    stepAnswered(sessionId) {
      const session = store.session(sessionId);
      if (session?.state === 'running' && advance(session)) settle(sessionId);
      else notices.after(sessionId, TELL_EVERY_MS);
    },
    [Symbol.dispose]() {
      disposed = true;
      alarms[Symbol.dispose]();
      notices[Symbol.dispose]();
    },
  };
}
