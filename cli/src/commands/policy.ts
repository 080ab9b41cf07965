/** `foedus policy …`: what a policy says, who can enforce it, and what it would decide. Needs no connector. */
import {
  compareOffers,
  compile,
  conflictsBetween,
  decide,
  enforceability,
  explain,
  problemsOf,
  type Decision,
  type Enforcement,
  type Language,
  type OfferComparison,
  type Policy,
} from '@foedus/usage-policies';
import { FoedusError } from '@foedus/connector/errors';
import { readPolicy, readRequest, readState } from '../policy-files.ts';
import { clean, print, printTable, styled } from '../terminal.ts';

export interface PolicyCommand {
  readonly lang: Language;
  readonly json?: true;
}

/** Prints a policy in plain words. */
export async function explainPolicy(file: string, { lang, json }: PolicyCommand): Promise<void> {
  const lines = explain(await readPolicy(file), lang);
  if (json) print(JSON.stringify(lines, null, 2));
  else for (const line of lines) print(clean(line));
}

const LABELS: Readonly<Record<Enforcement, Readonly<Record<Language, string>>>> = {
  'enforced-by-provider': { en: "provider's node", de: 'Knoten des Anbieters' },
  'enforced-by-consumer': { en: "consumer's node", de: 'Knoten des Abnehmers' },
  'evidence-only': { en: 'evidence only', de: 'nur Nachweis' },
  'not-understood': { en: 'NOT UNDERSTOOD', de: 'NICHT VERSTANDEN' },
};

/**
 * Prints who can enforce which part of a policy, between two Foedus nodes.
 *
 * @throws FoedusError where something is not understood: a node would not publish or accept it
 */
export async function checkPolicy(file: string, { lang, json }: PolicyCommand): Promise<void> {
  const policy = await readPolicy(file);
  const report = enforceability(policy, undefined, lang);
  if (json) print(JSON.stringify(report, null, 2));
  else {
    const headings = { en: ['rule', 'enforced by', 'what'], de: ['Regel', 'durchgesetzt von', 'was'] }[lang];
    const rows = report.rules.flatMap((rule, index) =>
      rule.parts.map((part, at) => [
        at === 0 ? `${index + 1}` : '',
        LABELS[part.enforcement][lang],
        at === 0 ? part.text : `  ${part.text}`,
      ]),
    );
    printTable(headings, rows, { en: 'The policy has no rules.', de: 'Die Richtlinie hat keine Regeln.' }[lang]);
    print(`${{ en: 'In all', de: 'Insgesamt' }[lang]}: ${styled('bold', LABELS[report.enforcement][lang])}`);
    for (const { permission, prohibition, extent } of selfConflicts(policy)) {
      const words = {
        en: { always: 'always', sometimes: 'sometimes' },
        de: { always: 'immer', sometimes: 'manchmal' },
      };
      const [a, b] = [permission + 1, policy.permissions.length + prohibition + 1];
      print(
        {
          en: `Rule ${b} ${words.en[extent]} forbids what rule ${a} permits.`,
          de: `Regel ${b} verbietet ${words.de[extent]}, was Regel ${a} erlaubt.`,
        }[lang],
      );
    }
  }
  if (report.enforcement === 'not-understood') {
    const [problem = 'Some part of it cannot be carried out here.'] = problemsOf(policy);
    throw new FoedusError('bad-request', `No node would accept this policy. ${problem}`);
  }
}

function selfConflicts(policy: Policy) {
  return conflictsBetween(policy, policy)
    .filter((each) => each.permission.in === 'a')
    .map(({ permission, prohibition, extent }) => ({
      permission: permission.index,
      prohibition: prohibition.index,
      extent,
    }));
}

export interface Simulation {
  readonly json?: true;
  readonly request: string;
  readonly history?: string;
}

/** Prints what a policy would decide on a request, after a history. An offer is taken for the agreement made of it. */
export async function simulatePolicy(file: string, { request, history, json }: Simulation): Promise<void> {
  const asked = await readRequest(request);
  const before = await readState(history);
  const uses = (before.history ?? []).filter(({ action, by }) => action === asked.action && by === asked.assignee);
  // As the ledger would have charged them.
  const state = { ...before, spent: { ...before.spent, uses: Math.max(before.spent.uses, uses.length) } };
  const policy = await readPolicy(file);
  const agreed: Policy =
    policy.type === 'Offer' ? { ...policy, type: 'Agreement', assignee: policy.assignee ?? asked.assignee } : policy;
  const decision = decide(compile(agreed), asked, state);
  if (json) {
    print(JSON.stringify(decision, null, 2));
    return;
  }
  if (policy.type === 'Offer') {
    print(`An offer permits nothing. This is what the agreement with ${clean(asked.assignee)} would decide:`);
  }
  print(decision.permit ? styled(['bold', 'green'], 'PERMIT') : styled(['bold', 'red'], 'DENY'));
  for (const reason of decision.reasons) print(`  ${clean(reason)}`);
  printDecision(decision);
}

function printDecision(decision: Decision): void {
  print();
  printTable(
    ['rule', 'kind', 'action', 'active', 'why'],
    decision.rules.map(({ kind, action, active, reasons }, index) => [
      `${index + 1}`,
      kind,
      action,
      active ? 'yes' : 'no',
      reasons.join(' '),
    ]),
    'The policy has no rules.',
  );
  if (decision.duties.length > 0) {
    print();
    printTable(
      ['duty', 'action', 'due', 'state', 'by', 'why'],
      decision.duties.map(({ kind, action, timing, state, by, reason }) => [
        kind,
        action,
        `${timing} use`,
        state,
        by ?? '',
        reason,
      ]),
      '',
    );
  }
  if (decision.plan !== null) {
    print();
    const parts = Object.entries(decision.plan).filter(([, value]) => value !== null && value !== undefined);
    printTable(
      ['what leaves', ''],
      parts.map(([part, value]) => [part, typeof value === 'string' ? value : JSON.stringify(value)]),
      '',
    );
  }
  if (decision.charges.length > 0) {
    print();
    printTable(
      ['charged', 'amount', 'limit'],
      decision.charges.map(({ meter, amount, limit }) => [
        meter,
        String(amount),
        limit === null ? 'none' : String(limit),
      ]),
      '',
    );
  }
}

const ASKS: Readonly<Record<OfferComparison['ask'], string>> = {
  same: 'B asks for the same as A.',
  less: 'B asks for less than A.',
  more: 'B asks for more than A.',
  different: 'Neither could be shown to ask for less than the other.',
};

/** Prints whether offer B asks for more or less than offer A, by rule. */
export async function comparePolicies(fileA: string, fileB: string, { json }: { readonly json?: true }): Promise<void> {
  const [a, b] = [await readPolicy(fileA), await readPolicy(fileB)];
  const comparison = compareOffers(a, b);
  if (json) {
    print(JSON.stringify(comparison, null, 2));
    return;
  }
  printTable(
    ['kind', 'action', 'in A', 'in B', 'B asks for'],
    comparison.rules.map(({ kind, action, inA, inB, ask }) => [
      kind,
      action,
      inA === null ? '–' : String(inA + 1),
      inB === null ? '–' : String(inB + 1),
      ask,
    ]),
    'Neither has a rule.',
  );
  print(styled('bold', ASKS[comparison.ask]));
}
