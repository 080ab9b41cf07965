import { ACCESS, compile, decide, parsePolicy, PolicyError, type CompiledPolicy } from '@foedus/usage-policies';
import { FoedusError } from '../errors.ts';
import type { PolicyDefinition } from '../management/model.ts';
import type { Database } from '../store/database.ts';

/** Compiled policies kept in memory: a few kilobytes each. */
const MOST_POLICIES = 1_000;

/** Nothing is charged for access, so nothing can be spent. */
const UNSPENT = { spent: { uses: 0, rounds: 0, epsilon: 0, rows: 0, bytes: 0 } };

/**
 * Decides who may see what a contract definition offers, by the definition's access policy.
 *
 * @returns a function from a participant id to the ids of all access policies that permit it access now. A policy that
 *   cannot be read permits nothing.
 */
export function createAccessDecisions({ sql }: Database, clock: () => Date): (caller: string) => string[] {
  const used = sql.prepare(
    'SELECT id, body FROM policy p WHERE EXISTS (SELECT 1 FROM contract_definition d WHERE d.access_policy_id = p.id)',
  );
  const cache = new Map<string, { readonly body: string; readonly compiled: CompiledPolicy | undefined }>();
  const compiledOf = ({ id, body }: { id: string; body: string }): CompiledPolicy | undefined => {
    const cached = cache.get(id);
    if (cached?.body === body) return cached.compiled;
    if (cache.size >= MOST_POLICIES) cache.clear();
    const compiled = read((JSON.parse(body) as PolicyDefinition).policy);
    cache.set(id, { body, compiled });
    return compiled;
  };
  return (caller) => {
    const at = clock();
    const granting = (used.all() as { id: string; body: string }[]).filter((policy) => {
      const compiled = compiledOf(policy);
      return compiled && decide(compiled, { action: ACCESS, assignee: caller, at }, UNSPENT).permit;
    });
    return granting.map(({ id }) => id);
  };
}

function read(policy: unknown): CompiledPolicy | undefined {
  try {
    return compile(parsePolicy(policy));
  } catch (error) {
    if (error instanceof PolicyError) return undefined;
    throw error;
  }
}

/**
 * Refuses what could never permit access, when it is written and not when somebody wonders why an offer is not seen.
 *
 * @throws FoedusError `bad-request`
 */
export function checkAccessPolicy({ id, policy }: PolicyDefinition): void {
  const compiled = read(policy);
  if (compiled?.type === 'Set' && compiled.permissions.some(({ action }) => action === ACCESS)) return;
  throw new FoedusError(
    'bad-request',
    `The policy ${id} cannot be an access policy: it must be an ODRL Set (no Offer) with a permission for the action ${ACCESS}.`,
  );
}
