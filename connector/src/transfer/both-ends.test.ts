/** Two connectors, and whatever their operators and anybody in their names may do to one transfer, in any order. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDataSpace, publish, type DataSpace, type Participant } from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import {
  createSilence,
  expectRefusal,
  repeatLast,
  speakAs,
  statesOf,
  type BothEnds,
  type Side,
} from '../../../test/src/both-ends.ts';
import { message } from '../../../test/src/scripted-peer.ts';
import {
  isFinal,
  transferMachine,
  transition,
  type TransferMessageName,
  type TransferState,
} from '../protocol/state-machine.ts';

const schemas = loadDspSchemas();
const FORMAT = 'Watched-PUSH';
let space: DataSpace;
let provider: Participant;
let consumer: Participant;
let agreementId: string;
let silence: () => Promise<void>;

beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider', { delivery: { longestPauseSeconds: 0.05 } });
  consumer = await space.join('consumer', { delivery: { longestPauseSeconds: 0.05 } });
  silence = createSilence(space, ['provider', 'consumer']);
  const published = await publish(provider, space.file, { formats: [FORMAT] });
  await provider.operator.registerDataFlow(FORMAT);
  const counterPartyAddress = provider.connector.protocolUrl;
  const { id } = await consumer.operator.negotiate({ counterPartyAddress, ...published });
  agreementId = (await consumer.operator.negotiationUntil(id, ['FINALIZED'])).agreementId!;
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

const verbs = {
  TransferStartMessage: 'start',
  TransferSuspensionMessage: 'suspension',
  TransferCompletionMessage: 'completion',
  TransferTerminationMessage: 'termination',
} as const;
type Said = keyof typeof verbs;

/** The protocol's machine, and our rule that who has suspended a transfer alone resumes it. */
interface Model {
  readonly state: TransferState;
  readonly suspendedBy: Side | undefined;
}
function next({ state, suspendedBy }: Model, name: TransferMessageName, by: Side): Model | undefined {
  const to = transition(transferMachine, state, name, by);
  if (to === undefined || (state === 'SUSPENDED' && to === 'STARTED' && suspendedBy !== by)) return undefined;
  return { state: to, suspendedBy: to === 'SUSPENDED' ? by : undefined };
}

const begin = async (): Promise<BothEnds> => {
  const dataAddress = { endpointType: 'urn:watched', endpoint: 'https://c.example', properties: {} };
  const { id } = await consumer.operator.requestTransfer({ agreementId, format: FORMAT, dataAddress });
  const { providerPid } = await consumer.operator.transferUntil(id, ['STARTED']);
  await silence();
  return { consumer, provider, path: 'transfers', pids: { consumerPid: id, providerPid: providerPid! } };
};
const command = async ({ consumer: c, provider: p, pids }: BothEnds, name: Said, by: Side): Promise<boolean> => {
  const { operator } = by === 'consumer' ? c : p;
  const id = pids[`${by}Pid`];
  const said = {
    TransferStartMessage: () => operator.startTransfer(id),
    TransferSuspensionMessage: () => operator.suspendTransfer(id),
    TransferCompletionMessage: () => operator.completeTransfer(id),
    TransferTerminationMessage: () => operator.terminateTransfer(id),
  }[name]();
  return await said.then(
    () => true,
    () => false,
  );
};

const names = Object.keys(verbs) as Said[];
// Ends are rare, so that most sequences have a middle.
const name = fc.constantFrom(...names, ...names.slice(0, 2), ...names.slice(0, 2), ...names.slice(0, 2));
const by = fc.constantFrom<Side>('consumer', 'provider');

it('both ends follow the model through any sequence of commands and of messages in their names', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ name, by }) },
    { weight: 1, arbitrary: fc.constant('repeat' as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 10 }), async (steps) => {
      const ends = await begin();
      let model: Model = { state: 'STARTED', suspendedBy: undefined };
      for (const one of steps) {
        if (one === 'repeat') await repeatLast(space, ends);
        else {
          const to = next(model, one.name, one.by);
          expect(await command(ends, one.name, one.by)).toBe(to !== undefined);
          if (to === undefined) {
            const raw = await speakAs(ends, one.by, verbs[one.name], message(one.name, ends.pids));
            expectRefusal(raw, 'TransferError', schemas);
          }
          model = to ?? model;
        }
        await silence();
        expect({ step: one, ...(await statesOf(ends)) }).toEqual({
          step: one,
          consumer: model.state,
          provider: model.state,
        });
      }
    }),
    { numRuns: 12 },
  );
});

it('both ends come to the same state when both speak at the same time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ consumer: name, provider: name }), { minLength: 2, maxLength: 5 }),
      async (steps) => {
        const ends = await begin();
        let model: Model = { state: 'STARTED', suspendedBy: undefined };
        for (const one of steps) {
          const order = {
            consumer: next(model, one.consumer, 'consumer'),
            provider: next(model, one.provider, 'provider'),
          };
          await Promise.all([command(ends, one.consumer, 'consumer'), command(ends, one.provider, 'provider')]);
          await silence();
          const { consumer: state, provider: other } = await statesOf(ends);
          // One of them alone, or one after the other: more cannot have happened.
          const possible = [
            model,
            order.consumer,
            order.provider,
            order.consumer && next(order.consumer, one.provider, 'provider'),
            order.provider && next(order.provider, one.consumer, 'consumer'),
          ].filter((outcome) => outcome !== undefined);
          const ended = isFinal(transferMachine, state) && isFinal(transferMachine, other);
          expect({ one, state, agreed: ended || state === other }).toEqual({ one, state, agreed: true });
          expect(possible.map((outcome) => outcome.state)).toContain(state);
          if (ended) return;
          const { suspendedBy } = await provider.operator.transfer(ends.pids.providerPid);
          const theirs = await consumer.operator.transfer(ends.pids.consumerPid);
          expect(theirs.suspendedBy).toBe(suspendedBy);
          model = possible.find((outcome) => outcome.state === state && outcome.suspendedBy === suspendedBy)!;
        }
      },
    ),
    { numRuns: 15 },
  );
});
