/** The coordinator's operator API as this page uses it, with the login cookie. */
import type { SessionPromise, SessionTradeOff } from '@foedus/fl-core';
import type { SessionView } from '../../session/view.ts';

/** The API said no; `message` is in words for the operator. */
export class RequestError extends Error {
  override readonly name: string = 'RequestError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function request(path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(path, init).catch(() => {
    throw new RequestError(0, 'The coordinator does not answer. Check that it is running, then try again.');
  });
  if (response.ok) return response;
  const problem: unknown = await response.json().catch(() => null);
  const message =
    typeof problem === 'object' && problem !== null && 'message' in problem && typeof problem.message === 'string'
      ? problem.message
      : `The coordinator answered with status ${response.status}.`;
  throw new RequestError(response.status, message);
}

function post(path: string, body: unknown): Promise<Response> {
  return request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** Exchanges the operator's token for the cookie. @throws RequestError with status 401 when the token is wrong. */
export async function login(token: string): Promise<void> {
  await post('/api/login', { token });
}

/** All sessions. @throws RequestError with status 401 without a valid cookie. */
export async function listSessions(): Promise<readonly SessionView[]> {
  return (await request('/api/sessions', {})).json() as Promise<readonly SessionView[]>;
}

/** What the session promises: ε of each partner by round, and reasons why it could not be kept. @throws RequestError */
export async function sessionPromise(sessionId: string): Promise<SessionPromise> {
  const path = `/api/sessions/${encodeURIComponent(sessionId)}/promise`;
  return (await request(path, {})).json() as Promise<SessionPromise>;
}

/** The least noise with which so many rounds keep to the partners' budgets. @throws RequestError */
export async function sessionTradeOff(sessionId: string): Promise<SessionTradeOff> {
  const path = `/api/sessions/${encodeURIComponent(sessionId)}/trade-off`;
  return (await request(path, {})).json() as Promise<SessionTradeOff>;
}

export type Action =
  | { readonly name: 'start' | 'pause' | 'resume' }
  | { readonly name: 'stop'; readonly reason: string }
  | { readonly name: 'rounds'; readonly additional: number };

/** Does something with a session. @returns the session afterwards. @throws RequestError when it may not be done. */
export async function act(sessionId: string, action: Action): Promise<SessionView> {
  const { name, ...rest } = action;
  const body = 'reason' in rest && rest.reason === '' ? {} : rest;
  return (await post(`/api/sessions/${encodeURIComponent(sessionId)}/${name}`, body)).json() as Promise<SessionView>;
}
