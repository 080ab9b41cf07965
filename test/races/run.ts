/** `npm run test:races`: the whole of it. Ends with 1 when anything was served that was not agreed, or not charged. */
import { parseArgs } from 'node:util';
import { killSpenders } from './kills.ts';
import { raceForUses } from './uses.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1000' },
    clients: { type: 'string', default: '64' },
    uses: { type: 'string', default: '3' },
    kills: { type: 'string', default: '200' },
  },
});
const [rounds, clients, uses, kills] = [values.rounds, values.clients, values.uses, values.kills].map(Number) as [
  number,
  number,
  number,
  number,
];
console.log(`${clients} clients race for the last ${uses} uses, ${rounds} rounds, at two connectors over one store`);
const race = await raceForUses({ rounds, clients, uses, progress: (line) => console.log(`  ${line}`) });
console.log(
  `  ${race.served} uses served of ${rounds * uses} agreed, ${race.refused} refused, in ${race.seconds.toFixed(0)} s`,
);
console.log(`two processes spend over one ledger file and are killed, ${kills} kills`);
const killed = await killSpenders({ kills, longest: 60 });
console.log(
  `  ${killed.entries} entries, ${killed.elements} elements; ${killed.received} rows received, ${killed.charged} charged`,
);
const faults = [...race.faults, ...killed.faults];
for (const fault of faults) console.error(`FAULT ${fault}`);
console.log(faults.length === 0 ? 'Nothing was served that was not agreed and charged.' : `${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
