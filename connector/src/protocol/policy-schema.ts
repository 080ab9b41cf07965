import { z } from 'zod';

/**
 * ODRL policies as DSP messages carry them (negotiation/contract-schema.json of 2025-1), after `compactTerms`.
 *
 * Unknown properties are kept, not dropped: whether a rule with an unknown property can be enforced is decided by the
 * usage-policies package, which must see it.
 */

export const identifier = z.string().min(1).max(2048);
const list = <T extends z.ZodType>(item: T) => z.array(item).max(1_000);

const operators = 'eq gt gteq lteq hasPart isA isAllOf isAnyOf isNoneOf isPartOf lt term-lteq neq'.split(' ');
const logical = ['and', 'andSequence', 'or', 'xone'] as const;

interface Constraint {
  [key: string]: unknown;
}
const constraintSchema: z.ZodType<Constraint> = z.lazy(() => {
  const inner = list(constraintSchema).optional();
  return z
    .looseObject({
      and: inner,
      andSequence: inner,
      or: inner,
      xone: inner,
      leftOperand: identifier.optional(),
      operator: z.enum(operators).optional(),
      rightOperand: z
        .union([z.string(), z.array(z.unknown()), z.record(z.string(), z.unknown())], {
          error: 'a right operand is a string, an object or an array; write numbers as strings',
        })
        .optional(),
    })
    .superRefine((constraint, context) => {
      const used = logical.filter((key) => constraint[key] !== undefined);
      if (used.length > 1) context.addIssue(`only one of ${used.join(', ')} is allowed`);
      if (used.length > 0) return;
      for (const key of ['leftOperand', 'operator', 'rightOperand'] as const) {
        if (constraint[key] === undefined) context.addIssue({ code: 'custom', path: [key], message: 'is missing' });
      }
    });
});

const ruleSchema = z.looseObject({
  action: identifier,
  constraint: list(constraintSchema).optional(),
  target: z.undefined({ error: 'a rule has no target of its own: the target stands beside the rules' }).optional(),
});

const policyFields = {
  '@id': identifier,
  profile: z.union([identifier, list(identifier)]).optional(),
  permission: list(ruleSchema).min(1).optional(),
  prohibition: list(ruleSchema).min(1).optional(),
  obligation: list(ruleSchema).min(1).optional(),
};
const hasRule = (policy: { permission?: unknown; prohibition?: unknown }): boolean =>
  policy.permission !== undefined || policy.prohibition !== undefined;
const noRule = 'needs at least one permission or prohibition';

/** An offer inside a ContractRequestMessage or ContractOfferMessage. */
export const messageOfferSchema = z
  .looseObject({ ...policyFields, '@type': z.literal('Offer'), target: identifier.optional() })
  .refine(hasRule, noRule);

/** An offer in a catalog: no target, the data set around it is the target. */
export const catalogOfferSchema = z
  .looseObject({ ...policyFields, '@type': z.literal('Offer').optional(), target: identifier.optional() })
  .refine(hasRule, noRule);

export const agreementSchema = z
  .looseObject({
    ...policyFields,
    '@type': z.literal('Agreement'),
    target: identifier,
    assigner: identifier,
    assignee: identifier,
    timestamp: z.string().max(100).optional(),
  })
  .refine(hasRule, noRule);

/** What an operator writes as a template for offers. */
export const policyTemplateSchema = z
  .looseObject({ ...policyFields, '@id': identifier.optional(), '@type': z.enum(['Offer', 'Set']).optional() })
  .refine(hasRule, noRule);
