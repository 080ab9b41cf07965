/**
 * Complete contract negotiations between two connectors: two processes with mutual TLS and durable stores, driven over
 * the consumer's operator API. A negotiation is complete when the consumer's side is FINALIZED: both have signed, both
 * have verified, both have stored it.
 *
 * It is measured beside its floor on the same machine in the same run: what the cryptography and the durable commits of
 * one negotiation cost alone, in one process without any message.
 */
import { parseArgs } from 'node:util';
import { startConnectorPair } from '../../test/src/connector-pair.ts';
import { createDriver } from './driver.ts';
import { measureFloor } from './floor.ts';
import { printTable, type Row } from './table.ts';

const { values } = parseArgs({
  options: {
    'in-flight': { type: 'string', default: '1,8,64' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    /** Folder for a CPU profile of each side. */
    profile: { type: 'string' },
  },
});
const seconds = Number(values.seconds);

const floor = await measureFloor();
await using pair = await startConnectorPair({
  nodeOptions: (side) =>
    values.profile === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`, `--cpu-prof-name=${side}.cpuprofile`],
});
const drive = createDriver(pair);
await drive({ inFlight: 8, seconds: Math.min(3, seconds) });

const rows: Row[] = [];
for (const inFlight of values['in-flight'].split(',').map(Number)) {
  const runs = [];
  for (let round = 0; round < Number(values.rounds); round += 1) runs.push(await drive({ inFlight, seconds }));
  rows.push({ inFlight, runs });
}
printTable(floor, rows);
