import type { Dice } from '../fuzz/dice.ts';
import type { ConnectorPair } from '../src/connector-pair.ts';
import { unlessIllegal, untilAnswered, untilState } from './persistent-operator.ts';

const FINAL = ['COMPLETED', 'TERMINATED'];

/**
 * One trade as operators make it: a negotiation, and a transfer under its agreement that is perhaps suspended and
 * resumed, and then completed or terminated by one of the two sides.
 */
export async function trade({ provider, consumer, wish }: ConnectorPair, dice: Dice): Promise<void> {
  const pauses = dice.chance(0.3);
  const ends = dice.pick(['completeTransfer', 'completeTransfer', 'terminateTransfer'] as const);
  const byProvider = dice.chance(0.5);

  const { id } = await untilAnswered(() => consumer.operator.negotiate(wish));
  const { state, agreementId } = await untilState(consumer.operator, 'negotiation', id, ['FINALIZED']);
  if (state !== 'FINALIZED') throw new Error(`the negotiation ${id} ended as ${state}`);

  const request = { agreementId: agreementId!, format: 'HttpData-PULL' };
  const { id: mine } = await untilAnswered(() => consumer.operator.requestTransfer(request));
  const { providerPid } = await untilState(consumer.operator, 'transfer', mine, ['STARTED']);
  const side = byProvider
    ? { operator: provider.operator, transfer: providerPid! }
    : { operator: consumer.operator, transfer: mine };
  if (pauses) {
    await unlessIllegal(() => side.operator.suspendTransfer(side.transfer, { reason: 'a pause' }));
    await untilState(consumer.operator, 'transfer', mine, ['SUSPENDED', ...FINAL]);
    await untilState(provider.operator, 'transfer', providerPid!, ['SUSPENDED', ...FINAL]);
    await unlessIllegal(() => side.operator.startTransfer(side.transfer));
    await untilState(consumer.operator, 'transfer', mine, ['STARTED', ...FINAL]);
  }
  await unlessIllegal(() => side.operator[ends](side.transfer));
  await untilState(consumer.operator, 'transfer', mine, FINAL);
  await untilState(provider.operator, 'transfer', providerPid!, FINAL);
}

/**
 * Ends what operators know nothing of: a call whose answer was lost to a crash was made again, and both had their
 * effect. Waits until nothing is open any more on either side.
 */
export async function settle({ provider, consumer }: ConnectorPair): Promise<void> {
  for (const { operator } of [consumer, provider]) {
    for (const { id } of await untilAnswered(() => operator.negotiations())) {
      await untilState(operator, 'negotiation', id, ['FINALIZED', 'TERMINATED']);
    }
  }
  for (const { id, state } of await untilAnswered(() => consumer.operator.transfers())) {
    if (FINAL.includes(state)) continue;
    await untilState(consumer.operator, 'transfer', id, ['STARTED', 'SUSPENDED', ...FINAL]);
    await unlessIllegal(() => consumer.operator.terminateTransfer(id, { reason: 'nobody wants it' }));
  }
  for (const { operator } of [consumer, provider]) {
    for (const { id } of await untilAnswered(() => operator.transfers())) {
      await untilState(operator, 'transfer', id, FINAL);
    }
  }
}
