import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CONSUMER, agreement, nothingSpent, permission, useRequest } from '../agreement.fixture.ts';
import { compile } from '../compile.ts';
import type { UsageRequest } from '../model.ts';
import { parsePolicy } from '../parse.ts';
import { Unreadable } from '../policy-error.ts';
import { TRAIN } from '../terms.ts';
import { decideWithLocalRules } from './local-rules.ts';
import { opaRules, type OpaOptions } from './opa.ts';

const compiled = compile(parsePolicy(agreement({ permission: [permission('use'), permission(TRAIN)] })));

function judge(options: OpaOptions, request: UsageRequest = useRequest(), signal?: AbortSignal) {
  const context = { agreementId: 'urn:a', dataSet: 'urn:flights' };
  return decideWithLocalRules(compiled, request, nothingSpent, [opaRules(options)], context, signal);
}

interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** Answers as OPA's REST API documents it, or as a broken server would. */
describe('an OPA server', () => {
  let server: Server;
  let url: string;
  const asked: { method: string; url: string; body: string; authorization: string | undefined }[] = [];
  let answers: (path: string) => Answer | undefined;

  beforeAll(async () => {
    server = createServer((request: IncomingMessage, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const { method = '', url: path = '' } = request;
        asked.push({
          method,
          url: path,
          body: Buffer.concat(parts).toString(),
          authorization: request.headers.authorization,
        });
        const answer = answers(path);
        if (answer === undefined) return;
        const { status = 200, body, headers = {} } = answer;
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => void (asked.length = 0));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const policies = { result: [{ id: 'foedus.rego', raw: 'package foedus', ast: {} }] };
  const deciding =
    (result: unknown, more: object = {}) =>
    (path: string) =>
      path.startsWith('/v1/data/') ? { body: { result, ...more } } : { body: policies };

  test('is told the use, and its verdict counts', async () => {
    answers = deciding({ allow: false, reasons: ['Not on Sundays.'] });
    const decision = await judge({ url, path: 'foedus/usage', token: 'secret' }, useRequest({ columns: ['delay'] }));
    expect(decision.reasons).toEqual(['The local rules opa:foedus/usage refuse: Not on Sundays.']);
    const [question] = asked;
    expect(question).toMatchObject({
      method: 'POST',
      url: '/v1/data/foedus/usage?provenance=true',
      authorization: 'Bearer secret',
    });
    expect(JSON.parse(question?.body ?? '')).toMatchObject({
      input: {
        agreement: 'urn:a',
        dataSet: 'urn:flights',
        action: 'use',
        assignee: CONSUMER,
        columns: ['delay'],
        plan: { columns: ['delay'] },
        charges: [{ meter: 'uses', amount: 1 }],
        policyDigest: compiled.digest,
      },
    });
  });

  test.each([
    ['true', true, true],
    ['false', false, false],
    ['an object that allows', { allow: true }, true],
    ['an object that allows, and more', { allow: true, audit: 'x' }, true],
    ['an undefined document', undefined, false],
    ['a text', 'true', false],
    ['a number', 1, false],
    ['a list', [true], false],
    ['an object without allow', { deny: [] }, false],
    ['an object whose allow is a text', { allow: 'true' }, false],
    ['null', null, false],
  ])('that answers %s permits: %s → %s', async (_, result, permit) => {
    answers = deciding(result);
    expect((await judge({ url, path: 'foedus/usage' })).permit).toBe(permit);
  });

  test.each([
    ['an error', { status: 500, body: { code: 'internal_error', message: 'x' } }],
    ['a refusal', { status: 401, body: { code: 'unauthorized' } }],
    ['a redirect', { status: 307, headers: { location: 'http://127.0.0.1:1/' }, body: '' }],
    ['no JSON', { body: '<html>' }],
    ['too much', { body: { result: true, more: 'x'.repeat(100_000) } }],
  ])('that answers with %s denies', async (_, answer) => {
    answers = () => answer;
    const decision = await judge({ url, path: 'foedus/usage' });
    expect(decision).toMatchObject({ permit: false, localRules: [{ digest: null }] });
    expect(decision.reasons[0]).toMatch(/could not be asked/);
  });

  test('that never answers denies when the time is over', async () => {
    answers = () => undefined;
    const decision = await judge({ url, path: 'foedus/usage', timeoutMs: 30 });
    expect(decision.permit).toBe(false);
  });

  test('is not waited for after an abort', async () => {
    answers = () => undefined;
    const decision = await judge({ url, path: 'foedus/usage', timeoutMs: 60_000 }, useRequest(), AbortSignal.abort());
    expect(decision.permit).toBe(false);
  });

  test('that does not run denies', async () => {
    const decision = await judge({ url: 'http://127.0.0.1:1', path: 'foedus/usage' });
    expect(decision.permit).toBe(false);
  });

  test('with bundles is known by their revisions, without asking for its policies', async () => {
    answers = deciding(true, { provenance: { version: '1', bundles: { ours: { revision: '7' } } } });
    const first = await judge({ url, path: 'foedus/usage' });
    expect(asked).toHaveLength(1);
    answers = deciding(true, { provenance: { version: '1', bundles: { ours: { revision: '8' } } } });
    const second = await judge({ url, path: 'foedus/usage' });
    expect(first.localRules[0]?.digest).not.toBe(second.localRules[0]?.digest);
  });

  test('whose policies change between question and answer denies', async () => {
    let revision = 0;
    answers = (path) =>
      path.startsWith('/v1/data/')
        ? { body: { result: true } }
        : { body: { result: [{ id: 'a', raw: `package a # ${(revision += 1)}` }] } };
    const decision = await judge({ url, path: 'foedus/usage' });
    expect(decision.reasons[0]).toMatch(/policies changed/);
  });

  test('is asked once for each use while its policies stay the same', async () => {
    answers = deciding(true);
    const rules = opaRules({ url, path: 'foedus/usage' });
    const context = { agreementId: 'urn:a', dataSet: 'urn:flights' };
    const decideOnce = () => decideWithLocalRules(compiled, useRequest(), nothingSpent, [rules], context);
    await decideOnce();
    asked.length = 0;
    expect((await decideOnce()).permit).toBe(true);
    expect(asked.map(({ method }) => method)).toEqual(['POST', 'GET']);
  });

  test.each([
    'http://opa.example:8181',
    'ftp://127.0.0.1',
    'https://user:pass@opa.example',
    'http://127.0.0.1.evil.example',
    'https://opa.example/?x=1',
    'opa',
  ])('is refused at the address %s', (address) => {
    expect(() => opaRules({ url: address, path: 'foedus/usage' })).toThrow(Unreadable);
  });

  test.each(['', '../policies', 'a//b', 'a?b', 'a b', '%2e%2e'])('is refused with the path "%s"', (path) => {
    expect(() => opaRules({ url, path })).toThrow(Unreadable);
  });
});
