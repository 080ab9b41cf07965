import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { instantiate, type OfferJson } from '@foedus/usage-policies';
import { airports, home, type Space } from '../space/layout.ts';
import { operatorOf } from './operators.ts';
import { delta, purposes } from './plan.ts';

/** A data set's id in the catalog: its owner's, then its name. */
export const datasetId = (airport: string): string => `did:web:${airport}.example#departures`;

const trainedColumns = ['date', 'delay', 'distance', 'destination'];
const farAway = '2099-01-01T00:00:00Z';

/**
 * Publishes each airport's departures and its offers, as the airport's own data engineer would: an asset, policies from
 * templates, and contract definitions. Publishing again replaces what has the same id; agreements stay as signed.
 *
 * @param terms `shortContractEnds`: end of the contract `rows-for-seconds`; `epsilonLimits`: total ε by airport
 */
export async function publishOffers(
  space: Space,
  terms: { shortContractEnds?: Date; epsilonLimits?: Readonly<Record<string, number>> } = {},
): Promise<void> {
  for (const { name, title } of airports) {
    const operator = operatorOf(home(space, name));
    await operator.putAsset({
      id: datasetId(name),
      title: `Departures from ${title}, January to June 2001`,
      source: { type: 'parquet', path: home(space, name).flights },
      formats: ['HttpData-PULL', 'FederatedTraining-PUSH'],
    });
    const offer = async (id: string, policy: unknown): Promise<void> => {
      await operator.putPolicy({ id, policy: policy as Record<string, unknown> });
      await operator.putContractDefinition({ id, assets: [datasetId(name)], policy: id });
    };
    await offer('rows-of-march', instantiate(await template('demo', 'rows-of-march'), {}));
    if (terms.shortContractEnds !== undefined) {
      const parameters = {
        purposes: [purposes.optimisation],
        columns: ['date', 'delay'],
        until: terms.shortContractEnds,
      };
      await offer('rows-for-seconds', instantiate(await template('library', 'read-rows-until'), parameters));
    }
    const training = {
      columns: trainedColumns,
      until: farAway,
      rounds: 100,
      minimumCohort: 3,
      metrics: ['auc', 'logLoss'],
    };
    await offer(
      'train-to-compare',
      underMasks(
        instantiate(await template('library', 'train-without-noise'), { ...training, purposes: [purposes.research] }),
      ),
    );
    const epsilon = terms.epsilonLimits?.[name];
    if (epsilon === undefined) continue;
    await offer(
      'train-with-budget',
      underMasks(
        instantiate(await template('library', 'train-with-privacy-budget'), {
          ...training,
          purposes: [purposes.optimisation],
          epsilon,
          delta,
        }),
      ),
    );
  }
}

const SECURE_AGGREGATION = 'https://w3id.org/foedus/policy#secureAggregation';

/** The same offer, but only with secure aggregation: the coordinator never gets this airport's update. */
function underMasks(offer: OfferJson): OfferJson {
  const required = { leftOperand: SECURE_AGGREGATION, operator: 'eq', rightOperand: 'required' };
  const permissions = offer['permission'] as { readonly constraint?: readonly object[] }[];
  return {
    ...offer,
    permission: permissions.map((rule) => ({ ...rule, constraint: [...(rule.constraint ?? []), required] })),
  };
}

async function template(place: 'demo' | 'library', name: string): Promise<unknown> {
  const url =
    place === 'demo'
      ? new URL(`../../policies/${name}.json`, import.meta.url).href
      : import.meta.resolve(`@foedus/usage-policies/library/${name}.json`);
  return JSON.parse(await readFile(fileURLToPath(url), 'utf8'));
}
