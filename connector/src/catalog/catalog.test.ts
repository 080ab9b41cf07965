import { gunzipSync } from 'node:zlib';
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDataSpace, policyTemplate, type DataSpace, type Participant } from '../../../test/src/connectors.ts';
import { loadDspSchemas } from '../../../test/src/dsp-schemas.ts';
import { createScriptedPeer, message, type ScriptedPeer } from '../../../test/src/scripted-peer.ts';
import { linkTo } from './link-header.ts';

const PAGE = 5;
const schemas = loadDspSchemas();
let now = new Date('2026-06-01T12:00:00Z');
let space: DataSpace;
let provider: Participant;
let consumer: Participant;
let stranger: ScriptedPeer;

beforeAll(async () => {
  space = await createDataSpace();
  provider = await space.join('provider', { catalog: { pageSize: PAGE }, clock: () => now });
  consumer = await space.join('consumer');
  stranger = await createScriptedPeer(await space.enrol('stranger'));
  await provider.operator.putPolicy({ id: 'terms', policy: policyTemplate });
  for (let index = 0; index < 13; index += 1) await offer(name(index));
});
afterAll(async () => {
  await stranger[Symbol.asyncDispose]();
  await space[Symbol.asyncDispose]();
});

const name = (index: number): string => `flights-${String(index).padStart(2, '0')}`;
const offer = async (id: string, terms: { audience?: string[]; accessPolicy?: string } = {}): Promise<void> => {
  const source = { type: 'parquet' as const, path: space.file };
  const description = 'Scheduled and actual times, one row a flight. '.repeat(50);
  await provider.operator.putAsset({ id, title: `Flights ${id}`, description, source, formats: ['HttpData-PULL'] });
  await provider.operator.putContractDefinition({ id: `${id}-offer`, assets: [id], policy: 'terms', ...terms });
};
const withdraw = async (id: string): Promise<void> => {
  await provider.operator.deleteContractDefinition(`${id}-offer`);
  await provider.operator.deleteAsset(id);
};

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & { dataset?: { '@id': string }[]; reason?: string[] };
  readonly ids: string[];
  readonly link: string;
}
const root = (): string => `${provider.connector.protocolUrl}/2025-1`;
const ask = async (
  who: Pick<Participant, 'peer'>,
  { url = `${root()}/catalog/request`, filter }: { url?: string | undefined; filter?: unknown } = {},
): Promise<Answer> => {
  const body = message('CatalogRequestMessage', filter === undefined ? {} : { filter });
  const response = await who.peer.fetch(url, { method: 'POST', body: JSON.stringify(body) });
  const answer = (await response.json()) as Answer['body'];
  if (schemas) expect(schemas.faultsOf(answer)).toEqual([]);
  const ids = (answer.dataset ?? []).map((dataset) => dataset['@id']);
  return { status: response.status, body: answer, ids, link: response.headers.get('link') ?? '' };
};
/** All pages from one on, in one direction. */
const walk = async (relation: 'next' | 'previous', from: Answer): Promise<Answer[]> => {
  const pages = [from];
  for (let url = linkTo(from.link, relation); url; url = linkTo(pages.at(-1)!.link, relation)) {
    pages.push(await ask(consumer, { url }));
  }
  return pages;
};
const all = Array.from({ length: 13 }, (_, index) => name(index));

describe('the pages of a catalog', () => {
  it('are linked in both directions, and hold every data set once', async () => {
    const first = await ask(consumer);
    expect(first.link).toMatch(/^<https:\/\/[^>]+\/catalog\/request\?continuationToken=[^>]+>; rel="next"$/);
    const pages = await walk('next', first);
    expect(pages.map(({ ids }) => ids)).toEqual([all.slice(0, 5), all.slice(5, 10), all.slice(10)]);
    expect(linkTo(pages[2]!.link, 'next')).toBeUndefined();
    const back = await walk('previous', pages[2]!);
    expect(back.map(({ ids }) => ids)).toEqual([all.slice(10), all.slice(5, 10), all.slice(0, 5)]);
    expect(linkTo(back[2]!.link, 'previous')).toBeUndefined();
    expect((await walk('next', back[2]!)).flatMap(({ ids }) => ids)).toEqual(all);
  });

  it('neither lose nor repeat a data set when others come and go meanwhile', async () => {
    const first = await ask(consumer);
    await offer('a-new-first-one');
    await offer('flights-07-b');
    const [, second, third] = await walk('next', first);
    expect(second!.ids).toEqual([name(5), name(6), name(7), 'flights-07-b', name(8)]);
    await withdraw('a-new-first-one');
    await withdraw('flights-07-b');
    expect(third!.ids).toEqual(all.slice(9));
  });

  it('are asked for with the token of the same caller for the same filter, and with no other', async () => {
    const { link } = await ask(consumer);
    const url = linkTo(link, 'next')!;
    const refused = async (answer: Promise<Answer>): Promise<void> => {
      const { status, body } = await answer;
      expect({ status, type: body['@type'] }).toEqual({ status: 400, type: 'CatalogError' });
      expect(body.reason?.[0]).toMatch(/^continuationToken: /);
    };
    await refused(ask({ peer: provider.peer }, { url }));
    await refused(ask(consumer, { url, filter: [{ operandLeft: 'id', operator: '=', operandRight: 'x' }] }));
    await refused(ask(consumer, { url: `${url}A` }));
    await refused(ask(consumer, { url: `${url}&continuationToken=again` }));
    const [payload, mac] = new URL(url).searchParams.get('continuationToken')!.split('.');
    const other = Buffer.from(JSON.stringify({ after: '' })).toString('base64url');
    expect(payload).not.toBe(other);
    await refused(ask(consumer, { url: `${root()}/catalog/request?continuationToken=${other}.${mac}` }));
    await refused(ask(consumer, { url: `${root()}/catalog/request?continuationToken=` }));
  });

  it('start where the offset of an EDC query says, and are no longer than its limit', async () => {
    const filter = { '@type': 'QuerySpec', offset: 2, limit: 3, sortOrder: 'ASC', filterExpression: [] };
    const pages = await walkWith(filter);
    expect(pages).toEqual([all.slice(2, 5), all.slice(5, 8), all.slice(8, 11), all.slice(11)]);
  });

  const walkWith = async (filter: unknown): Promise<string[][]> => {
    const pages: string[][] = [];
    for (let url: string | undefined = `${root()}/catalog/request`; url !== undefined;) {
      const answer: Answer = await ask(consumer, { url, filter });
      pages.push(answer.ids);
      url = linkTo(answer.link, 'next');
    }
    return pages;
  };

  it('are compressed for those who accept it', async () => {
    const { tls } = consumer.identity;
    const fetched = await new Promise<{ encoding: unknown; body: Buffer }>((resolve, reject) => {
      const headers = { 'accept-encoding': 'br;q=1, gzip;q=0.5' };
      const call = request(`${root()}/catalog/request`, { ...tls, method: 'POST', headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        const encoding = response.headers['content-encoding'];
        response.on('end', () => resolve({ encoding, body: Buffer.concat(chunks) }));
      });
      call.on('error', reject);
      call.end(JSON.stringify(message('CatalogRequestMessage', {})));
    });
    expect(fetched.encoding).toBe('gzip');
    expect(JSON.parse(gunzipSync(fetched.body).toString('utf8'))).toMatchObject({ '@type': 'Catalog' });
  });
});

describe('a filtered catalog', () => {
  it('holds what fits', async () => {
    const { ids } = await ask(consumer, {
      filter: [
        { operandLeft: 'id', operator: 'like', operandRight: 'flights-0%' },
        { operandLeft: 'dct:title', operator: '>=', operandRight: 'Flights flights-06' },
      ],
    });
    expect(ids).toEqual(all.slice(6, 10));
  });

  it('is refused with the JSON path of whatever is not understood', async () => {
    const { status, body } = await ask(consumer, { filter: [{ operandLeft: 'source', operator: '~' }] });
    expect({ status, type: body['@type'], code: body['code'] }).toEqual({
      status: 400,
      type: 'CatalogError',
      code: 'bad-request',
    });
    expect(body.reason).toEqual([
      expect.stringMatching(/^\$\.filter\[0\]\.operandLeft: must be one of id,/),
      expect.stringMatching(/^\$\.filter\[0\]\.operator: must be one of =/),
      expect.stringMatching(/^\$\.filter\[0\]\.operandRight: must be a text/),
    ]);
  });
});

describe('what a caller is not to see', () => {
  const seenBy = async (who: Pick<Participant, 'peer'>, id: string) => {
    const { ids } = await ask(who, { filter: [{ operandLeft: 'id', operator: '=', operandRight: id }] });
    const single = await who.peer.fetch(`${root()}/catalog/datasets/${id}`);
    const body = (await single.json()) as Record<string, unknown>;
    if (schemas && single.status !== 200) expect(schemas.faultsOf(body)).toEqual([]);
    return { ids, status: single.status, type: body['@type'] };
  };
  const access = (rule: object) => ({
    '@context': 'http://www.w3.org/ns/odrl.jsonld',
    '@type': 'Set',
    permission: [{ action: 'https://w3id.org/foedus/policy#access', ...rule }],
  });
  const hidden = { ids: [], status: 404, type: 'CatalogError' };
  const seen = (id: string) => ({ ids: [id], status: 200, type: 'Dataset' });

  it('is not there for it: neither for those whom a definition does not name', async () => {
    await offer('for-consumer', { audience: [consumer.participantId] });
    expect(await seenBy(consumer, 'for-consumer')).toEqual(seen('for-consumer'));
    expect(await seenBy(provider, 'for-consumer')).toEqual(hidden);
    await withdraw('for-consumer');
  });

  it('nor for those whom the access policy does not permit it, nor outside of its time', async () => {
    const until = { leftOperand: 'dateTime', operator: 'lt', rightOperand: '2026-07-01T00:00:00Z' };
    const policy = access({ assignee: consumer.participantId, constraint: [until] });
    await provider.operator.putPolicy({ id: 'access', policy });
    await offer('by-access', { accessPolicy: 'access' });
    expect(await seenBy(consumer, 'by-access')).toEqual(seen('by-access'));
    expect(await seenBy(provider, 'by-access')).toEqual(hidden);
    now = new Date('2026-07-02T00:00:00Z');
    expect(await seenBy(consumer, 'by-access')).toEqual(hidden);
    now = new Date('2026-06-01T12:00:00Z');
    await provider.operator.putPolicy({ id: 'access', policy: access({ assignee: provider.participantId }) });
    expect(await seenBy(consumer, 'by-access')).toEqual(hidden);
    await expect(provider.operator.deletePolicy('access')).rejects.toMatchObject({ code: 'conflict' });
    await withdraw('by-access');
    await provider.operator.deletePolicy('access');
  });

  it('is refused in a negotiation as an offer that does not exist', async () => {
    await provider.operator.putPolicy({ id: 'access', policy: access({ assignee: 'did:web:somebody.example' }) });
    await offer('secret', { accessPolicy: 'access' });
    const answers: unknown[] = [];
    for (const id of ['secret', 'nothing']) {
      for (const target of [{ target: id }, {}]) {
        const asked = { ...policyTemplate, '@id': `${id}-offer:${id}`, '@type': 'Offer', ...target };
        const fields = { consumerPid: 'urn:c', offer: asked, callbackAddress: stranger.address };
        const { status, body } = await stranger.post(
          `${root()}/negotiations/request`,
          message('ContractRequestMessage', fields),
        );
        answers.push([status, JSON.stringify(body).replaceAll(id, '…')]);
      }
    }
    expect(answers.slice(0, 2)).toEqual(answers.slice(2));
    expect(answers[0]).toEqual([400, expect.stringContaining('no such offer')]);
    await withdraw('secret');
    await provider.operator.deletePolicy('access');
  });

  it('is decided by a policy that can: others are refused when they are written', async () => {
    const { operator } = provider;
    await expect(offer('x1', { accessPolicy: 'nowhere' })).rejects.toMatchObject({ code: 'bad-request' });
    await expect(offer('x1', { accessPolicy: 'terms' })).rejects.toMatchObject({
      message: expect.stringContaining('#access'),
    });
    await operator.putPolicy({ id: 'access', policy: access({}) });
    await offer('x1', { accessPolicy: 'access' });
    await expect(operator.putPolicy({ id: 'access', policy: policyTemplate })).rejects.toMatchObject({
      code: 'bad-request',
    });
    expect(await seenBy(provider, 'x1')).toEqual(seen('x1'));
    await withdraw('x1');
  });
});
