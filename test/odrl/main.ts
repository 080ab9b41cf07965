/** `npm run conformance:odrl`: every case of every suite, and a table of what became of them. */
import { ERRATA, formalSemantics } from './formal-semantics.ts';
import { force } from './force.ts';
import { ids } from './ids.ts';
import { SUITES, present, type Suite } from './suites.ts';

if (!present) {
  const message = `The suites are not at ${SUITES}`;
  // A build server that has lost its suites must not pass for one that has run them.
  if (process.env['CI'] !== undefined) throw new Error(message);
  console.log(`skipped: ${message}`);
  process.exit(0);
}

const suites: readonly Suite[] = [force, formalSemantics, ids];
const results = suites.map((suite) => ({ suite, outcomes: suite.run() }));
for (const { suite, outcomes } of results) {
  console.log(`\n${suite.title}`);
  for (const { name, faults } of outcomes) {
    console.log(`  ${faults.length === 0 ? 'ok  ' : 'FAIL'} ${name}`);
    for (const fault of faults) console.log(`         ${fault}`);
  }
}
console.log('\nRead as what they must mean in the W3C examples:');
for (const erratum of ERRATA) console.log(`  ${erratum}`);

const rows = results.map(({ suite, outcomes }) => {
  const good = outcomes.filter(({ faults }) => faults.length === 0).length;
  return [suite.title, `${good}/${outcomes.length}`, suite.mode] as const;
});
const widest = (column: 0 | 1) => Math.max(...rows.map((row) => row[column].length));
console.log();
for (const [title, score, mode] of rows) {
  console.log(`${title.padEnd(widest(0))}  ${score.padStart(widest(1))}  ${mode}`);
}
if (results.some(({ outcomes }) => outcomes.length === 0 || outcomes.some(({ faults }) => faults.length > 0))) {
  process.exitCode = 1;
}
