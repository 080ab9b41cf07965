/** Messages that were given up: two connectors come together again by asking, and only when something is stuck. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDataSpace,
  publish,
  type DataSpace,
  type JoinOptions,
  type Participant,
} from '../../../test/src/connectors.ts';
import { FoedusError } from '../errors.ts';
import { inferredMessage } from './peer-state.ts';
import { negotiationMachine, otherRole, roles, transferMachine, transition } from './state-machine.ts';

let space: DataSpace;
beforeAll(async () => {
  space = await createDataSpace();
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

type Network = NonNullable<JoinOptions['network']>;
/** Loses every message whose body contains one of these words. */
const losing =
  (...words: string[]): Network =>
  (fetch) =>
  async (url, init) => {
    const body = init?.body;
    if (typeof body === 'string' && words.some((word) => body.includes(`"${word}"`))) {
      throw new FoedusError('unavailable', 'the connection is gone');
    }
    return await fetch(url, init);
  };
const soon = { askAfterSeconds: 0.4 };
const impatient = { giveUpAfterSeconds: 0.05 };

let pairs = 0;
/** A provider and a consumer, and a negotiation that the consumer has begun. */
const negotiating = async (
  provide: JoinOptions,
  consume: JoinOptions = { delivery: soon },
): Promise<{ provider: Participant; consumer: Participant; id: string }> => {
  pairs += 1;
  const provider = await space.join(`giver${pairs}`, provide);
  const consumer = await space.join(`taker${pairs}`, consume);
  const offered = await publish(provider, space.file);
  const { id } = await consumer.operator.negotiate({ counterPartyAddress: provider.connector.protocolUrl, ...offered });
  return { provider, consumer, id };
};
const questions = ({ participantId }: Participant): string[] =>
  space.exchanges.filter(({ from, body }) => from === participantId && body === undefined).map(({ url }) => url);

describe('a process that is stuck', () => {
  it('is finalized at the consumer when the provider has given up telling it', async () => {
    const { provider, consumer, id } = await negotiating({ delivery: impatient, network: losing('FINALIZED') });
    const { agreementId } = await consumer.operator.negotiationUntil(id, ['FINALIZED']);
    const agreement = await consumer.operator.agreement(agreementId!);
    expect(agreement.finalized).toBe(true);
    expect(agreement.signatures).toEqual((await provider.operator.agreement(agreementId!)).signatures);
    // It is in force: a transfer under it may be asked for.
    const transfer = await consumer.operator.requestTransfer({ agreementId: agreementId!, format: 'HttpData-PULL' });
    await consumer.operator.transferUntil(transfer.id, ['STARTED']);
  });

  it('is asked about at once after a start, when it has been still for long', async () => {
    const { provider, consumer, id } = await negotiating(
      { delivery: impatient, network: losing('FINALIZED') },
      { delivery: { askAfterSeconds: 3600 } },
    );
    const seen = await consumer.operator.negotiationUntil(id, ['VERIFIED']);
    await provider.operator.negotiationUntil(seen.providerPid!, ['FINALIZED']);
    const later = await consumer.restart({ clock: () => new Date(Date.now() + 3_700_000) });
    await later.operator.negotiationUntil(id, ['FINALIZED']);
  });

  it('is terminated when the counterparty has ended it and could not say so', async () => {
    const { provider, consumer, id } = await negotiating({
      delivery: impatient,
      network: losing('ContractAgreementMessage', 'ContractNegotiationTerminationMessage'),
    });
    const { reason, providerPid } = await consumer.operator.negotiationUntil(id, ['TERMINATED']);
    expect(reason).toMatch(/has ended it; its message with the reason did not arrive/);
    expect((await provider.operator.negotiation(providerPid!)).reason).toMatch(/could not be reached/);
  });

  it('is completed, suspended or terminated as the counterparty’s transfer is', async () => {
    const lost = ['TransferCompletionMessage', 'TransferSuspensionMessage', 'TransferTerminationMessage'];
    const { provider, consumer, id } = await negotiating({ delivery: impatient, network: losing(...lost) });
    const { agreementId } = await consumer.operator.negotiationUntil(id, ['FINALIZED']);
    const started = async (): Promise<{ mine: string; theirs: string }> => {
      const wish = { agreementId: agreementId!, format: 'HttpData-PULL' };
      const { id: mine } = await consumer.operator.requestTransfer(wish);
      const { providerPid } = await consumer.operator.transferUntil(mine, ['STARTED']);
      return { mine, theirs: providerPid! };
    };
    const completed = await started();
    await provider.operator.completeTransfer(completed.theirs);
    await consumer.operator.transferUntil(completed.mine, ['COMPLETED']);
    // A message that is given up ends the transfer: its suspension is seen only when it ends in nothing.
    const suspended = await started();
    await provider.operator.suspendTransfer(suspended.theirs, { reason: 'a pause' });
    await provider.operator.transferUntil(suspended.theirs, ['TERMINATED']);
    await consumer.operator.transferUntil(suspended.mine, ['TERMINATED']);
  });

  it('is ended when a provider does not know it any more, and says so twice', async () => {
    const { consumer, id } = await negotiating(
      { decisions: { onRequest: () => ({ kind: 'wait' }), onOffer: () => ({ kind: 'wait' }) } },
      {
        delivery: { askAfterSeconds: 0.1 },
        network: (fetch) => async (url, init) =>
          String(url).includes('/negotiations/urn') ? new Response('{}', { status: 404 }) : await fetch(url, init),
      },
    );
    const { reason } = await consumer.operator.negotiationUntil(id, ['TERMINATED']);
    expect(reason).toMatch(/answered twice that it does not know/);
    expect(questions(consumer).filter((url) => url.includes('/negotiations/')).length).toBe(2);
  });
});

it('a message that is refused because its effect is there already counts as delivered', async () => {
  // The counterparty forgets what it has heard: it takes the message, the answer is lost, the next one is refused.
  let lost = 0;
  const { consumer, id } = await negotiating(
    {},
    {
      network: (fetch) => async (url, init) => {
        const body = init?.body;
        if (typeof body !== 'string' || !body.includes('VerificationMessage')) return await fetch(url, init);
        lost += 1;
        if (lost > 1) return new Response('{"@type":"ContractNegotiationError"}', { status: 400 });
        await fetch(url, { ...init, body: body.replace(/"@id":"[^"]*",/, '') });
        throw new FoedusError('unavailable', 'the answer is lost');
      },
      delivery: { giveUpAfterSeconds: 60 },
    },
  );
  await consumer.operator.negotiationUntil(id, ['FINALIZED']);
  expect((await consumer.operator.negotiation(id)).reason).toBeUndefined();
});

it('nobody is asked about a process that moves on', async () => {
  const { provider, consumer, id } = await negotiating({ delivery: { askAfterSeconds: 600 } });
  await consumer.operator.negotiationUntil(id, ['FINALIZED']);
  const asked = [...questions(provider), ...questions(consumer)].filter((url) =>
    /\/(negotiations|transfers)\//.test(url),
  );
  expect(asked).toEqual([]);
});

it.each([
  ['negotiation', negotiationMachine],
  ['transfer', transferMachine],
] as const)(
  'what is inferred in a %s is a legal message of the counterparty that needs no content',
  (_kind, machine) => {
    for (const role of roles) {
      for (const ours of machine.states) {
        for (const theirs of machine.states) {
          const name = inferredMessage(machine, { role, state: ours }, theirs);
          if (name === undefined) continue;
          expect(transition(machine as never, ours as never, name as never, otherRole(role))).toBe(theirs);
          expect(name).not.toMatch(/Request|Offer|Agreement|Start/);
        }
      }
    }
    expect(inferredMessage(negotiationMachine, { role: 'consumer', state: 'VERIFIED' }, 'FINALIZED')).toBe(
      'ContractNegotiationEventMessage:FINALIZED',
    );
  },
);
