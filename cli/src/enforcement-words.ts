import { enforceability, parsePolicy, PolicyError } from '@foedus/usage-policies';

const UNENFORCED = {
  'evidence-only': 'evidence only',
  'not-understood': 'NOT UNDERSTOOD, so it permits nothing',
} as const;

/**
 * What of a policy nobody enforces, for a person about to publish or to accept it.
 *
 * @returns one line for each such part; none where all of it is enforced, one with the fault for what is no policy
 */
export function unenforced(policy: Readonly<Record<string, unknown>>): string[] {
  try {
    const { rules } = enforceability(parsePolicy(policy));
    return rules
      .flatMap(({ parts }) => parts)
      .flatMap(({ enforcement, text }) =>
        enforcement === 'evidence-only' || enforcement === 'not-understood'
          ? [`${UNENFORCED[enforcement]}: ${text}`]
          : [],
      );
  } catch (error) {
    if (error instanceof PolicyError) return [`it cannot be read: ${error.message}`];
    throw error;
  }
}
