import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { policyDigest } from '../digest.ts';
import { Unreadable } from '../policy-error.ts';
import { shown } from '../wording.ts';
import type { LocalRules, LocalVerdict, PermittedUse } from './local-rules.ts';
import { actionName } from './use-document.ts';

const LARGEST_RULES = 1_000_000;

/** What a Cedar rule can speak of. Rules are checked against it when they are read, requests when they are judged. */
function schemaFor(actions: readonly string[]): string {
  return `namespace Foedus {
  entity Participant;
  entity DataSet;
  type Spent = { uses: Long, rounds: Long, epsilon: decimal, rows?: Long, bytes?: Long };
  type Training = {
    round: Long, planHash: String, cohort: Long, metrics: Set<String>, epsilon?: decimal, delta?: String,
    evaluation?: Bool, modelHash?: String, secureAggregation?: Bool, privacyUnit?: String
  };
  action ${actions.map((action) => JSON.stringify(action)).join(', ')} appliesTo {
    principal: [Participant], resource: [DataSet],
    context: {
      agreement: String, at: datetime, purpose?: String, columns?: Set<String>, spent: Spent, training?: Training
    }
  };
}`;
}

/**
 * Local rules in Cedar. As always in Cedar, a use is refused unless some `permit` applies and no `forbid` does; a
 * rule that fails while it is evaluated refuses, too.
 *
 * ```cedar
 * permit (principal, action, resource);
 * @id("office-hours") @reason("Data leaves between 6 and 22 o'clock UTC only.")
 * forbid (principal, action, resource) unless {
 *   context.at.toTime() >= duration("6h") && context.at.toTime() < duration("22h")
 * };
 * ```
 *
 * Principal is the consumer (`Foedus::Participant::"did:web:…"`), resource the data set, action `use`, `train` or
 * another ODRL action by its short name. `context.columns` is absent where all columns are to leave; ε is a decimal
 * rounded up to four digits, δ a text.
 *
 * @param text the rules, at most a million characters
 * @param actions short names of the actions that rules may name. @default use and train
 * @throws Unreadable for rules that Cedar cannot read or that name what no request has
 */
export function cedarRules(options: {
  readonly name: string;
  readonly text: string;
  readonly actions?: readonly string[];
}): LocalRules {
  const { name, text } = options;
  const schema = schemaFor(options.actions ?? ['use', 'train']);
  if (text.length > LARGEST_RULES) throw new Unreadable(`${name} is longer than ${LARGEST_RULES} characters`);
  const rules = readRules(name, text);
  const policies = { staticPolicies: Object.fromEntries([...rules].map(([id, { source }]) => [id, source])) };
  const checked = cedar.validate({ schema, policies, validationSettings: { mode: 'strict' } });
  if (checked.type === 'failure') throw new Unreadable(`${name}: ${sentences(checked.errors)}`);
  const [wrong] = checked.validationErrors;
  if (wrong !== undefined) throw new Unreadable(`${name}: ${sentences([wrong.error])}`);

  const digest = policyDigest({ language: 'cedar', text });
  // Cedar keeps parsed rules by name, for all instances of this thread.
  const id = policyDigest({ digest, schema });
  for (const answer of [cedar.preparsePolicySet(id, policies), cedar.preparseSchema(id, schema)]) {
    if (answer.type === 'failure') throw new Unreadable(`${name}: ${sentences(answer.errors)}`);
  }

  return {
    name,
    async judge(use): Promise<LocalVerdict> {
      const answer = cedar.statefulIsAuthorized({
        ...requestOf(use),
        preparsedPolicySetId: id,
        preparsedSchemaName: id,
      });
      if (answer.type === 'failure') return { permit: false, reasons: [sentences(answer.errors)], digest };
      const { decision, diagnostics } = answer.response;
      const failed = diagnostics.errors.map(
        ({ policyId, error }) => `Rule ${shown(policyId)} could not be evaluated: ${shown(error.message)}`,
      );
      if (failed.length > 0) return { permit: false, reasons: failed, digest };
      if (decision === 'allow') return { permit: true, reasons: [], digest };
      const forbidding = diagnostics.reason.map((rule) => {
        const reason = rules.get(rule)?.reason;
        return reason === undefined ? `Rule ${shown(rule)} forbids it.` : shown(reason);
      });
      return { permit: false, reasons: forbidding.length > 0 ? forbidding : ['No rule permits it.'], digest };
    },
  };
}

interface Rule {
  readonly source: string;
  readonly reason: string | undefined;
}

/** Rules by the name in their annotation `@id`, or by their number. */
function readRules(name: string, text: string): ReadonlyMap<string, Rule> {
  const parts = cedar.policySetTextToParts(text);
  if (parts.type === 'failure') throw new Unreadable(`${name}: ${sentences(parts.errors)}`);
  if (parts.policy_templates.length > 0) throw new Unreadable(`${name}: templates with slots are not supported`);
  if (parts.policies.length === 0) throw new Unreadable(`${name} has no rule: it would refuse every use`);
  const rules = new Map<string, Rule>();
  for (const [index, source] of parts.policies.entries()) {
    const json = cedar.policyToJson(source);
    const annotations = json.type === 'success' ? json.json.annotations : undefined;
    const id = annotations?.['id'] ?? `${index + 1}`;
    if (rules.has(id)) throw new Unreadable(`${name}: two rules have the id ${shown(id)}`);
    rules.set(id, { source, reason: annotations?.['reason'] });
  }
  return rules;
}

function requestOf({ agreementId, dataSet, request, state }: PermittedUse) {
  const { action, assignee, at, purpose, columns, training } = request;
  const { epsilon, ...counted } = state.spent;
  return {
    principal: { type: 'Foedus::Participant', id: assignee },
    action: { type: 'Foedus::Action', id: actionName(action) },
    resource: { type: 'Foedus::DataSet', id: dataSet },
    context: {
      agreement: agreementId,
      at: { __extn: { fn: 'datetime', arg: at.toISOString() } },
      spent: { ...counted, epsilon: decimal(epsilon) },
      ...(purpose !== undefined && { purpose }),
      ...(columns !== undefined && { columns: [...columns] }),
      ...(training !== undefined && { training: trainingOf(training) }),
    },
    validateRequest: true,
    entities: [],
  };
}

function trainingOf({
  round,
  planHash,
  cohort,
  metrics,
  privacyLoss,
  evaluation,
  modelHash,
  secureAggregation,
  privacyUnit,
}: NonNullable<PermittedUse['request']['training']>) {
  return {
    round,
    planHash,
    cohort,
    metrics: [...metrics],
    ...(evaluation !== undefined && { evaluation }),
    ...(modelHash !== undefined && { modelHash }),
    ...(secureAggregation !== undefined && { secureAggregation }),
    ...(typeof privacyUnit === 'string' && { privacyUnit }),
    ...(privacyLoss !== null && { epsilon: decimal(privacyLoss.epsilon), delta: String(privacyLoss.delta) }),
  };
}

/** Cedar's decimals have four digits. Rounded up: a rule about at most so much must not see less than there is. */
function decimal(value: number) {
  return { __extn: { fn: 'decimal', arg: (Math.ceil(value * 10_000) / 10_000).toFixed(4) } };
}

function sentences(errors: readonly cedar.DetailedError[]): string {
  return errors
    .slice(0, 5)
    .map(({ message, help }) => shown(help === null ? message : `${message} (${help})`))
    .join('; ');
}
