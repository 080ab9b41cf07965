import { request } from 'node:http';
import { readUpdate } from '@foedus/fl-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createFederation,
  parameters,
  plan,
  sessionEvents,
  type Federation,
  type RunningCoordinator,
} from './federation.ts';
import { enrolAll, scriptedClient } from './scripted-client.ts';

let federation: Federation;
let coordinator: RunningCoordinator;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd']);
  coordinator = await federation.coordinator({ awayAfterSeconds: 0.2, maxParameters: 1_000 });
});
afterAll(async () => {
  await coordinator?.[Symbol.asyncDispose]();
  await federation?.[Symbol.asyncDispose]();
});

const two = { minimumCohort: 2 };

describe('the way in', () => {
  test('is the token, or the cookie that the token buys', async () => {
    const url = coordinator.urls.operatorUrl;
    expect((await fetch(`${url}/api/sessions`)).status).toBe(401);
    expect((await fetch(`${url}/api/sessions`, { headers: { authorization: 'Bearer wrong' } })).status).toBe(401);
    const login = (token: string): Promise<Response> =>
      fetch(`${url}/api/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token }),
      });
    expect((await login('wrong')).status).toBe(401);
    const answer = await login(coordinator.token);
    const setCookie = answer.headers.get('set-cookie') ?? '';
    expect(setCookie).toMatch(/HttpOnly/i);
    expect(setCookie).toMatch(/SameSite=Strict/i);
    expect(setCookie).toMatch(/Path=\//);
    expect(setCookie).not.toContain(coordinator.token);
    const cookie = setCookie.split(';')[0]!;
    expect((await fetch(`${url}/api/sessions`, { headers: { cookie } })).status).toBe(200);
    expect((await fetch(`${url}/api/sessions`, { headers: { cookie: `${cookie}x` } })).status).toBe(401);
    // It outlives the program: an operator need not log in again after a crash.
    coordinator = await coordinator.restart();
    expect((await fetch(`${coordinator.urls.operatorUrl}/api/sessions`, { headers: { cookie } })).status).toBe(200);
  });

  test('is closed to names that are not this machine’s, and to bodies that a form could send', async () => {
    const { port } = new URL(coordinator.urls.operatorUrl);
    const status = await new Promise((resolve, reject) => {
      const headers = { host: 'attacker.example', authorization: `Bearer ${coordinator.token}` };
      request({ port, host: '127.0.0.1', path: '/api/sessions', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
    const response = await fetch(`${coordinator.urls.operatorUrl}/api/sessions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${coordinator.token}`, 'content-type': 'text/plain' },
      body: '{}',
    });
    expect(response.status).toBe(415);
  });

  test('health and readiness need none; the page is there, its data is not', async () => {
    const url = coordinator.urls.operatorUrl;
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${url}/ready`)).json()).toEqual({ ready: true, reason: null });
    expect((await fetch(url)).headers.get('content-type')).toContain('text/html');
    expect((await fetch(`${url}/api/events`)).status).toBe(401);
  });
});

describe('planning a session', () => {
  const problem = async (body: unknown): Promise<{ status: number; code: string; message: string }> => {
    const response = await coordinator.call('POST', '/api/sessions', body);
    return { status: response.status, ...((await response.json()) as { code: string; message: string }) };
  };
  const participants = () =>
    federation.partners.map(({ participantId, agreementId }) => ({ participantId, agreementId }));

  test('says what is wrong with the plan', async () => {
    const wrong = await problem({ plan: { ...plan, rounds: 0 }, participants: participants() });
    expect(wrong).toMatchObject({ status: 400, code: 'bad-request' });
    expect(wrong.message).toContain('rounds');
  });

  test('refuses a model that is too large, before a byte of it is made', async () => {
    const model = { ...plan.model, hidden: Array.from({ length: 8 }, () => 8_192) };
    const wrong = await problem({ plan: { ...plan, ...two, model }, participants: participants() });
    expect(wrong).toMatchObject({ status: 413, code: 'too-large' });
  });

  test('refuses a cohort that can never be reached, and agreements of others', async () => {
    expect(await problem({ plan, participants: participants() })).toMatchObject({ status: 400 });
    const [first, second] = participants();
    const swapped = [
      { ...first, agreementId: second!.agreementId },
      { ...second, agreementId: first!.agreementId },
    ];
    const wrong = await problem({ plan: { ...plan, ...two }, participants: swapped });
    expect(wrong.message).toContain('is not one that did:web:bdl.example gave to us');
    const unknown = [first, { ...second, agreementId: 'urn:unknown' }];
    expect(await problem({ plan: { ...plan, ...two }, participants: unknown })).toMatchObject({ status: 404 });
  });

  test('an unknown session is not found, whatever is done to it', async () => {
    for (const path of ['', '/model']) {
      expect((await coordinator.call('GET', `/api/sessions/unknown${path}`)).status).toBe(404);
    }
    for (const action of ['start', 'pause', 'resume', 'stop']) {
      expect((await coordinator.call('POST', `/api/sessions/unknown/${action}`, {})).status).toBe(404);
    }
  });
});

describe('watching', () => {
  test('the stream gives every session once, then every change', async () => {
    const { id } = await coordinator.plan(two, federation.partners);
    const events = sessionEvents(await coordinator.call('GET', '/api/events'));
    const states: string[] = [];
    for await (const view of events) {
      if (view.id !== id) continue;
      const isNew = !states.includes(view.state);
      states.push(view.state);
      if (view.state === 'planned' && isNew) await coordinator.session('POST', `/api/sessions/${id}/start`, {});
      if (view.state === 'recruiting' && isNew) await coordinator.session('POST', `/api/sessions/${id}/stop`, {});
      if (view.state === 'stopped') break;
    }
    expect(new Set(states)).toEqual(new Set(['planned', 'recruiting', 'stopped']));
  });

  test('the model can be downloaded before the first round', async () => {
    const view = await coordinator.plan(two, federation.partners);
    const response = await coordinator.call('GET', `/api/sessions/${view.id}/model`);
    const { header } = await readUpdate(response.body!, { maxCount: parameters });
    expect(header).toMatchObject({ sessionId: view.id, kind: 'model', round: 0, payloadHash: view.modelHash });
  });

  test('a participant that is silent for too long is shown as away, and back when it calls again', async () => {
    const { id } = await coordinator.plan(two, federation.partners);
    await coordinator.session('POST', `/api/sessions/${id}/start`, {});
    const { clients } = await enrolAll(federation.partners, id);
    const away = await coordinator.until(id, ({ participants }) =>
      participants.every(({ status }) => status === 'away'),
    );
    expect(away.participants[0]!.note).toContain('Not heard of since');
    expect(away.rounds[0]!.phase).toBe('training');
    await clients[0]!.upload(1, 0.1);
    expect((await coordinator.session('GET', `/api/sessions/${id}`)).participants[0]).toMatchObject({ note: null });
    for (const client of clients) await client[Symbol.asyncDispose]();
    await coordinator.session('POST', `/api/sessions/${id}/stop`, {});
  });

  test('what a client says it does is shown while it is there', async () => {
    const { id } = await coordinator.plan(two, federation.partners);
    await coordinator.session('POST', `/api/sessions/${id}/start`, {});
    await using client = await scriptedClient(federation.partners[0]!, id);
    await client.enrol();
    await client.coordinator.phase({ round: 0, phase: 'waiting' }, new AbortController().signal);
    const view = await coordinator.session('GET', `/api/sessions/${id}`);
    expect(view.participants[0]).toMatchObject({ status: 'enrolled', phase: 'waiting' });
    await coordinator.session('POST', `/api/sessions/${id}/stop`, {});
  });
});
