import { ENFORCEMENTS, enforceability, parsePolicy, PolicyError, type Enforcement } from '@foedus/usage-policies';

/**
 * Why this node does not bind itself to a policy, by what its operator refuses; undefined where nothing is in the way.
 *
 * @param refuse labels of the report on enforceability
 */
export function refusalOf(policy: Record<string, unknown>, refuse: readonly Enforcement[]): string | undefined {
  if (refuse.length === 0) return undefined;
  let rules;
  try {
    ({ rules } = enforceability(parsePolicy(policy)));
  } catch (error) {
    if (error instanceof PolicyError) return `The policy cannot be read: ${error.message}`;
    throw error;
  }
  const parts = rules.flatMap((rule) => rule.parts).filter((part) => refuse.includes(part.enforcement));
  const worst = ENFORCEMENTS.findLast((each) => parts.some(({ enforcement }) => enforcement === each));
  const first = parts.find(({ enforcement }) => enforcement === worst);
  return first && `This node refuses rules that are ${LABELS[first.enforcement]}: ${first.text}`;
}

const LABELS: Readonly<Record<Enforcement, string>> = {
  'enforced-by-provider': 'enforced by the provider',
  'enforced-by-consumer': "enforced by the consumer's node",
  'evidence-only': 'evidence only',
  'not-understood': 'not understood',
};
