/**
 * The example policies of the IDS usage-control classes: those that are JSON evaluate as their text says, offers once
 * they are accepted; those that are not are refused with a line and a column.
 */
import {
  compile,
  decide,
  parsePolicyText,
  problemsOf,
  type PolicyOptions,
  type UsageState,
} from '@foedus/usage-policies';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { EXPECTATIONS, type Expectation, type Use } from './ids-expectations.ts';
import { SUITES, type Outcome, type Suite } from './suites.ts';

const EXAMPLES = join(SUITES, 'ids-usage-classes');

const OPTIONS: PolicyOptions = {
  // The profile that the examples name; it adds no terms.
  profiles: { 'http://example.com/ids-profile': {} },
  // Two examples leave their values to a document elsewhere, whose address is a blank to be filled in.
  references: {
    allowed: ['?referenceToAllowedLocations', '?referenceToAllowedPurposes'],
    resolve: (iri) => (iri === '?referenceToAllowedPurposes' ? 'Research' : { '@id': 'http://ontologi.es/place/DE' }),
  },
};

const NOTHING: UsageState = { spent: { uses: 0, rounds: 0, epsilon: 0 }, history: [] };

function decideUse(text: string, { assignee, target }: Expectation, use: Use, options: PolicyOptions) {
  const request = {
    action: 'use',
    assignee,
    at: new Date('2022-07-01T00:00:00Z'),
    ...(target === undefined ? {} : { target }),
  };
  return decide(
    compile(parsePolicyText(text, options), options),
    { ...request, ...use.request },
    { ...NOTHING, ...use.state },
  );
}

/** The agreement that an offer becomes: its user is named. */
function accepted(text: string, { assignee }: Expectation): string {
  const policy = JSON.parse(text) as Record<string, unknown>;
  if (policy['@type'] !== 'ids:ContractOffer') return text;
  return JSON.stringify({ ...policy, '@type': 'ids:ContractAgreement', 'ids:consumer': assignee });
}

function faultsOf(text: string, expectation: Expectation): string[] {
  const faults: string[] = [];
  const agreement = accepted(text, expectation);
  if (agreement !== text) {
    const offered = decideUse(text, expectation, expectation.uses[0] ?? { permit: false }, OPTIONS);
    if (offered.permit) faults.push('the offer itself permits');
  }
  const unknown = parsePolicyText(agreement, OPTIONS);
  const blank = expectation.uses.some(({ reason }) => reason?.source.includes('cannot be checked') === true);
  const problems = problemsOf(unknown, OPTIONS);
  if (!blank && problems.length > 0) faults.push(...problems);
  if (!expectation.uses.some(({ permit }) => !permit) && expectation.uses.every(({ duties }) => duties === undefined)) {
    faults.push('nothing is expected to be denied');
  }
  for (const [index, use] of expectation.uses.entries()) {
    const decision = decideUse(agreement, expectation, use, OPTIONS);
    const what = `use ${index + 1}`;
    if (decision.permit !== use.permit)
      faults.push(`${what} is ${decision.permit ? 'permitted' : 'denied'}: ${decision.reasons.join(' ')}`);
    if (use.reason !== undefined && !use.reason.test(decision.reasons.join(' '))) {
      faults.push(`${what} says: ${decision.reasons.join(' ')}`);
    }
    const duties = decision.duties.map(({ action }) => normal(action));
    if (use.duties !== undefined && use.duties.join() !== duties.join())
      faults.push(`${what} has the duties ${duties.join(', ')}`);
  }
  return faults;
}

const normal = (action: string): string => action.replace(/^odrl:/, '');

function faultOfBroken(text: string): string[] {
  try {
    parsePolicyText(text);
    return ['it is read although it is not JSON'];
  } catch (error) {
    const { message } = error as Error;
    return /^\$: line \d+, column \d+ is not JSON: /.test(message) ? [] : [`the error is not clear: ${message}`];
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export const ids: Suite = {
  title: 'IDS usage-control classes',
  mode: 'a duty is a precondition, or due after the use where its terms say so',
  run: (): Outcome[] =>
    readdirSync(EXAMPLES)
      .filter((file) => file.endsWith('.json'))
      .sort()
      .map((file) => {
        const text = readFileSync(join(EXAMPLES, file), 'utf8');
        const name = basename(file, '.json').replace(/-example$/, '');
        if (!isJson(text)) return { name: `${name} (not JSON)`, faults: faultOfBroken(text) };
        const expectation = EXPECTATIONS[name];
        return {
          name,
          faults: expectation === undefined ? ['nothing is expected of it'] : faultsOf(text, expectation),
        };
      }),
};
