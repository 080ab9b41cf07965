/**
 * The examples of the W3C ODRL Community Group's draft of formal semantics (JSON-LD).
 *
 * The draft's own slips are read as what they must mean, and nothing else is: see ERRATA.
 */
import {
  compile,
  decide,
  parsePolicy,
  type Decision,
  type PolicyOptions,
  type UsageEvent,
  type UsageRequest,
  type UsageState,
  type Value,
} from '@foedus/usage-policies';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SUITES, type Outcome, type Suite } from './suites.ts';

const EXAMPLES = join(SUITES, 'w3c-formal-semantics', 'examples');
const DOTS_PER_INCH = 'http://dbpedia.org/resource/Dots_per_inch';

export const ERRATA: readonly string[] = [
  'requests in C1 and C2 are by party/billie1, where policy and payment are about party/billie: read as billie',
  'moments in requests and states have no time zone, or a blank for the T: read as UTC',
  'the resolution in B1 is given as the @id "1000" of a feature that is its unit: read as the number 1000 in that unit',
];

const OPTIONS: PolicyOptions = {
  dutyMode: 'precondition',
  // The draft's operand for the day of the week is in nobody's vocabulary.
  profiles: { 'urn:formal-semantics': { operands: { 'ex:dayOfWeek': 'names' } } },
};

type Json = Record<string, unknown>;

const read = (path: string): Json => JSON.parse(readFileSync(path, 'utf8')) as Json;
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const literal = (value: unknown): string => {
  const { '@value': said, '@id': id } = (value ?? {}) as Json;
  return text(said ?? id);
};
const utc = (moment: string): Date => new Date(`${moment.replace(' ', 'T')}Z`);

interface Example {
  readonly name: string;
  readonly policy: Json;
  /** Absent for an example that is a policy only. */
  readonly case?: { readonly request: Json; readonly report: Json; readonly state: Json | undefined };
}

export function examples(): Example[] {
  return readdirSync(EXAMPLES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((group) => readdirSync(join(EXAMPLES, group.name)).map((name) => join(EXAMPLES, group.name, name)))
    .sort()
    .flatMap((folder): Example[] => {
      const entries = readdirSync(folder, { withFileTypes: true });
      const file = (directory: string, pattern: RegExp): string | undefined => {
        const name = readdirSync(directory).find((each) => pattern.test(each));
        return name === undefined ? undefined : join(directory, name);
      };
      const policy = read(file(folder, /^policy.*\.json$/) ?? '');
      const cases = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
      if (cases.length === 0) return [{ name: text(policy['uid']).replace(/^.*\//, ''), policy }];
      return cases.sort().map((name) => {
        const directory = join(folder, name);
        const state = file(directory, /^state.*\.json$/);
        return {
          name,
          policy,
          case: {
            request: read(file(directory, /^evaluationrequest.*\.json$/) ?? ''),
            report: read(file(directory, /^compliancereport.*\.json$/) ?? ''),
            state: state === undefined || !existsSync(state) ? undefined : read(state),
          },
        };
      });
    });
}

const billie = (party: string): string => party.replace(/\/billie1$/, '/billie');

function requestOf(json: Json, report: Json): UsageRequest {
  const parameter = (json['requestParameters'] ?? {}) as Json;
  const value = literal(parameter['value']);
  const isTime = parameter['describesFeature'] === 'sotw:CurrentXSDDateTime';
  const at = isTime ? utc(value) : new Date(literal(report['dct:created']));
  const values: Record<string, Value> = {
    'ex:dayOfWeek': at.toLocaleDateString('en-GB', { weekday: 'long', timeZone: 'UTC' }),
  };
  if (parameter['describesFeature'] === DOTS_PER_INCH)
    values['resolution'] = { value: Number(value), unit: DOTS_PER_INCH };
  return {
    action: text(json['evaluatedAction']),
    // B1 is for everybody, and its requests name nobody.
    assignee: billie(text(json['evaluatedParty'])) || 'urn:somebody',
    target: text(json['evaluatedTarget']),
    at,
    values,
  };
}

function stateOf(json: Json | undefined): UsageState {
  const history: UsageEvent[] = [];
  if (json !== undefined) {
    const payment = json['context'] as Json;
    history.push({
      action: 'compensate',
      by: text(payment['pay:payer']),
      at: utc(literal(payment['pay:paymentDate'])),
      rule: text(payment['conditionId']),
      values: { payAmount: { value: literal(payment['pay:netAmount']), unit: text(payment['pay:currency']) } },
    });
  }
  return { spent: { uses: 0, rounds: 0, epsilon: 0 }, history };
}

/** A part of a report by its type. */
function partOf(report: Json, type: string): Json | undefined {
  return Object.values(report).find((part): part is Json => (part as Json | null)?.['@type'] === `report:${type}`);
}

function faultsOf({ policy, case: given }: Example): string[] {
  const parsed = parsePolicy(policy, OPTIONS);
  const compiled = compile(parsed, OPTIONS);
  const problems = [
    ...compiled.problems,
    ...[...compiled.permissions, ...compiled.prohibitions].flatMap((rule) => rule.problems),
  ];
  if (given === undefined) return [...problems, ...faultsOfA2(policy)];
  const decision = decide(compiled, requestOf(given.request, given.report), stateOf(given.state));
  return [...problems, ...compare(given.report, decision)];
}

function compare(report: Json, decision: Decision): string[] {
  const faults: string[] = [];
  const expect = (what: string, found: unknown, wanted: unknown) => {
    if (found !== wanted)
      faults.push(`${what} is ${String(found)}, expected ${String(wanted)}: ${decision.reasons.join(' ')}`);
  };
  const [rule] = decision.rules;
  const said = partOf(report, 'ruleReport');
  expect('the control state', decision.permit, said?.['report:controlState'] === 'report:Permit');
  // The draft activates a rule by its constraints and conditions; whether the request is what it permits, refinements
  // of the action included, decides control only (B12 is active and denies).
  const active = rule?.premises.constraints === 'holds' && rule.premises.duties === 'holds';
  expect('the activation state', active, said?.['report:activationState'] === 'report:Active');

  const constraint = partOf(report, 'ConstraintReport');
  const [duty] = decision.duties;
  if (constraint !== undefined) {
    const satisfied =
      duty === undefined
        ? rule?.premises.constraints === 'holds' && rule.premises.action === 'holds'
        : duty.state !== 'inactive';
    expect('the constraint', satisfied, constraint['report:satisfactionState'] === 'report:Satisfied');
  }
  const condition = partOf(report, 'ConditionReport');
  if (condition !== undefined) {
    const states: Record<string, string> = { fulfilled: 'Fulfilled', 'not-set': 'Not-set', inactive: 'Not-set' };
    expect('the deontic state', `report:${states[duty?.state ?? ''] ?? ''}`, condition['report:deonticState']);
  }
  return faults;
}

/** A2 has no request: its text is that archiving is prohibited until 2025. */
function faultsOfA2(policy: Json): string[] {
  const compiled = compile(parsePolicy(policy, OPTIONS), OPTIONS);
  const forbids = (at: string): boolean => {
    const request = {
      action: 'archive',
      assignee: 'http://example.com/assignee:55',
      target: 'http://example.com/photoAlbum:55',
    };
    return decide(compiled, { ...request, at: new Date(at) }, stateOf(undefined)).rules[0]?.active === true;
  };
  return forbids('2024-06-01T00:00:00Z') && !forbids('2025-06-01T00:00:00Z')
    ? []
    : ['archiving is not prohibited until 2025'];
}

export const formalSemantics: Suite = {
  title: 'W3C formal semantics examples',
  mode: 'a duty is a precondition',
  run: (): Outcome[] => examples().map((example) => ({ name: example.name, faults: faultsOf(example) })),
};
