/** `npm run test:crash-streams`: kills a provider while it sends. Ends with 1 when anything came that was not charged. */
import { randomInt } from 'node:crypto';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { runStreamCampaign } from './streams.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    streams: { type: 'string', default: '6' },
    seed: { type: 'string', default: String(randomInt(1_000_000)) },
  },
});
console.log(
  `${values.kills} kills, each while ${values.streams} answers and a push are under way; --seed ${values.seed}`,
);
const { received, charged, pushed, chargedForPushes } = await runStreamCampaign({
  kills: Number(values.kills),
  streams: Number(values.streams),
  seed: Number(values.seed),
  progress: (line) => console.log(`  ${line}`),
});
console.table({ received, charged, pushed, 'charged for pushes': chargedForPushes });
const unpaid = (['uses', 'rows', 'bytes'] as const).filter((meter) => received[meter] > charged[meter]);
for (const meter of unpaid) console.error(`FAULT more ${meter} came than were charged`);
const exact = isDeepStrictEqual(pushed, chargedForPushes);
if (!exact) console.error('FAULT what was pushed is not what was charged for it');
process.exitCode = unpaid.length === 0 && exact ? 0 : 1;
