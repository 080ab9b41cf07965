/** The one place where the coordinator's metrics, spans and business events come from. */
import { type Attributes, type Span, SpanStatusCode, context, metrics, trace } from '@opentelemetry/api';
import type { SecureStep } from '@foedus/fl-core';
import type { Logger } from 'pino';
import type { RoundPhase, SessionState } from './session/view.ts';

const SCOPE = '@foedus/fl-coordinator';

export interface CoordinatorEvents {
  sessionChanged(sessionId: string, state: SessionState, reason: string | null): void;
  participantChanged(sessionId: string, participantId: string, status: string, note: string | null): void;
  /** A round enters a phase. `done` and `abandoned` end it. */
  roundPhase(sessionId: string, round: number, phase: RoundPhase, reason?: string | null): void;
  /** A secure round has come to its next step. */
  secureStep(sessionId: string, round: number, step: SecureStep): void;
  updateReceived(sessionId: string, round: number, participantId: string, bytes: number): void;
  updateRefused(sessionId: string, round: number, participantId: string, reason: string): void;
}

interface RoundSpans {
  readonly round: Span;
  phase: Span | null;
  readonly startedAt: number;
}

export function createEvents(logger: Logger): CoordinatorEvents {
  const tracer = trace.getTracer(SCOPE);
  const meter = metrics.getMeter(SCOPE);
  const roundDuration = meter.createHistogram('foedus.round.duration', {
    unit: 's',
    description: 'Time from the beginning of a round to its end',
  });
  const updates = meter.createCounter('foedus.updates.received', { description: 'Updates taken into a round' });
  const bytesReceived = meter.createCounter('foedus.updates.bytes', {
    unit: 'By',
    description: 'Bytes of these updates',
  });
  const refusals = meter.createCounter('foedus.updates.refused', { description: 'Refusals by participants' });
  const spans = new Map<string, RoundSpans>();

  const roundSpans = (key: string, attributes: Attributes): RoundSpans => {
    let found = spans.get(key);
    if (found === undefined) {
      found = { round: tracer.startSpan('round', { attributes }), phase: null, startedAt: performance.now() };
      spans.set(key, found);
    }
    return found;
  };

  return {
    sessionChanged(sessionId, state, reason) {
      logger.info({ sessionId, state, reason }, `Session is ${state}`);
    },
    participantChanged(sessionId, participantId, status, note) {
      logger.info({ sessionId, participantId, status, note }, `${participantId} is ${status}`);
    },
    roundPhase(sessionId, round, phase, reason = null) {
      const key = `${sessionId} ${round}`;
      const attributes = { 'foedus.session': sessionId, 'foedus.round': round };
      const of = roundSpans(key, attributes);
      of.phase?.end();
      of.phase = null;
      if (phase === 'done' || phase === 'abandoned') {
        if (phase === 'abandoned') of.round.setStatus({ code: SpanStatusCode.ERROR, message: reason ?? phase });
        of.round.end();
        spans.delete(key);
        roundDuration.record((performance.now() - of.startedAt) / 1000, { 'foedus.outcome': phase });
      } else {
        of.phase = tracer.startSpan(`round ${phase}`, { attributes }, trace.setSpan(context.active(), of.round));
      }
      logger.info({ sessionId, round, phase, reason }, `Round ${round}: ${phase}`);
    },
    secureStep(sessionId, round, step) {
      spans.get(`${sessionId} ${round}`)?.phase?.addEvent(step);
      logger.info({ sessionId, round, step }, `Round ${round}: ${step}`);
    },
    updateReceived(sessionId, round, participantId, bytes) {
      updates.add(1);
      bytesReceived.add(bytes);
      logger.info({ sessionId, round, participantId, bytes }, `Round ${round}: update of ${participantId}`);
    },
    updateRefused(sessionId, round, participantId, reason) {
      refusals.add(1);
      logger.warn({ sessionId, round, participantId, reason }, `Round ${round}: ${participantId} refused`);
    },
  };
}
