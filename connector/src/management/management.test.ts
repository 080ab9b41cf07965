import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';

let space: DataSpace;
let node: Participant;
let other: Participant;

beforeAll(async () => {
  space = await createDataSpace();
  node = await space.join('node');
  other = await space.join('other');
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

const call = async (path: string, init: RequestInit = {}) => {
  const response = await fetch(node.connector.managementUrl + path, {
    ...init,
    headers: { authorization: `Bearer ${node.token}` },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};
const asset = (id: string) => ({
  id,
  title: 'T',
  source: { type: 'parquet' as const, path: space.file },
  formats: ['x'],
});

describe('publications', () => {
  it('are put again and again without a difference, and read back', async () => {
    const one = await node.operator.putAsset(asset('a1'));
    expect(await node.operator.putAsset(asset('a1'))).toEqual(one);
    expect(await node.operator.asset('a1')).toEqual(asset('a1'));
    expect(await node.operator.assets()).toEqual([asset('a1')]);
  });

  it('are refused with the reason when they refer to what is not there', async () => {
    const { operator } = node;
    await operator.putPolicy({ id: 'p1', policy: policyTemplate });
    await expect(operator.putContractDefinition({ id: 'c', assets: ['nothing'], policy: 'p1' })).rejects.toMatchObject({
      code: 'bad-request',
      message: expect.stringContaining('no asset nothing'),
    });
    await expect(operator.putContractDefinition({ id: 'c', assets: ['a1'], policy: 'none' })).rejects.toMatchObject({
      message: expect.stringContaining('no policy none'),
    });
    const lost = { ...asset('a2'), source: { type: 'parquet' as const, path: '/nowhere/file.parquet' } };
    await expect(operator.putAsset(lost)).rejects.toMatchObject({ message: expect.stringContaining('/nowhere') });
    expect(await operator.contractDefinitions()).toEqual([]);
  });

  it.each([
    ['no rule at all', {}, /at least one permission/],
    ['a number as right operand', { leftOperand: 'count', operator: 'lteq', rightOperand: 5 }, /rightOperand/],
    [
      'an operand that nobody here knows',
      { leftOperand: 'moonPhase', operator: 'eq', rightOperand: 'full' },
      /moonPhase/,
    ],
    [
      'a column filter that makes no sense',
      { leftOperand: 'https://w3id.org/foedus/policy#columns', operator: 'lt', rightOperand: 'a' },
      /columns/,
    ],
  ])('refuse a policy with %s', async (_what, constraint, reason) => {
    const rules =
      Object.keys(constraint).length === 0 ? {} : { permission: [{ action: 'use', constraint: [constraint] }] };
    await expect(node.operator.putPolicy({ id: 'bad', policy: rules })).rejects.toMatchObject({
      code: 'bad-request',
      message: expect.stringMatching(reason),
    });
  });

  it('are not deleted while something refers to them', async () => {
    const { operator } = node;
    await operator.putContractDefinition({ id: 'c1', assets: ['a1'], policy: 'p1' });
    await expect(operator.deleteAsset('a1')).rejects.toMatchObject({ code: 'conflict' });
    await expect(operator.deletePolicy('p1')).rejects.toMatchObject({ code: 'conflict' });
    await operator.deleteContractDefinition('c1');
    await operator.deletePolicy('p1');
    await operator.deleteAsset('a1');
    await expect(operator.deleteAsset('a1')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('must carry the id of their path', async () => {
    const { status, body } = await call('/assets/other', { method: 'PUT', body: JSON.stringify(asset('one')) });
    expect({ status, code: body['code'] }).toEqual({ status: 400, code: 'bad-request' });
  });
});

describe('the operator’s API', () => {
  it('lets nobody in without the token, except to its health', async () => {
    const { managementUrl } = node.connector;
    for (const path of ['/assets', '/events', '/usage/accounts/x', '/nothing']) {
      expect((await fetch(managementUrl + path)).status).toBe(401);
    }
    expect(await (await fetch(`${managementUrl}/health`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${managementUrl}/ready`)).json()).toEqual({
      status: 'ready',
      delivery: { unreachablePeers: 0, processesWaiting: 0 },
    });
  });

  it.each([
    ['/negotiations/x', 404, 'not-found'],
    ['/negotiations/x?until=SOON', 400, 'bad-request'],
    ['/transfers/x?wait=1000', 400, 'bad-request'],
    ['/data-flows/F/transfers?after=x', 400, 'bad-request'],
    ['/nothing', 404, 'not-found'],
  ])('answers %s with a problem', async (path, status, code) => {
    const answer = await call(path);
    expect({ status: answer.status, code: answer.body['code'] }).toEqual({ status, code });
  });

  it('answers hostile bodies with problems', async () => {
    for (const body of ['', 'null', '[]', '{"a":', '{"counterPartyAddress":"http://x"}', `"${'x'.repeat(1 << 20)}"`]) {
      const answer = await call('/negotiations', { method: 'POST', body });
      expect([400, 413]).toContain(answer.status);
    }
  });

  it('says who does not answer, who is no connector, and that one does not negotiate with oneself', async () => {
    const { operator, connector } = node;
    const wish = { datasetId: 'd', offerId: 'o' };
    const nobody = operator.negotiate({ ...wish, counterPartyAddress: 'https://localhost:1' });
    await expect(nobody).rejects.toMatchObject({ code: 'unavailable' });
    const { offerId, datasetId } = await publish(node, space.file);
    const self = operator.negotiate({ datasetId, offerId, counterPartyAddress: connector.protocolUrl });
    await expect(self).rejects.toMatchObject({ code: 'bad-request' });
    const there = { counterPartyAddress: connector.protocolUrl };
    await expect(other.operator.negotiate({ ...there, ...wish })).rejects.toMatchObject({ code: 'not-found' });
    await expect(other.operator.negotiate({ ...there, datasetId, offerId: 'o' })).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining(offerId),
    });
  });

  it('hands out the other connector’s catalog as it came', async () => {
    const catalog = await other.operator.requestCatalog(node.connector.protocolUrl);
    expect(catalog).toMatchObject({ '@type': 'Catalog', participantId: node.participantId });
    expect(JSON.stringify(catalog)).toContain('flights-contract:flights');
  });

  it('streams business events, and goes on after the last one seen', async () => {
    const left = new AbortController();
    const open = async (headers: Record<string, string>) => {
      const response = await fetch(`${other.connector.managementUrl}/events`, {
        headers: { authorization: `Bearer ${other.token}`, ...headers },
        signal: left.signal,
      });
      return response.body!.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    };
    const live = await open({});
    expect((await live.next()).value).toMatch(/^: events/);
    const counterPartyAddress = node.connector.protocolUrl;
    const wish = { counterPartyAddress, datasetId: 'flights', offerId: 'flights-contract:flights' };
    const { id } = await other.operator.negotiate(wish);
    await other.operator.negotiationUntil(id, ['FINALIZED']);
    let text = '';
    while (!text.includes('"state":"FINALIZED"')) text += (await live.next()).value;
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
    expect(text).toMatch(/event: agreement\ndata: \{"at":"[^"]+","type":"agreement"/);

    const later = await open({ 'last-event-id': String(ids.at(-2)) });
    let rest = '';
    while (!rest.includes('id: ')) rest += (await later.next()).value;
    expect(rest).toContain(`id: ${ids.at(-1)}`);
    left.abort();
  });

  it('ends open long polls at once when the connector stops', async () => {
    const short = await space.join('short');
    const { managementUrl } = short.connector;
    const poll = fetch(`${managementUrl}/data-flows/F/transfers?after=0&wait=60`, {
      headers: { authorization: `Bearer ${short.token}` },
    });
    // The poll is waiting once a later request has been answered.
    await short.operator.assets();
    await short.connector[Symbol.asyncDispose]();
    expect(await (await poll).json()).toEqual({ version: 0, transfers: [] });
  });
});
