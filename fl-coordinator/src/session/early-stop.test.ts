import { describe, expect, test } from 'vitest';
import { bestOf, earlyStopReason } from './early-stop.ts';

const aucs = (...values: (number | null)[]) => values.map((auc) => ({ auc, logLoss: null }));
const losses = (...values: (number | null)[]) => values.map((logLoss) => ({ auc: null, logLoss }));
const rule = { metric: 'auc', patience: 2, minDelta: 0.01 } as const;

describe('early stop', () => {
  test('stops after `patience` rounds without an improvement of more than minDelta', () => {
    expect(earlyStopReason(aucs(0.6, 0.7, 0.705, 0.71), rule)).toContain(
      'AUC has not improved by more than 0.01 for 2 rounds',
    );
  });
  test('goes on while it improves, and after a late improvement', () => {
    expect(earlyStopReason(aucs(0.6, 0.7, 0.705), rule)).toBeNull();
    expect(earlyStopReason(aucs(0.6, 0.7, 0.705, 0.72), rule)).toBeNull();
  });
  test('takes a smaller log loss for better', () => {
    expect(earlyStopReason(losses(0.7, 0.6, 0.5), { ...rule, metric: 'logLoss' })).toBeNull();
    expect(earlyStopReason(losses(0.5, 0.6, 0.7), { ...rule, metric: 'logLoss' })).toContain('log loss');
  });
  test('passes over rounds in which nobody reported the metric', () => {
    expect(earlyStopReason(aucs(0.6, null, null, null), rule)).toBeNull();
  });
  test('never stops without a rule', () => {
    expect(earlyStopReason(aucs(0.6, 0.5, 0.4, 0.3), null)).toBeNull();
  });
});

describe('the best model', () => {
  test('is the one with the largest AUC, the first of equals', () => {
    expect(bestOf(aucs(0.6, 0.8, 0.8, 0.7), null)).toBe(1);
  });
  test('is the one with the smallest log loss where nobody reports AUC', () => {
    expect(bestOf(losses(0.6, 0.4, 0.5), null)).toBe(1);
  });
  test('is unknown without any metric', () => {
    expect(bestOf(aucs(null, null), null)).toBeNull();
  });
});
