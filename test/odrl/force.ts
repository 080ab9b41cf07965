/**
 * The FORCE suite: policy, request and state of the world in Turtle, with the compliance report that is expected.
 *
 * Its evaluator takes a duty that is neither fulfilled nor violated for one that may still be fulfilled, and a rule
 * without an action for one about every action; the engine is set up so.
 */
import {
  compile,
  decide,
  parsePolicy,
  type CompiledPolicy,
  type PolicyOptions,
  type Premises,
  type UsageRequest,
  type UsageState,
} from '@foedus/usage-policies';
import { basename, join } from 'node:path';
import { SUITES, type Outcome, type Suite } from './suites.ts';
import { instances, object, objects, readTurtle, toJson, type Graph } from './turtle.ts';

const DATA = join(SUITES, 'force', 'data');
const ODRL = 'http://www.w3.org/ns/odrl/2/';
const EX = 'http://example.org/';
const DCT = 'http://purl.org/dc/terms/';
const REPORT = 'https://w3id.org/force/compliance-report#';
const CURRENT_TIME = 'http://example.com/request/currentTime';

export const FORCE_OPTIONS: PolicyOptions = { dutyMode: 'not-violated', ruleWithoutAction: 'any-action' };

export interface ForceCase {
  readonly name: string;
  readonly title: string;
  /** As JSON-LD. */
  readonly policy: Record<string, unknown>;
  readonly request: UsageRequest;
  readonly state: UsageState;
  readonly expected: readonly ExpectedRule[];
}

interface ExpectedRule {
  readonly rule: string;
  readonly kind: 'permission' | 'prohibition';
  readonly active: boolean;
  readonly premises: Partial<Record<keyof Premises, boolean>>;
}

export function forceCases(): ForceCase[] {
  const index = readTurtle(join(DATA, 'index.ttl'));
  return [...index.keys()].map((id) => {
    const file = (property: string, folder: string) =>
      join(DATA, folder, basename(object(index, id, `${EX}${property}`)));
    const policies = readTurtle(file('policySource', 'policies'));
    const requests = readTurtle(file('requestSource', 'requests'));
    const world = readTurtle(file('sotwSource', 'sotw'));
    const expected = file('expectedReportSource', 'test_cases');
    const at = new Date(object(world, CURRENT_TIME, `${DCT}issued`));
    const policy = instances(policies, `${ODRL}Set`)[0] ?? '';
    return {
      name: basename(expected, '.ttl').replace('testcase-', ''),
      title: object(index, id, `${DCT}title`),
      policy: toJson(policies, policy),
      request: { ...requestIn(requests), at },
      state: stateIn(world),
      expected: expectedIn(readTurtle(expected)),
    };
  });
}

function requestIn(graph: Graph): Omit<UsageRequest, 'at'> {
  const request = instances(graph, `${ODRL}Request`)[0] ?? '';
  const permission = object(graph, request, `${ODRL}permission`);
  const said = (property: string) => object(graph, permission, ODRL + property);
  return { action: said('action'), assignee: said('assignee'), target: said('target') };
}

const DEONTIC = { Fulfilled: 'fulfilled', Violated: 'violated', NonSet: 'not-set' } as const;

function stateIn(graph: Graph): UsageState {
  const memberships: Record<string, string[]> = {};
  for (const member of graph.keys()) {
    const collections = objects(graph, member, `${ODRL}partOf`).map(({ value }) => value);
    if (collections.length > 0) memberships[member] = collections;
  }
  const duties = Object.fromEntries(
    instances(graph, `${REPORT}DutyReport`).map((report) => {
      const state = object(graph, report, `${REPORT}deonticState`).slice(REPORT.length) as keyof typeof DEONTIC;
      return [object(graph, report, `${REPORT}rule`), DEONTIC[state]];
    }),
  );
  return { spent: { uses: 0, rounds: 0, epsilon: 0 }, memberships, duties };
}

const PREMISES: Readonly<Record<string, keyof Premises>> = {
  TargetReport: 'target',
  PartyReport: 'assignee',
  ActionReport: 'action',
  ConstraintReport: 'constraints',
};

function expectedIn(graph: Graph): ExpectedRule[] {
  return (['permission', 'prohibition'] as const).flatMap((kind) =>
    instances(graph, `${REPORT}${kind === 'permission' ? 'PermissionReport' : 'ProhibitionReport'}`).map((report) => {
      const premises: Partial<Record<keyof Premises, boolean>> = {};
      for (const { value: premise } of objects(graph, report, `${REPORT}premiseReport`)) {
        // Some reports name premises that the file does not contain.
        if (!graph.has(premise)) continue;
        const type = object(graph, premise, 'http://www.w3.org/1999/02/22-rdf-syntax-ns#type').slice(REPORT.length);
        const name = PREMISES[type];
        if (name !== undefined)
          premises[name] = object(graph, premise, `${REPORT}satisfactionState`) === `${REPORT}Satisfied`;
      }
      return {
        rule: object(graph, report, `${REPORT}rule`),
        kind,
        active: object(graph, report, `${REPORT}activationState`) === `${REPORT}Active`,
        premises,
      };
    }),
  );
}

export function compileForce({ policy }: ForceCase): CompiledPolicy {
  return compile(parsePolicy(policy, FORCE_OPTIONS), FORCE_OPTIONS);
}

function faultsOf(test: ForceCase): string[] {
  const decision = decide(compileForce(test), test.request, test.state);
  const faults: string[] = [];
  for (const { rule, kind, active, premises } of test.expected) {
    const report = decision.rules.find((each) => each.id === rule);
    if (report?.kind !== kind) {
      faults.push(`there is no report on the ${kind} ${rule}`);
      continue;
    }
    if (report.active !== active)
      faults.push(`${rule} is ${report.active ? 'active' : 'inactive'}: ${report.reasons.join(' ')}`);
    for (const [premise, satisfied] of Object.entries(premises)) {
      const found = report.premises[premise as keyof Premises];
      if ((found === 'holds') !== satisfied) faults.push(`${premise} of ${rule}: ${found}, expected ${satisfied}`);
    }
  }
  if (test.expected.length !== decision.rules.length) faults.push(`${decision.rules.length} rules are reported`);
  const permit =
    test.expected.some(({ kind, active }) => kind === 'permission' && active) &&
    !test.expected.some(({ kind, active }) => kind === 'prohibition' && active);
  if (decision.permit !== permit) faults.push(`the decision is ${decision.permit}: ${decision.reasons.join(' ')}`);
  return faults;
}

export const force: Suite = {
  title: 'FORCE test suite',
  mode: 'a duty holds until it is violated; a rule without an action is about every action',
  run: (): Outcome[] => forceCases().map((test) => ({ name: test.name, faults: faultsOf(test) })),
};
