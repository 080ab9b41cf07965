import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDataSpace, publish, type DataSpace, type Participant } from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';

const schemas = loadDspSchemas();
let space: DataSpace;
let provider: Participant;
let consumer: Participant;

beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider');
  consumer = await space.join('consumer');
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

describe('a negotiation of a published offer', () => {
  it('ends with an agreement that both sides hold with both signatures', async () => {
    const { datasetId, offerId } = await publish(provider, space.file);
    const begun = await consumer.operator.negotiate({
      counterPartyAddress: provider.connector.protocolUrl,
      datasetId,
      offerId,
    });
    expect(begun.state).toBe('REQUESTED');
    const ended = await consumer.operator.negotiationUntil(begun.id, ['FINALIZED', 'TERMINATED']);
    expect(ended).toMatchObject({ state: 'FINALIZED', counterPartyId: provider.participantId });

    const own = await consumer.operator.agreement(ended.agreementId!);
    const theirs = await provider.operator.agreement(ended.agreementId!);
    expect(own).toMatchObject({ finalized: true, assigner: provider.participantId, assignee: consumer.participantId });
    expect(theirs.agreement).toEqual(own.agreement);
    expect(theirs.signatures).toEqual(own.signatures);
    for (const { identity } of [provider, consumer]) {
      await identity.verify(own.signatures.provider!, own.agreement, provider.participantId);
      await identity.verify(own.signatures.consumer!, own.agreement, consumer.participantId);
    }
  });
});

it.skipIf(!schemas)('every message and answer is valid by the published schemas', () => {
  expect(space.exchanges.length).toBeGreaterThan(5);
  for (const { body, answer } of space.exchanges) {
    if (body !== undefined) expect(schemas?.faultsOf(body)).toEqual([]);
    if (answer !== undefined) expect(schemas?.faultsOf(answer)).toEqual([]);
  }
});
