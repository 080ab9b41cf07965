/** `npm run test:crash`: the whole campaign. Ends with 1 when anything was lost or doubled. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';

const { values } = parseArgs({
  options: {
    trades: { type: 'string', default: '200' },
    kills: { type: 'string', default: '10' },
    'in-flight': { type: 'string', default: '16' },
    seed: { type: 'string', default: String(randomInt(1_000_000)) },
  },
});
const seed = Number(values.seed);
const trades = Number(values.trades);
console.log(`${trades} negotiations and transfers, each side killed ${values.kills} times; --seed ${seed}`);
const started = performance.now();
const report = await runCampaign({
  trades,
  kills: Number(values.kills),
  inFlight: Number(values['in-flight']),
  seed,
  progress: (line) => console.log(`  ${line}`),
});
const { faults, kills, negotiations, agreements, transfers } = report;
console.log(
  `\nAfter ${((performance.now() - started) / 1000).toFixed(0)} s and ${kills} kills: ` +
    `${negotiations} negotiations, ${agreements} agreements, ${transfers} transfers.`,
);
for (const fault of faults) console.error(`FAULT ${fault}`);
console.log(faults.length === 0 ? 'Nothing was lost, nothing happened twice.' : `${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
