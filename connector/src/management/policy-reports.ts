import { enforceability, explain, FOEDUS_NODES, parsePolicy, PolicyError, type Policy } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import * as model from './model.ts';
import { json, operation, type Operation } from './operation.ts';

/** What a policy promises and who can keep it, for whoever is about to publish an offer or to accept one. */
export function policyReportOperations(): Operation[] {
  return [
    operation({
      tag: 'Policies',
      method: 'post',
      path: '/policies/enforceability',
      id: 'reportEnforceability',
      summary: 'Says of each rule of a policy who can enforce it',
      description: 'Of any policy, stored or not: before it is published, or before an offer is accepted.',
      scope: 'read',
      body: model.enforceabilityRequestSchema,
      answer: json(model.enforceabilityReportSchema, 'The report.'),
      errors: [],
      handle: ({ body: { policy, language, capabilities } }) =>
        model.enforceabilityReportSchema.parse(
          enforceability(
            read(policy),
            {
              provider: capabilities?.provider ?? FOEDUS_NODES.provider,
              consumer: capabilities?.consumer ?? FOEDUS_NODES.consumer,
            },
            language,
          ),
        ),
    }),
    operation({
      tag: 'Policies',
      method: 'post',
      path: '/policies/explanation',
      id: 'explainPolicy',
      summary: 'Says in plain words what a policy permits, forbids and asks for',
      scope: 'read',
      body: model.explanationRequestSchema,
      answer: json(model.explanationSchema, 'The policy in words.'),
      errors: [],
      handle: ({ body: { policy, language } }) => ({ lines: explain(read(policy), language) }),
    }),
  ];
}

function read(policy: Record<string, unknown>): Policy {
  try {
    return parsePolicy(policy);
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new FoedusError('bad-request', `The policy cannot be read: ${cause.message}`, { cause });
  }
}
