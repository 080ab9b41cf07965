import type { Policy } from '../model.ts';
import type { PolicyOptions } from '../options.ts';
import { exclude, impliesCondition } from './conditions.ts';
import { mayMeet, place, scopeWithin, type PlacedPolicy, type PlacedRule } from './rules.ts';

/** A permission of one policy and a prohibition of the other that meet in some use. Positions among their kind. */
export interface Conflict {
  readonly permission: { readonly in: 'a' | 'b'; readonly index: number };
  readonly prohibition: { readonly in: 'a' | 'b'; readonly index: number };
  readonly action: string;
  /** `always`: whatever the permission permits, the prohibition forbids. `sometimes`: it could not be excluded. */
  readonly extent: 'always' | 'sometimes';
}

/**
 * Where one policy permits what the other forbids. `conflictsBetween(a, a)` finds what contradicts itself, twice.
 *
 * Sound in that no conflict is missed: what is not listed cannot happen. `always` is proven; `sometimes` may be a
 * conflict that never comes up, for instance between collections that have no member in common.
 */
export function conflictsBetween(a: Policy, b: Policy, options: PolicyOptions = {}): readonly Conflict[] {
  const [placedA, placedB] = [place(a, options), place(b, options)];
  return [...conflictsOf(placedA, 'a', placedB, 'b'), ...conflictsOf(placedB, 'b', placedA, 'a')];
}

function conflictsOf(permitting: PlacedPolicy, a: 'a' | 'b', forbidding: PlacedPolicy, b: 'a' | 'b'): Conflict[] {
  return permitting.permissions.flatMap((permission, index) =>
    forbidding.prohibitions.flatMap((prohibition, at): Conflict[] => {
      if (!mayMeet(permission, prohibition)) return [];
      if (exclude(permission.rule.constraints, prohibition.rule.constraints)) return [];
      return [
        {
          permission: { in: a, index },
          prohibition: { in: b, index: at },
          action: permission.rule.action,
          extent: alwaysForbids(prohibition, permission) ? 'always' : 'sometimes',
        },
      ];
    }),
  );
}

/** A prohibition that cannot be checked forbids whatever its action is; a permission that cannot grants nothing. */
function alwaysForbids(prohibition: PlacedRule, permission: PlacedRule): boolean {
  return (
    prohibition.checked &&
    permission.checked &&
    prohibition.actions.includes(prohibition.action, permission.action) &&
    scopeWithin(permission, prohibition) &&
    prohibition.rule.constraints.every((each) => impliesCondition(permission.rule.constraints, each))
  );
}
