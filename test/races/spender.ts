/**
 * A process that spends until it is killed: reserves, draws, commits and refunds at random over the file in its first
 * argument, and writes a line for everything that it has let out.
 */
import { randomInt } from 'node:crypto';
import { writeSync } from 'node:fs';
import { createUsageControl } from '../../connector/src/ledger/usage-control.ts';
import { openDatabase } from '../../connector/src/store/database.ts';
import { migrations } from '../../connector/src/store/migrations/index.ts';
import { agreementOf } from '../src/agreements.ts';

const [path = ''] = process.argv.slice(2);
const usage = createUsageControl({
  database: openDatabase(path, migrations),
  agreements: { get: (id) => agreementOf([{ action: 'use' }], { id, assigner: 'did:web:node.example' }) },
  clock: () => new Date(),
});
const say = (line: string): number => writeSync(1, `${line}\n`);

say('ready');
for (let step = 0; ; step++) {
  const agreementId = `urn:agreement:${randomInt(3)}`;
  const key = `${process.pid}/${step}`;
  const { entry } = usage.reserve({ agreementId, key, request: { action: 'use' } });
  const choice = randomInt(10);
  if (choice < 2) {
    usage.refund(entry.id);
    continue;
  }
  for (let batch = randomInt(4); batch > 0; batch--) {
    const [rows, bytes] = [randomInt(1, 1_000), randomInt(1, 100_000)];
    usage.draw(entry.id, { rows, bytes });
    // Charged, so it leaves: whoever reads this line has received it.
    say(`${agreementId} ${rows} ${bytes}`);
    if (randomInt(3) === 0) usage.head(agreementId);
  }
  if (choice < 8) usage.commit(entry.id);
}
