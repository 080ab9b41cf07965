import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';
import { createScriptedPeer } from '../../../test/src/scripted-peer.ts';

let space: DataSpace;
let consumer: Participant;
beforeAll(async () => {
  space = await createDataSpace();
  consumer = await space.join('consumer');
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});

const idsOf = (catalog: Record<string, unknown>): string[] =>
  (catalog['dataset'] as { '@id': string }[]).map((dataset) => dataset['@id']);

describe('the catalog of another connector', () => {
  it('comes whole, however many pages it has, or as far as asked for', async () => {
    const provider = await space.join('provider', { catalog: { pageSize: 2 } });
    const ids = ['a', 'b', 'c', 'd', 'e'];
    for (const assetId of ids) await publish(provider, space.file, { assetId });
    const { protocolUrl } = provider.connector;
    const whole = await consumer.operator.requestCatalog(protocolUrl);
    expect(whole).toMatchObject({ '@type': 'Catalog', participantId: provider.participantId });
    expect(idsOf(whole)).toEqual(ids);
    expect(idsOf(await consumer.operator.requestCatalog(protocolUrl, { limit: 3 }))).toEqual(ids.slice(0, 4));
    const filter = [{ operandLeft: 'id', operator: 'in', operandRight: ['e', 'b'] }];
    expect(idsOf(await consumer.operator.requestCatalog(protocolUrl, { filter }))).toEqual(['b', 'e']);
    const nonsense = consumer.operator.requestCatalog(protocolUrl, { filter: ['nonsense'] });
    await expect(nonsense).rejects.toMatchObject({ message: expect.stringContaining('$.filter[0]') });
  });

  const context = ['https://w3id.org/dspace/2025/1/context.jsonld'];
  const strange = async (
    name: string,
    answer: (page: number, self: string) => { participantId?: string; link?: string; dataset?: unknown },
  ): Promise<Record<string, unknown>> => {
    const identity = await space.enrol(name);
    let page = 0;
    const app = new Hono()
      .get('/.well-known/dspace-version', (c) =>
        c.json({ protocolVersions: [{ version: '2025-1', path: '/dsp', binding: 'HTTPS' }] }),
      )
      .post('/dsp/catalog/request', (c) => {
        const { link, ...fields } = answer((page += 1), new URL(c.req.url).origin);
        const { participantId } = identity;
        const catalog = { '@context': context, '@id': 'urn:c', '@type': 'Catalog', participantId, ...fields };
        return c.json(catalog, 200, link === undefined ? {} : { link });
      });
    await using peer = await createScriptedPeer(identity, undefined, app);
    return await consumer.operator.requestCatalog(new URL(peer.address).origin);
  };
  const dataset = (id: string) => ({ '@id': id, hasPolicy: [{ '@id': 'urn:o', ...policyTemplate }] });

  it('may be linked by relative addresses, and have a single data set that is in no list', async () => {
    const found = await strange('relative', (page) =>
      page === 1 ? { link: '</dsp/catalog/request?p=2>;rel=next', dataset: dataset('x') } : { dataset: [dataset('y')] },
    );
    expect(idsOf(found)).toEqual(['x', 'y']);
  });

  it.each([
    ['goes on at another address', { link: '<https://elsewhere.example/dsp>; rel="next"' }, /outside/],
    ['goes on at an address with a password', { link: '<https://a:b@localhost/dsp>; rel=next' }, /outside/],
    ['goes round in circles', { link: '<?again>; rel="next"' }, /have no end/],
    ['has data sets without a name', { dataset: [{ title: 'x' }] }, /\$\.dataset/],
  ])('is refused when it %s', async (what, answer, reason) => {
    const asked = strange(`strange-${what.length}`, () => answer);
    await expect(asked).rejects.toMatchObject({ code: 'bad-request', message: expect.stringMatching(reason) });
  });

  it('is refused when a page is of somebody else', async () => {
    const asked = strange('two-faced', (page) =>
      page === 1 ? { link: '<?2>; rel=next' } : { participantId: 'did:web:other.example' },
    );
    await expect(asked).rejects.toMatchObject({
      code: 'bad-request',
      message: expect.stringContaining('other.example'),
    });
  });

  it('is refused when its first page claims to be of somebody else, as soon as there is a second', async () => {
    const asked = strange('liar', () => ({ participantId: consumer.participantId, link: '<?2>; rel=next' }));
    await expect(asked).rejects.toMatchObject({ code: 'wrong-peer' });
  });
});

describe('an offer of another connector', () => {
  it('is asked for once by all who want it at the same time, and where its connector is, is remembered', async () => {
    const provider = await space.join('well-known');
    const offered = await publish(provider, space.file);
    const counterPartyAddress = provider.connector.protocolUrl;
    const asked = (): string[] =>
      space.exchanges
        .filter(({ from, url }) => from === consumer.participantId && url.startsWith(counterPartyAddress))
        .flatMap(({ url }) => /well-known|catalog\/[a-z]+/.exec(url) ?? []);
    const negotiate = async (): Promise<void> => {
      const { id } = await consumer.operator.negotiate({ counterPartyAddress, ...offered });
      await consumer.operator.negotiationUntil(id, ['FINALIZED']);
    };
    await Promise.all(Array.from({ length: 5 }, negotiate));
    expect(asked().toSorted()).toEqual(['catalog/datasets', 'catalog/request', 'well-known']);
    await negotiate();
    expect(asked().length).toBe(4);
    // What is offered is looked at each time.
    await provider.operator.deleteContractDefinition('flights-contract');
    await expect(negotiate()).rejects.toMatchObject({ code: 'not-found' });
  });

  it('is found at the same address when somebody else has moved in there', async () => {
    const before = await space.join('before');
    const counterPartyAddress = before.connector.protocolUrl;
    const wish = { counterPartyAddress, ...(await publish(before, space.file)) };
    expect((await consumer.operator.negotiate(wish)).counterPartyId).toBe(before.participantId);
    await before.connector[Symbol.asyncDispose]();
    const ports = { protocol: Number(new URL(counterPartyAddress).port), management: 0 };
    const after = await space.join('after', { ports });
    await publish(after, space.file);
    expect((await consumer.operator.negotiate(wish)).counterPartyId).toBe(after.participantId);
  });
});
