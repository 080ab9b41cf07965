/**
 * Decisions by the policies of the FORCE suite, once compiled: how long one takes, and what a compiled policy keeps in
 * memory.
 *
 * A decision is measured beside a JSON.parse of the same policy, in the same rounds of the same run: the machine's
 * noise and speed cancel out of the ratio. The requests and states are those of the suite's 68 cases.
 */
import { compile, decide, parsePolicy, type CompiledPolicy } from '@foedus/usage-policies';
import { parseArgs } from 'node:util';
import { FORCE_OPTIONS, compileForce, forceCases, type ForceCase } from '../../test/odrl/force.ts';
import { SUITES, present } from '../../test/odrl/suites.ts';

if (!present) {
  console.log(`skipped: the FORCE suite is not at ${SUITES}`);
  process.exit(0);
}
const { values } = parseArgs({
  options: {
    /** Rounds; each measures every case once. */
    rounds: { type: 'string', default: '60' },
    /** Least time of one measurement, in milliseconds. */
    slice: { type: 'string', default: '4' },
  },
});
const rounds = Number(values.rounds);
const slice = Number(values.slice);

interface Subject {
  readonly name: string;
  readonly test: ForceCase;
  readonly compiled: CompiledPolicy;
  readonly json: string;
  readonly decisions: number[];
  readonly parses: number[];
}

/** What a decision came to, kept so that no compiler can leave the decisions out. */
let permitted = 0;

/** Microseconds for one call, over as many as fill a slice of time. */
function measure(work: () => void): number {
  let calls = 0;
  let batch = 1;
  const start = performance.now();
  for (;;) {
    for (let call = 0; call < batch; call++) work();
    calls += batch;
    const elapsed = performance.now() - start;
    if (elapsed >= slice) return (elapsed * 1000) / calls;
    batch *= 2;
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const subjects = forceCases().map((test): Subject => {
  const compiled = compileForce(test);
  return { name: test.name, test, compiled, json: JSON.stringify(test.policy), decisions: [], parses: [] };
});

const decideOnce = ({ compiled, test }: Subject) => {
  if (decide(compiled, test.request, test.state).permit) permitted += 1;
};
const parseOnce = ({ json }: Subject) => {
  if (JSON.parse(json) === null) permitted += 1;
};

// Until everything is compiled by the engine that runs this.
for (const subject of subjects) for (let call = 0; call < 200; call++) decideOnce(subject);
for (let round = 0; round < rounds; round++) {
  for (const subject of subjects) {
    subject.decisions.push(measure(() => decideOnce(subject)));
    subject.parses.push(measure(() => parseOnce(subject)));
  }
}

const rows = subjects.map(({ name, json, decisions, parses }) => ({
  name,
  bytes: json.length,
  decision: median(decisions),
  parse: median(parses),
}));
const show = (microseconds: number): string => `${microseconds.toFixed(2)} µs`.padStart(10);
console.log('case                               JSON bytes   decision  JSON.parse   ratio');
for (const { name, bytes, decision, parse } of rows) {
  const ratio = (decision / parse).toFixed(2).padStart(6);
  console.log(`${name.padEnd(34)}${String(bytes).padStart(11)} ${show(decision)}  ${show(parse)}  ${ratio}`);
}

const largest = Math.max(...rows.map(({ bytes }) => bytes));
const small = rows.filter(({ bytes }) => bytes < largest);
const big = rows.filter(({ bytes }) => bytes === largest);
const ratios = rows.map(({ decision, parse }) => decision / parse);
console.log(`\nmedian decision, all cases:          ${show(median(rows.map(({ decision }) => decision)))}`);
console.log(`slowest case but the largest policy: ${show(Math.max(...small.map(({ decision }) => decision)))}`);
console.log(`largest policy, slowest case:        ${show(Math.max(...big.map(({ decision }) => decision)))}`);
console.log(`median of decision / JSON.parse:     ${median(ratios).toFixed(2)}`);
console.log(`${permitted} decisions permitted, of medians over ${rounds} rounds`);

memory();

/** Bytes that compiled policies keep, by policy. */
function memory(): void {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) {
    console.log('\nmemory: run with --expose-gc');
    return;
  }
  console.log('\npolicy                                            JSON bytes   model   compiled');
  const seen = new Set<unknown>();
  for (const { test, json } of subjects) {
    const id = test.policy['@id'];
    if (seen.has(id)) continue;
    seen.add(id);
    const copies = Math.max(20, Math.min(2_000, Math.floor(4_000_000 / json.length)));
    const keep = (make: () => unknown): number => {
      const kept: unknown[] = [];
      gc();
      const before = process.memoryUsage().heapUsed;
      for (let copy = 0; copy < copies; copy++) kept.push(make());
      gc();
      const bytes = (process.memoryUsage().heapUsed - before) / copies;
      return kept.length === copies ? bytes : Number.NaN;
    };
    const model = keep(() => parsePolicy(JSON.parse(json), FORCE_OPTIONS));
    const parsed = parsePolicy(test.policy, FORCE_OPTIONS);
    const closures = keep(() => compile(parsed, FORCE_OPTIONS));
    const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`.padStart(11);
    console.log(
      `${String(id).slice(0, 46).padEnd(48)}${String(json.length).padStart(11)}${kib(model)}${kib(closures)}`,
    );
  }
}
