import { checkedOffer, type OfferJson } from '../offers.ts';
import { PolicyError } from '../policy-error.ts';
import { PROFILE, USE } from '../terms.ts';
import type { Clause } from './classes.ts';

/**
 * An offer to use data under several IDS usage-control classes at once.
 *
 * ```ts
 * idsOffer([restrictPurpose(['https://w3id.org/dpv#ResearchAndDevelopment']), restrictNumberOfUsage(10), deleteData('2027-01-01T00:00:00Z')]);
 * ```
 *
 * @param clauses at most one of them says who is permitted, at most one what data, at most one what is done with them
 * @throws PolicyError for clauses that contradict each other or that this package cannot read
 */
export function idsOffer(clauses: readonly Clause[], options: { readonly id?: string } = {}): OfferJson {
  const one = <T>(what: string, values: readonly (T | undefined)[]): T | undefined => {
    const [value, ...others] = values.filter((each) => each !== undefined);
    if (others.length > 0) throw new PolicyError('$', `two clauses say ${what}: one permission has only one`);
    return value;
  };
  const assignee = one(
    'who may use the data',
    clauses.map((clause) => clause.assignee),
  );
  const target = one(
    'which data may be used',
    clauses.map((clause) => clause.target),
  );
  const constraint = clauses.flatMap(({ constraints = [] }) => constraints);
  const duty = clauses.flatMap(({ duties = [] }) => duties);
  const obligation = clauses.flatMap(({ obligations = [] }) => obligations);
  const action = one(
    'what is permitted',
    clauses.map((clause) => clause.action),
  );
  const permission = {
    action: action ?? USE,
    ...(assignee !== undefined && { assignee }),
    ...(target !== undefined && { target }),
    ...(constraint.length > 0 && { constraint }),
    ...(duty.length > 0 && { duty }),
  };
  return checkedOffer({
    ...(options.id !== undefined && { '@id': options.id }),
    '@type': 'Offer',
    profile: PROFILE,
    permission: [permission],
    ...(obligation.length > 0 && { obligation }),
  });
}
