import { describe, expect, test } from 'vitest';
import { CONSUMER, agreement, nothingSpent, permission, trainRequest, useRequest } from '../agreement.fixture.ts';
import { compile } from '../compile.ts';
import type { UsageRequest, UsageState } from '../model.ts';
import { parsePolicy } from '../parse.ts';
import { Unreadable } from '../policy-error.ts';
import { TRAIN } from '../terms.ts';
import { cedarRules } from './cedar.ts';
import { decideWithLocalRules } from './local-rules.ts';

const compiled = compile(parsePolicy(agreement({ permission: [permission('use'), permission(TRAIN)] })));

function judge(text: string, request: UsageRequest, state: UsageState = nothingSpent) {
  const rules = cedarRules({ name: 'cedar:local.cedar', text });
  return decideWithLocalRules(compiled, request, state, [rules], { agreementId: 'urn:a', dataSet: 'urn:flights' });
}

describe('Cedar rules', () => {
  test('permit what some rule permits and none forbids', async () => {
    const decision = await judge('permit (principal, action, resource);', useRequest());
    expect(decision.permit).toBe(true);
    expect(decision.localRules[0]?.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test('refuse what no rule permits', async () => {
    const decision = await judge('permit (principal, action == Foedus::Action::"train", resource);', useRequest());
    expect(decision.reasons).toEqual(['The local rules cedar:local.cedar refuse: No rule permits it.']);
  });

  test.each([
    ['the consumer', `principal == Foedus::Participant::"${CONSUMER}"`, useRequest()],
    ['the data set', 'resource == Foedus::DataSet::"urn:flights"', useRequest()],
    ['the agreement', 'context.agreement == "urn:a"', useRequest()],
    ['the time', 'context.at.toTime() == duration("0h")', useRequest()],
    ['the purpose', 'context has purpose && context.purpose like "*dpv#*"', useRequest()],
    ['the columns', 'context has columns && context.columns.contains("delay")', useRequest({ columns: ['delay'] })],
    ['what is spent', 'context.spent.uses == 0', useRequest()],
    ['the cohort', 'context has training && context.training.cohort < 5', trainRequest({ cohort: 4 })],
    [
      'the privacy loss, never less than it is',
      'context has training && context.training has epsilon && context.training.epsilon.greaterThan(decimal("0.1"))',
      trainRequest({ privacyLoss: { epsilon: 0.100_001, delta: 1e-5 } }),
    ],
    [
      'the δ',
      'context has training && context.training has delta && context.training.delta == "0.00001"',
      trainRequest(),
    ],
    [
      'the metrics',
      'context has training && context.training.metrics.contains("auc")',
      trainRequest({ metrics: ['auc'] }),
    ],
    [
      'the unit of privacy',
      'context has training && context.training has privacyUnit && context.training.privacyUnit == "record"',
      trainRequest({ privacyUnit: 'record' }),
    ],
    [
      'no privacy at all',
      'context has training && !(context.training has privacyUnit)',
      trainRequest({ privacyLoss: null, privacyUnit: null }),
    ],
    [
      'plain sums',
      'context has training && context.training has secureAggregation && !context.training.secureAggregation',
      trainRequest({ secureAggregation: false }),
    ],
    [
      'the model',
      'context has training && context.training has modelHash && context.training.modelHash like "a1*"',
      trainRequest({ modelHash: 'a1'.repeat(32) }),
    ],
  ])('can forbid by %s', async (_, condition, request) => {
    const text = `permit (principal, action, resource);
      @id("rule") @reason("Not with us.") forbid (principal, action, resource) when { ${condition} };`;
    const decision = await judge(text, request);
    expect(decision.permit).toBe(false);
    expect(decision.reasons).toEqual(['The local rules cedar:local.cedar refuse: Not with us.']);
    const otherwise = await judge(text.replace('when {', 'unless {'), request);
    expect(otherwise.permit).toBe(true);
  });

  test('that fail while they are evaluated refuse, though Cedar itself would skip them', async () => {
    const text = `permit (principal, action, resource);
      @id("sum") forbid (principal, action, resource) when { context.spent.uses + 9223372036854775807 < 0 };`;
    const decision = await judge(text, useRequest(), { spent: { uses: 1, rounds: 0, epsilon: 0 } });
    expect(decision.permit).toBe(false);
    expect(decision.reasons[0]).toMatch(/Rule sum could not be evaluated/);
  });

  test('refuse what cannot be told to them', async () => {
    const decision = await judge('permit (principal, action, resource);', useRequest(), {
      ...nothingSpent,
      spent: { uses: 0, rounds: 0, epsilon: 1e300 },
    });
    expect(decision.permit).toBe(false);
  });

  test.each([
    ['are none', ''],
    ['are not Cedar', 'permit everything;'],
    ['name what no request has', 'permit (principal, action, resource) when { context.purpse == "x" };'],
    [
      'read an optional attribute without asking for it',
      'permit (principal, action, resource) when { context.purpose == "x" };',
    ],
    ['name an unknown action', 'permit (principal, action == Foedus::Action::"sell", resource);'],
    ['have a slot', 'permit (principal == ?principal, action, resource);'],
    ['share an id', '@id("a") permit (principal, action, resource); @id("a") forbid (principal, action, resource);'],
  ])('are refused when they %s', (_, text) => {
    expect(() => cedarRules({ name: 'x', text })).toThrow(Unreadable);
  });

  test('have the digest of their text', async () => {
    const [a, b, c] = await Promise.all([
      judge('permit (principal, action, resource);', useRequest()),
      judge('permit (principal, action, resource);', useRequest()),
      judge('permit (principal, action, resource); // more', useRequest()),
    ]);
    expect(a.localRules[0]?.digest).toBe(b.localRules[0]?.digest);
    expect(a.localRules[0]?.digest).not.toBe(c.localRules[0]?.digest);
  });
});
