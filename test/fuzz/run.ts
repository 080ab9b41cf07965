import { parseArgs } from 'node:util';
import { loadDspSchemas } from '../src/dsp-schemas.ts';
import { hasGrown, runCampaign } from './campaign.ts';
import { createStage } from './stage.ts';
import { knock } from './wire.ts';

/** `npm run test:fuzz [-- --messages N --seed N]`: the long version of fuzz.test.ts. */
const { values } = parseArgs({
  options: { messages: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
});
const schemas = loadDspSchemas();
if (!schemas) process.exit(1);
await using stage = await createStage();
for (const [way, outcome] of Object.entries(await knock(stage.bystander.identity, stage.connector.protocolUrl))) {
  console.log(`${way}: ${outcome}`);
  if (outcome !== 'refused') process.exitCode = 1;
}
const messages = Number(values.messages);
const report = await runCampaign(stage, {
  messages,
  seed: Number(values.seed),
  concurrency: 16,
  batch: Math.min(5_000, Math.ceil(messages / 4)),
  schemas,
  progress: (line) => console.log(line),
  found: ({ seed, what, request, answer }) =>
    console.log(`\nseed ${seed}: ${what}\n  ${request ?? ''}\n  ${answer ?? ''}\n`),
});
console.log(`\n${report.sent} messages in ${report.seconds.toFixed(1)} s; ${report.accepted} accepted`);
console.table(report.statuses);
console.log('accepted although the published schemas object, after compact terms:');
console.table(report.liberties);
const middle = report.memory[Math.floor(report.memory.length / 2)]!;
const end = report.memory.at(-1)!;
console.log(`resident: ${middle.toFixed(0)} MiB in the middle, ${end.toFixed(0)} MiB at the end`);
const grown = hasGrown(report.memory);
if (grown) console.log('memory has grown');
console.log(`\n${report.findings.length} findings`);
if (report.findings.length > 0 || grown) process.exitCode = 1;
