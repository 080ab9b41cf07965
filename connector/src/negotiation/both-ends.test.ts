/** Two connectors, and whatever their participants and anybody in their names may say in one negotiation. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  createSilence,
  expectRefusal,
  repeatLast,
  speakAs,
  statesOf,
  type BothEnds,
  type Side,
} from '../../../test/src/both-ends.ts';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import { message } from '../../../test/src/scripted-peer.ts';
import {
  isFinal,
  negotiationMachine,
  transition,
  type NegotiationMessageName,
  type NegotiationState,
} from '../protocol/state-machine.ts';
import type { NegotiationDecisions, OfferDecision, RequestDecision, StepDecision } from './decisions.ts';

const schemas = loadDspSchemas();
let space: DataSpace;
let consumer: Participant;
let provider: Participant;
let silence: () => Promise<void>;
let published: { datasetId: string; offerId: string };

/** What a side is to decide next, once: otherwise it waits. */
const wishes: Record<Side, RequestDecision | OfferDecision | StepDecision | undefined> = {
  consumer: undefined,
  provider: undefined,
};
const decisionsOf = (side: Side, immediate: boolean): NegotiationDecisions => {
  const decide = () => {
    const wish = wishes[side] ?? { kind: 'wait' };
    wishes[side] = undefined;
    return wish;
  };
  return {
    immediate,
    onRequest: () => decide() as RequestDecision,
    onOffer: () => decide() as OfferDecision,
    onStep: () => decide() as StepDecision,
  };
};

beforeAll(async () => {
  space = await createDataSpace();
  const delivery = { longestPauseSeconds: 0.05 };
  provider = await space.join('provider', { delivery, decisions: decisionsOf('provider', false) });
  consumer = await space.join('consumer', { delivery, decisions: decisionsOf('consumer', true) });
  silence = createSilence(space, ['provider', 'consumer']);
  published = await publish(provider, space.file);
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

const rules = { permission: policyTemplate.permission };
const begin = async (by: Side): Promise<BothEnds> => {
  const from = { consumer, provider }[by];
  const { id } =
    by === 'consumer'
      ? await consumer.operator.negotiate({ counterPartyAddress: provider.connector.protocolUrl, ...published })
      : await provider.connector.negotiations.offer(
          { participantId: consumer.participantId, address: `${consumer.connector.protocolUrl}/2025-1` },
          published.datasetId,
          { '@id': published.offerId, ...rules },
        );
  const pids = await vi.waitFor(async () => {
    const { consumerPid, providerPid } = await from.operator.negotiation(id);
    expect([consumerPid, providerPid]).not.toContain(undefined);
    return { consumerPid: consumerPid!, providerPid: providerPid! };
  });
  await silence();
  return { consumer, provider, path: 'negotiations', pids };
};

/** Makes the connector of `by` say what the state allows. */
const say = async (ends: BothEnds, name: NegotiationMessageName, by: Side, state: NegotiationState): Promise<void> => {
  const { operator, connector } = ends[by];
  const id = ends.pids[`${by}Pid`];
  if (name === 'ContractNegotiationTerminationMessage') {
    // Where the other side's word comes in between, there may be nothing left to end.
    await operator.terminateNegotiation(id).catch(() => undefined);
    return;
  }
  const offer = { '@id': `urn:offer:${Math.floor(performance.now() * 1000)}`, '@type': 'Offer', ...rules };
  const decisions: Partial<Record<NegotiationMessageName, RequestDecision | OfferDecision | StepDecision>> = {
    ContractRequestMessage: { kind: 'request', offer },
    ContractOfferMessage: { kind: 'offer', offer },
    'ContractNegotiationEventMessage:ACCEPTED': { kind: 'accept' },
    ContractAgreementMessage: { kind: state === 'REQUESTED' ? 'agree' : 'proceed' },
    ContractAgreementVerificationMessage: { kind: 'proceed' },
    'ContractNegotiationEventMessage:FINALIZED': { kind: 'proceed' },
  };
  wishes[by] = decisions[name];
  connector.negotiations.reconsider(id);
};

const verbs: Record<NegotiationMessageName, string> = {
  ContractRequestMessage: 'request',
  ContractOfferMessage: 'offers',
  'ContractNegotiationEventMessage:ACCEPTED': 'events',
  ContractAgreementMessage: 'agreement',
  ContractAgreementVerificationMessage: 'agreement/verification',
  'ContractNegotiationEventMessage:FINALIZED': 'events',
  ContractNegotiationTerminationMessage: 'termination',
};
const raw = (name: NegotiationMessageName, { pids }: BothEnds) => {
  const [type, eventType] = name.split(':') as [string, string?];
  const offer = { '@type': 'Offer', '@id': published.offerId, target: published.datasetId, ...rules };
  const parties = { assigner: provider.participantId, assignee: consumer.participantId };
  const agreement = { ...offer, ...parties, '@type': 'Agreement', '@id': 'urn:agreement:never' };
  return message(type, {
    ...pids,
    ...(eventType === undefined ? {} : { eventType }),
    ...(/Request|Offer/.test(type) ? { offer } : {}),
    ...(type === 'ContractAgreementMessage' ? { agreement } : {}),
  });
};

const { messages } = negotiationMachine;
const [ending, others] = [messages.slice(-1), messages.slice(0, -1)];
// Ends are rare, so that most negotiations have a middle.
const name = fc.constantFrom(...ending, ...others, ...others);
const by = fc.constantFrom<Side>('consumer', 'provider');

it('both ends follow the model through any sequence of decisions and of messages in their names', async () => {
  const step = fc.oneof(
    // What may come next, and what may not.
    { weight: 3, arbitrary: fc.record({ legal: fc.nat(10) }) },
    { weight: 2, arbitrary: fc.record({ name, by }) },
    { weight: 1, arbitrary: fc.constant('repeat' as const) },
  );
  await fc.assert(
    fc.asyncProperty(by, fc.array(step, { minLength: 5, maxLength: 12 }), async (first, steps) => {
      const ends = await begin(first);
      let state: NegotiationState = first === 'consumer' ? 'REQUESTED' : 'OFFERED';
      for (const one of steps) {
        if (one === 'repeat') await repeatLast(space, ends);
        else {
          const legal = negotiationMachine.rows.filter(({ from, message: m }) => from === state && !ending.includes(m));
          const chosen = 'name' in one ? one : legal[one.legal % (legal.length || 1)];
          if (!chosen) continue;
          const sender = 'name' in chosen ? chosen.by : chosen.sender;
          const said = 'name' in chosen ? chosen.name : chosen.message;
          const to: NegotiationState | undefined = transition(negotiationMachine, state, said, sender);
          if (to === undefined) {
            const reply = await speakAs(ends, sender, verbs[said], raw(said, ends));
            expectRefusal(reply, 'ContractNegotiationError', schemas);
          } else await say(ends, said, sender, state);
          state = to ?? state;
        }
        await vi.waitFor(async () => expect(await statesOf(ends)).toEqual({ consumer: state, provider: state }), {
          interval: 5,
        });
        await silence();
      }
      const agreed = await Promise.all([consumer, provider].map(({ operator }) => operator.agreements()));
      const [own, theirs] = agreed.map((all) =>
        all.find(({ negotiationId }) => Object.values(ends.pids).includes(negotiationId)),
      );
      expect(own?.finalized ?? false).toBe(state === 'FINALIZED');
      expect(theirs?.finalized ?? false).toBe(state === 'FINALIZED');
      expect(own?.agreement).toEqual(theirs?.agreement);
      if (state === 'TERMINATED') expect([own, theirs]).toEqual([undefined, undefined]);
    }),
    { numRuns: 12 },
  );
});

it('both ends come to an end when one speaks and the other ends the negotiation at the same time', async () => {
  await fc.assert(
    fc.asyncProperty(by, by, fc.array(fc.nat(10), { minLength: 1, maxLength: 5 }), async (first, ender, way) => {
      const ends = await begin(first);
      let state: NegotiationState = first === 'consumer' ? 'REQUESTED' : 'OFFERED';
      for (const [index, turn] of way.entries()) {
        const legal = negotiationMachine.rows.filter(({ from, message: m }) => from === state && !ending.includes(m));
        const row = legal[turn % (legal.length || 1)];
        if (!row) break;
        const last = index === way.length - 1;
        await Promise.all([
          say(ends, row.message, row.sender, state),
          last ? say(ends, ending[0]!, ender, state) : undefined,
        ]);
        await vi.waitFor(
          async () => {
            const now = await statesOf(ends);
            // Only what is final at one side before it knows the other's word stays as it is.
            if (last) for (const end of Object.values(now)) expect(isFinal(negotiationMachine, end), end).toBe(true);
            else expect(now).toEqual({ consumer: row.to, provider: row.to });
          },
          { interval: 5, timeout: 5_000 },
        );
        await silence();
        if (last && row.to !== 'FINALIZED') {
          expect(await statesOf(ends)).toEqual({ consumer: 'TERMINATED', provider: 'TERMINATED' });
        }
        wishes[row.sender] = undefined;
        state = row.to;
      }
    }),
    { numRuns: 15 },
  );
});
