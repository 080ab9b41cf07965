import type { Narrator } from '../narrator.ts';
import { airports } from '../space/members.ts';
import type { Comparison } from './comparison.ts';
import { short } from './negotiate.ts';
import type { Trade } from './trade.ts';
import type { Training } from './train-together.ts';
import { format } from './training.ts';

export interface Report {
  readonly trade: Trade;
  readonly training: Training;
  readonly comparison: Comparison;
  readonly storySeconds: number;
  /** Peak resident memory in bytes by program; null where the system does not tell. */
  memory: Record<string, number | null>;
}

export function printReport({ training, comparison, memory, trade }: Report, narrator: Narrator): void {
  narrator.chapter('7  What came out');
  narrator.say('AUC on held-out flights of each airport and of all, exact, since the demo looks into all folders:');
  narrator.table(
    ['model', ...airports.map(({ airport }) => airport), 'all'],
    comparison.rows.map(({ model, aucs, all }) => [model, ...aucs.map(format), format(all)]),
  );
  narrator.say(`Privacy spent by ${training.withPrivacy.roundsDone} rounds, from each airport's own ledger:`);
  narrator.table(
    ['airport', 'rounds', 'ε spent', 'ε agreed', 'ε left', 'δ'],
    training.budgets.map(({ participantId, rounds, epsilonSpent, epsilonLimit }) => [
      short(participantId),
      String(rounds),
      epsilonSpent.toFixed(3),
      epsilonLimit.toFixed(3),
      (epsilonLimit - epsilonSpent).toFixed(3),
      String(training.withPrivacy.plan.privacy?.delta),
    ]),
  );
  narrator.say('Refused:');
  for (const { asked, reason } of trade.refusals) narrator.refused(`${asked}: ${reason}`);
  narrator.refused(`round ${training.withPrivacy.roundsDone + 1}: ${training.refusal}`);
  const known = Object.entries(memory).filter((entry): entry is [string, number] => entry[1] !== null);
  if (known.length === 0) return;
  narrator.say('Peak memory of each program:');
  narrator.table(
    ['program', 'MiB'],
    known.map(([name, bytes]) => [name, (bytes / 2 ** 20).toFixed(0)]),
  );
}

/** @throws Error naming the first thing that did not come out as the story promises */
export function checkReport({ trade, training, comparison }: Report): void {
  const must = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`The main job failed: ${what}`);
  };
  must(trade.received.rows > 0, 'no rows were received');
  must(!trade.received.columns.includes('distance'), 'a column that was not granted was received');
  must(trade.refusals.length === 3, 'not all three refusals happened');
  must(training.withPrivacy.roundsDone >= 20, `only ${training.withPrivacy.roundsDone} rounds were done`);
  for (const { participantId, epsilonSpent, epsilonLimit } of training.budgets)
    must(
      epsilonSpent > 0 && epsilonSpent <= epsilonLimit,
      `${participantId} spent ε ${epsilonSpent} of ${epsilonLimit}`,
    );
  must(training.refusal !== '', 'nobody refused the round beyond the budget');
  const [worstAlone, federated] = [
    Math.min(...comparison.rows.filter(({ kind }) => kind === 'alone').map(({ all }) => all)),
    comparison.rows.find(({ kind }) => kind === 'federated')?.all ?? 0,
  ];
  must(
    federated > worstAlone,
    `federated AUC ${format(federated)} is not above ${format(worstAlone)}, the worst alone`,
  );
}
