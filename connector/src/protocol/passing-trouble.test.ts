import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createDataSpace, policyTemplate, publish } from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import { createScriptedPeer, message } from '../../../test/src/scripted-peer.ts';

it('a message that comes while the store cannot be written is answered 503, and taken when it comes again', async () => {
  await using space = await createDataSpace();
  const provider = await space.join('provider');
  await using peer = await createScriptedPeer(await space.enrol('peer'));
  await publish(provider, space.file);
  const url = `${provider.connector.protocolUrl}/2025-1/negotiations/request`;
  const request = message('ContractRequestMessage', {
    consumerPid: `urn:uuid:${randomUUID()}`,
    offer: {
      '@type': 'Offer',
      '@id': 'flights-contract:flights',
      target: 'flights',
      permission: policyTemplate.permission,
    },
    callbackAddress: peer.address,
  });

  const other = new DatabaseSync(join(space.folder, 'provider', 'data', 'connector.sqlite'));
  other.exec('BEGIN IMMEDIATE');
  const { status, body } = await peer.post(url, request);
  other.exec('ROLLBACK');
  other.close();
  expect({ status, body }).toMatchObject({ status: 503, body: { '@type': 'ContractNegotiationError' } });
  expect(loadDspSchemas()?.faultsOf(body) ?? []).toEqual([]);
  expect(await provider.operator.negotiations()).toEqual([]);
  expect((await peer.post(url, request)).status).toBe(201);
  await peer.next('ContractAgreementMessage');
});
