/** A coordinator in a process of its own, and what those who speak to it need to know. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SessionPlanDraft } from '@foedus/fl-core';
import type { SessionView } from '@foedus/fl-coordinator';
import type { Federation, Partner } from '../../test/federated/federation.ts';
import type { Member } from './members-part.ts';
import { startPart, type Part } from './part.ts';

export const part = (name: string): Part => startPart(join(import.meta.dirname, `${name}-part.ts`));

export const identityFiles = (folder: string): Member['files'] => ({
  tlsKey: join(folder, 'tls.key'),
  tlsCertificate: join(folder, 'tls.crt'),
  signingKey: join(folder, 'signing.key'),
  signingCertificate: join(folder, 'signing.crt'),
  trustAnchors: join(folder, 'ca.crt'),
});

export function membersOf(federation: Federation, partners: readonly Partner[]): Member[] {
  return partners.map(({ name, participantId, agreementId, connector }) => {
    const folder = join(federation.space.folder, name);
    const operator = { url: connector.managementUrl, tokenFile: join(folder, 'token') };
    return { participantId, agreementId, files: identityFiles(folder), connector: operator };
  });
}

export interface CoordinatorPart extends AsyncDisposable {
  readonly part: Part;
  /** Plans a session and starts it. */
  begin(draft: SessionPlanDraft, partners: readonly Partner[]): Promise<SessionView>;
  /** @throws Error when the session has failed */
  until(sessionId: string, isReached: (view: SessionView) => boolean): Promise<SessionView>;
}

/** @param rounds settings of the rounds' API */
export async function startCoordinatorPart(
  { space, owner }: Federation,
  rounds: Readonly<Record<string, unknown>> = {},
): Promise<CoordinatorPart> {
  await using stack = new AsyncDisposableStack();
  const own = join(space.folder, 'coordinator');
  const tokenFile = join(own, 'operator.token');
  const coordinator = stack.use(part('coordinator'));
  const { operatorUrl } = await coordinator.ask<{ operatorUrl: string }>('start', {
    program: 'coordinator',
    participantId: owner.participantId,
    dataDir: join(own, 'rounds'),
    identity: identityFiles(own),
    rounds: { port: 0, publicUrl: 'https://localhost:0', ...rounds },
    operator: { port: 0, tokenFile },
    connector: { url: owner.connector.managementUrl, tokenFile: join(own, 'token') },
  });
  const token = (await readFile(tokenFile, 'utf8')).trim();
  const call = async (method: string, path: string, body?: unknown): Promise<SessionView> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const response = await fetch(operatorUrl + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(await response.text());
    return (await response.json()) as SessionView;
  };
  const all = stack.move();
  return {
    part: coordinator,
    async begin(draft, partners) {
      const participants = partners.map(({ participantId, agreementId }) => ({ participantId, agreementId }));
      const view = await call('POST', '/api/sessions', { plan: draft, participants });
      await call('POST', `/api/sessions/${view.id}/start`, {});
      return view;
    },
    async until(sessionId, isReached) {
      for (;;) {
        const view = await call('GET', `/api/sessions/${sessionId}`);
        if (isReached(view)) return view;
        if (view.state === 'failed') throw new Error(view.reason ?? 'the session failed');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
