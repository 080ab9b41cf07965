import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTransact, openDatabase } from '@foedus/connector/store';
import { createPublications } from '../../connector/src/catalog/publications.ts';
import { migrations } from '../../connector/src/store/migrations/index.ts';

export interface CatalogSize {
  readonly datasets: number;
  readonly policies: number;
  /** The data sets are shared out among so many. */
  readonly definitions: number;
}

const FOEDUS = 'https://w3id.org/foedus/policy#';

/**
 * Fills a connector's store as its operator's API would, in one transaction: data sets, offers with three permissions
 * of four constraints each, and an access policy on every second contract definition; every fifth names an audience of
 * ten.
 *
 * @param caller sees all of it
 */
export async function fillCatalog(dataDir: string, size: CatalogSize, caller: string): Promise<void> {
  const file = join(dataDir, 'rows.parquet');
  await using database = openDatabase(join(dataDir, 'connector.sqlite'), migrations);
  const transact = createTransact(database);
  const { assets, policies, contractDefinitions } = createPublications(database, transact, () => new Date());
  writeFileSync(file, '');
  transact(() => {
    for (let index = 0; index < size.policies; index += 1) {
      policies.put({ id: `policy-${index}`, policy: offerPolicy(index) });
      policies.put({ id: `access-${index}`, policy: accessPolicy(caller) });
    }
    for (let index = 0; index < size.datasets; index += 1) {
      assets.put({
        id: datasetId(index),
        title: `Flights of airline ${index % 97}, month ${(index % 12) + 1}`,
        description: `Scheduled and actual times of departure and arrival, one row a flight; part ${index} of the archive.`,
        source: { type: 'parquet', path: file },
        formats: index % 3 === 0 ? ['HttpData-PULL', 'FederatedTraining-PUSH'] : ['HttpData-PULL'],
      });
    }
    for (let index = 0; index < size.definitions; index += 1) {
      const members = Array.from({ length: Math.ceil((size.datasets - index) / size.definitions) }, (_, member) =>
        datasetId(index + member * size.definitions),
      );
      const others = Array.from({ length: 9 }, (_, other) => `did:web:member-${other}.example`);
      contractDefinitions.put({
        id: `definition-${index}`,
        assets: members,
        policy: `policy-${index % size.policies}`,
        ...(index % 2 === 0 ? { accessPolicy: `access-${index % size.policies}` } : {}),
        ...(index % 5 === 0 ? { audience: [...others, caller] } : {}),
      });
    }
  });
}

export const datasetId = (index: number): string => `urn:dataset:${String(index).padStart(6, '0')}`;

function offerPolicy(index: number): Record<string, unknown> {
  const constraint = [
    { leftOperand: 'dateTime', operator: 'lteq', rightOperand: '2090-01-01T00:00:00Z' },
    { leftOperand: 'purpose', operator: 'isAnyOf', rightOperand: ['urn:purpose:research', `urn:purpose:${index}`] },
    { leftOperand: `${FOEDUS}columns`, operator: 'isPartOf', rightOperand: ['DEP_DELAY', 'DISTANCE', 'CARRIER'] },
    { leftOperand: 'count', operator: 'lteq', rightOperand: '1000' },
  ];
  return {
    '@context': 'http://www.w3.org/ns/odrl.jsonld',
    '@type': 'Offer',
    permission: [1, 2, 3].map(() => ({ action: 'use', constraint })),
  };
}

function accessPolicy(assignee: string): Record<string, unknown> {
  const until = { leftOperand: 'dateTime', operator: 'lt', rightOperand: '2090-01-01T00:00:00Z' };
  return { '@type': 'Set', permission: [{ action: `${FOEDUS}access`, assignee, constraint: [until] }] };
}
