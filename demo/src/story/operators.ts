import { createParser } from 'eventsource-parser';
import { createOperatorClient, type OperatorClient } from '@foedus/connector/operator-client';
import { FoedusError } from '@foedus/connector/errors';
import type { SessionView } from '@foedus/fl-coordinator';
import type { SessionPlanDraft } from '@foedus/fl-core';
import { coordinator, home, type Home, type Space } from '../space/layout.ts';

/** The operator's API of a member's connector, as its own data engineer would use it. */
export const operatorOf = (member: Home): OperatorClient =>
  createOperatorClient({ url: member.addresses.managementUrl, token: member.managementToken });

/** What the coordinator's ML engineer does. */
export interface CoordinatorClient {
  createSession(
    plan: SessionPlanDraft,
    participants: readonly { participantId: string; agreementId: string }[],
  ): Promise<SessionView>;
  sessions(): Promise<SessionView[]>;
  act(sessionId: string, action: 'start' | 'pause' | 'resume' | 'stop'): Promise<SessionView>;
  askForRounds(sessionId: string, additional: number): Promise<SessionView>;
  /** Newest parameters, as the update codec writes them. */
  model(sessionId: string): Promise<Response>;
  /** Follows a session's changes until `done` says so. Connects again when the connection is cut. */
  follow(
    sessionId: string,
    done: (view: SessionView) => boolean,
    onChange?: (view: SessionView) => void,
  ): Promise<SessionView>;
}

export function coordinatorOf(space: Space): CoordinatorClient {
  const { addresses, operatorToken } = home(space, coordinator.name);
  const call = async (path: string, body?: unknown): Promise<Response> => {
    const response = await fetch(new URL(path, addresses.operatorUrl), {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${operatorToken}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    });
    if (response.ok) return response;
    const text = await response.text();
    throw new FoedusError('coordinator-refused', `The coordinator answered ${response.status}: ${text.slice(0, 500)}`);
  };
  const view = async (response: Response): Promise<SessionView> => (await response.json()) as SessionView;
  const once = async (
    sessionId: string,
    done: (view: SessionView) => boolean,
    onChange: (view: SessionView) => void,
  ): Promise<SessionView | null> => {
    const stream = (await call('/api/events')).body!;
    let found: SessionView | null = null;
    const parser = createParser({
      onEvent({ event, data }) {
        if (event !== 'session' || found !== null) return;
        const session = JSON.parse(data) as SessionView;
        if (session.id !== sessionId) return;
        onChange(session);
        if (done(session)) found = session;
      },
    });
    for await (const text of stream.pipeThrough(new TextDecoderStream() as never) as ReadableStream<string>) {
      parser.feed(text);
      if (found !== null) return found;
    }
    return null;
  };
  return {
    createSession: async (plan, participants) => view(await call('/api/sessions', { plan, participants })),
    sessions: async () => (await (await call('/api/sessions')).json()) as SessionView[],
    act: async (sessionId, action) => view(await call(`/api/sessions/${sessionId}/${action}`, {})),
    askForRounds: async (sessionId, additional) =>
      view(await call(`/api/sessions/${sessionId}/rounds`, { additional })),
    model: async (sessionId) => call(`/api/sessions/${sessionId}/model`),
    async follow(sessionId, done, onChange = () => {}) {
      for (;;) {
        const found = await once(sessionId, done, onChange).catch((error: unknown) => {
          if (error instanceof FoedusError) throw error;
          return null;
        });
        if (found !== null) return found;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    },
  };
}
