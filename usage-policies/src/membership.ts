/** Which assets, parties, places and values are part of which (`odrl:partOf`). */
import type { Truth, UsageState } from './model.ts';
import { spend, type Evaluation } from './operands/operand.ts';

/**
 * Whether something is part of a collection, directly or through other collections. A thing is part of itself.
 *
 * Whoever gives memberships gives all of them: what they do not say is not so.
 *
 * @param untold what to answer where no memberships are given at all
 */
export function isPartOf(
  member: string,
  whole: string,
  state: UsageState,
  evaluation: Evaluation,
  untold: Truth,
): Truth {
  if (member === whole) return 'holds';
  const { memberships } = state;
  if (memberships === undefined) return untold;
  const seen = new Set<string>([member]);
  // A set is iterated over what is added to it meanwhile; what was seen is not added again, so a circle ends too.
  for (const at of seen) {
    if (!Object.hasOwn(memberships, at)) continue;
    for (const collection of memberships[at] ?? []) {
      spend(evaluation, 1);
      if (collection === whole) return 'holds';
      seen.add(collection);
    }
  }
  return 'fails';
}

/** Combines truths as `or`: one that holds is enough. */
export function any(truths: readonly Truth[]): Truth {
  if (truths.includes('holds')) return 'holds';
  return truths.includes('unknown') ? 'unknown' : 'fails';
}

/** Combines truths as `and`: all must hold. */
export function all(truths: readonly Truth[]): Truth {
  if (truths.includes('fails')) return 'fails';
  return truths.includes('unknown') ? 'unknown' : 'holds';
}
