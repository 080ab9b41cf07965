import type { SessionView } from '@foedus/fl-coordinator';
import { sessionPlanSchema, type SessionPlan } from '@foedus/fl-core';
import type { Account } from '@foedus/connector/operator-client';
import type { Narrator } from '../narrator.ts';
import { airports, coordinator, home, type Space } from '../space/layout.ts';
import type { Journal } from './journal.ts';
import { negotiate, short } from './negotiate.ts';
import { datasetId, publishOffers } from './offers.ts';
import { coordinatorOf, operatorOf } from './operators.ts';
import { delta, planDraft } from './plan.ts';
import { epsilonAfter, followToTheEnd, hasEnded } from './training.ts';

/** The partner whose budget is for the planned rounds and not one more. */
const strict = 'abq';

export interface Budget {
  readonly participantId: string;
  readonly rounds: number;
  readonly epsilonSpent: number;
  readonly epsilonLimit: number;
}

export interface TrainedSession {
  readonly id: string;
  readonly plan: SessionPlan;
  readonly state: SessionView['state'];
  readonly roundsDone: number;
  /** Base64 of the final parameters in the update codec. */
  readonly model: string;
}

export interface Training {
  readonly withPrivacy: TrainedSession;
  readonly withoutNoise: TrainedSession;
  readonly budgets: readonly Budget[];
  /** What the strict partner's node answered to one round more. */
  readonly refusal: string;
}

/** The second half of the story: one model for three airports, under a privacy budget each. */
export async function trainTogether(
  space: Space,
  journal: Journal,
  narrator: Narrator,
  seed: string,
): Promise<Training> {
  narrator.chapter('4  One model for all, under privacy budgets');
  const plan = planDraft(seed, true);
  const planned = epsilonAfter(plan, plan.rounds);
  narrator.say(
    `${plan.rounds} rounds of ${plan.local.steps} steps, noise multiplier ${plan.privacy?.noiseMultiplier}: ε ${planned.toFixed(3)} at δ ${delta} for each airport's flights`,
  );
  narrator.say(
    'Metrics are releases too: every third round each airport sends counts of its scores with noise, and pays for them',
  );
  narrator.say(
    'Under secure aggregation, required by every contract: the coordinator gets the sum of all three updates and never one of them',
  );
  const budgetOf = (name: string): number => {
    const rounds = name === strict ? plan.rounds : plan.rounds + 6;
    return Math.ceil(epsilonAfter(plan, rounds) * 100) / 100;
  };
  const limits = Object.fromEntries(airports.map(({ name }) => [name, budgetOf(name)]));
  await publishOffers(space, { epsilonLimits: limits });
  const agreements = await agreementsFor('train-with-budget', space, journal, narrator);
  const client = coordinatorOf(space);

  const run = async (name: string, draft: typeof plan, under: Participants): Promise<TrainedSession> => {
    const id = await journal.step(`${name} session`, async () => (await client.createSession(draft, under)).id);
    return await journal.step(`${name} trained`, async () => {
      const view = (await client.sessions()).find((session) => session.id === id);
      if (view?.state === 'planned') await client.act(id, 'start');
      const end = await followToTheEnd(client, id, narrator);
      if (end.state !== 'completed')
        throw new Error(`The session ${name} ${end.state}: ${end.reason ?? 'no reason given'}`);
      narrator.say(`${end.roundsDone} rounds done: ${end.reason ?? 'as planned'}`);
      return { ...(await finished(end)), state: end.state };
    });
  };
  const finished = async (end: SessionView): Promise<TrainedSession> => ({
    id: end.id,
    plan: sessionPlanSchema.parse(end.plan),
    state: end.state,
    roundsDone: end.roundsDone,
    model: Buffer.from(await (await client.model(end.id)).arrayBuffer()).toString('base64'),
  });
  const withPrivacy = await run('with privacy', plan, agreements);

  narrator.chapter('5  One round more than a budget allows');
  const refusal = await journal.step('one round more', async () => {
    const strictId = home(space, strict).member.participantId;
    const before = await client.askForRounds(withPrivacy.id, 1);
    const round = before.roundsTarget;
    const end = await client.follow(withPrivacy.id, (view) => hasEnded(view) && view.updatedAt !== before.updatedAt);
    const answer = end.rounds.find((candidate) => candidate.round === round)?.contributions[strictId];
    if (answer?.status !== 'refused')
      throw new Error(`Round ${round} must be refused by ${strict}; instead the session ${end.state}: ${end.reason}`);
    return answer.reason ?? '';
  });
  narrator.refused(`round ${withPrivacy.roundsDone + 1} by ${strict}'s own node: ${refusal}`);
  const budgets = await journal.step('budgets', async () => await spentBudgets(space, agreements));

  narrator.chapter('6  The same without noise, and each airport alone, to compare');
  const plain = planDraft(seed, false);
  const comparisonAgreements = await agreementsFor('train-to-compare', space, journal, narrator);
  const withoutNoise = await run('without noise', plain, comparisonAgreements);
  return { withPrivacy, withoutNoise, budgets, refusal };
}

type Participants = { participantId: string; agreementId: string }[];

async function agreementsFor(
  contractDefinitionId: string,
  space: Space,
  journal: Journal,
  narrator: Narrator,
): Promise<Participants> {
  const operator = operatorOf(home(space, coordinator.name));
  const agreements: Participants = [];
  for (const { name, participantId } of airports) {
    const agreementId = await journal.step(`${contractDefinitionId} with ${name}`, async () => {
      const { protocolUrl } = home(space, name).addresses;
      const wanted = { counterPartyAddress: protocolUrl, datasetId: datasetId(name), contractDefinitionId };
      return (await negotiate(operator, wanted, narrator)).id;
    });
    agreements.push({ participantId, agreementId });
  }
  return agreements;
}

/** Read from each airport's own ledger. */
async function spentBudgets(space: Space, agreements: Participants): Promise<Budget[]> {
  return await Promise.all(
    agreements.map(async ({ participantId, agreementId }) => {
      const account: Account = await operatorOf(home(space, short(participantId))).account(agreementId);
      return {
        participantId,
        rounds: account.spent.rounds,
        epsilonSpent: account.spent.epsilon,
        epsilonLimit: account.limits.epsilon ?? Number.POSITIVE_INFINITY,
      };
    }),
  );
}
