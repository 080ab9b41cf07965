/** A connection or a connector that fails at any message of a negotiation: nothing is lost, nothing happens twice. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDataSpace, publish, type DataSpace, type JoinOptions } from '../../../test/src/connectors.ts';
import { FoedusError } from '../errors.ts';

let space: DataSpace;
beforeAll(async () => {
  space = await createDataSpace();
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

const steps = [
  'ContractRequestMessage',
  'ContractAgreementMessage',
  'ContractAgreementVerificationMessage',
  'FINALIZED',
];
const cases = steps.flatMap((step) => (['before', 'after'] as const).map((when) => ({ step, when })));

it.each(cases)('a negotiation ends well when the sender dies $when $step has arrived', async ({ step, when }) => {
  const { promise: cut, resolve } = Promise.withResolvers<void>();
  let broken = true;
  const network: JoinOptions['network'] = (fetch) => async (url, init) => {
    const isStep = typeof init?.body === 'string' && init.body.includes(`"${step}"`);
    if (!isStep || !broken) return await fetch(url, init);
    if (when === 'after') await fetch(url, init);
    resolve();
    throw new FoedusError('unavailable', 'the connection is gone');
  };
  const name = `${step.toLowerCase()}-${when}`;
  const provider = await space.join(`provider-${name}`, { network });
  const consumer = await space.join(`consumer-${name}`, { network });
  const { datasetId, offerId } = await publish(provider, space.file);
  const counterPartyAddress = provider.connector.protocolUrl;
  const { id } = await consumer.operator.negotiate({ counterPartyAddress, datasetId, offerId });
  await cut;
  const sender =
    step === 'ContractRequestMessage' || step === 'ContractAgreementVerificationMessage' ? consumer : provider;
  broken = false;
  const again = await sender.restart();
  const operators = sender === consumer ? [again.operator, provider.operator] : [consumer.operator, again.operator];

  const ended = await operators[0]!.negotiationUntil(id, ['FINALIZED']);
  await operators[1]!.negotiationUntil(ended.providerPid!, ['FINALIZED']);
  for (const operator of operators) {
    expect((await operator.negotiations()).map(({ state }) => state)).toEqual(['FINALIZED']);
    expect((await operator.agreements()).map((agreement) => agreement.id)).toEqual([ended.agreementId]);
  }
  await again.connector[Symbol.asyncDispose]();
});

it('a negotiation with a provider that stays away is terminated with the reason', async () => {
  const provider = await space.join('absent');
  const network: JoinOptions['network'] = (fetch) => async (url, init) => {
    if (typeof init?.body !== 'string' || !init.body.includes('"ContractRequestMessage"'))
      return await fetch(url, init);
    throw new FoedusError('unavailable', 'nobody there');
  };
  const consumer = await space.join('patient', { network, delivery: { giveUpAfterSeconds: 0.3 } });
  const { datasetId, offerId } = await publish(provider, space.file);
  const counterPartyAddress = provider.connector.protocolUrl;
  const { id } = await consumer.operator.negotiate({ counterPartyAddress, datasetId, offerId });
  const ended = await consumer.operator.negotiationUntil(id, ['TERMINATED']);
  expect(ended.reason).toMatch(/could not be reached .*: nobody there/);
});
