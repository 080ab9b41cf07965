/** Many clients ask for the last uses of an agreement at once, at two connector processes over one data folder. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '@foedus/certs';
import { createOperatorClient, type OperatorClient } from '@foedus/connector/operator-client';
import { createAgreementStore } from '../../connector/src/agreement/agreement-store.ts';
import { createLedgerReader } from '../../connector/src/ledger/ledger-reader.ts';
import { openDatabase } from '../../connector/src/store/database.ts';
import { migrations } from '../../connector/src/store/migrations/index.ts';
import { agreementOf, countAtMost, may } from '../src/agreements.ts';
import { prepareConnector } from '../src/connector-process.ts';

export interface RaceReport {
  readonly rounds: number;
  /** Uses that were granted and committed. */
  readonly served: number;
  readonly refused: number;
  /** In words; none: exactly the agreed uses were served in every round. */
  readonly faults: readonly string[];
  readonly seconds: number;
}

/**
 * In each round all clients ask at once for a use of an agreement that has only `uses` of them, half of the clients at
 * each process. Who is granted one commits it, as who is served.
 */
export async function raceForUses({
  rounds,
  clients,
  uses,
  progress = () => undefined,
}: {
  rounds: number;
  clients: number;
  uses: number;
  progress?: (line: string) => void;
}): Promise<RaceReport> {
  const folder = await mkdtemp(join(tmpdir(), 'foedus-races-'));
  const dataDir = join(folder, 'data');
  await mkdir(dataDir);
  const ids = Array.from({ length: rounds }, (_, round) => `urn:agreement:${round}`);
  const open = () => openDatabase(join(dataDir, 'connector.sqlite'), migrations);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  {
    await using database = open();
    const agreements = createAgreementStore(database);
    database.transaction(() => {
      for (const id of ids)
        agreements.insert(agreementOf([may('use', countAtMost(uses))], { id, assigner: 'did:web:node.example' }));
    });
  }
  const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Races' });
  const operators: OperatorClient[] = [];
  for (const half of ['a', 'b']) {
    const node = stack.use(await prepareConnector(authority, 'node', join(folder, half), { settings: { dataDir } }));
    await node.start();
    operators.push(createOperatorClient({ url: node.managementUrl, token: await node.token() }));
  }

  const started = performance.now();
  const faults: string[] = [];
  let [served, refused] = [0, 0];
  const ask = async (agreementId: string, client: number): Promise<string> => {
    const operator = operators[client % operators.length]!;
    try {
      const { entry } = await operator.reserve({ agreementId, key: `client/${client}`, request: { action: 'use' } });
      return (await operator.commit(entry.id)).state;
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  };
  for (const [round, id] of ids.entries()) {
    const outcomes = await Promise.all(Array.from({ length: clients }, (_, client) => ask(id, client)));
    const granted = outcomes.filter((outcome) => outcome === 'committed').length;
    const exhausted = outcomes.filter((outcome) => outcome === 'budget-exhausted').length;
    served += granted;
    refused += exhausted;
    if (granted !== uses) faults.push(`round ${round}: ${granted} of ${uses} uses were served`);
    if (granted + exhausted !== clients) {
      faults.push(`round ${round}: ${[...new Set(outcomes)].join(', ')}`);
    }
    if ((round + 1) % 50 === 0) progress(`${round + 1} rounds`);
  }
  const seconds = (performance.now() - started) / 1000;

  await using database = open();
  const reader = createLedgerReader(database);
  for (const id of ids) {
    const { broken, spent } = reader.verify(id);
    if (broken !== undefined) faults.push(`${id}: ${broken.what}`);
    if (spent.uses !== uses) faults.push(`${id}: ${spent.uses} uses are in the ledger`);
  }
  return { rounds, served, refused, faults, seconds };
}
