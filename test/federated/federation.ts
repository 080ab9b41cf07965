/**
 * A small federation in one process: airports' connectors with `train` agreements, and a coordinator with its connector.
 * Everything is real but the network beyond loopback; what trains is the test's own.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPeerClient, type PeerClient } from '@foedus/connector/identity';
import type { Transfer } from '@foedus/connector/operator-client';
import { clientConfigSchema, startClient, type Client, type StartTrainer } from '@foedus/fl-client';
import { coordinatorConfigSchema, startCoordinator, type Coordinator, type SessionView } from '@foedus/fl-coordinator';
import { parameterCount, type SessionPlanDraft } from '@foedus/fl-core';
import { instantiate, type OfferJson, rowsOffer } from '@foedus/usage-policies';
import { pino } from 'pino';
import { createDataSpace, type DataSpace, type Participant } from '../src/connectors.ts';

const logger = pino({ level: process.env['TEST_LOG'] ?? 'silent' });
export const FORMAT = 'FederatedTraining-PUSH';
export const PURPOSE = 'https://w3id.org/dpv#ServiceOptimisation';
const DELTA = 1e-5;

export const plan: SessionPlanDraft = {
  title: 'Will a flight leave late?',
  purpose: PURPOSE,
  label: { column: 'delay', atLeast: 15 },
  features: [{ kind: 'number', column: 'distance', center: 700, scale: 500 }],
  model: { kind: 'mlp', hidden: [4], activation: 'tanh', seed: '5e'.repeat(32) },
  rounds: 2,
  local: { steps: 5, samplingRate: 0.05, learningRate: 0.5 },
  privacy: { unit: 'record', adjacency: 'add-remove', noiseMultiplier: 1, clipNorm: 1, delta: DELTA },
  strategy: { name: 'fedavg', serverLearningRate: 1 },
  minimumCohort: 3,
  roundTimeoutSeconds: 60,
  earlyStop: null,
  evaluation: { holdOut: 0.2, salt: 'test', metrics: ['auc', 'logLoss'], noise: { bins: 4, noiseMultiplier: 20 } },
};
export const parameters = parameterCount({ features: plan.features, model: { ...plan.model } });

export interface Partner extends Participant {
  readonly name: string;
  readonly agreementId: string;
}

export interface Terms {
  readonly epsilon?: number;
  readonly rounds?: number;
  readonly metrics?: readonly string[];
  /** What noise has to hide at least. @default says nothing */
  readonly privacyUnit?: 'record' | 'organisation';
  /** An agreement to read rows, by which nobody may train. */
  readonly rowsOnly?: boolean;
}

export interface Federation extends AsyncDisposable {
  readonly space: DataSpace;
  readonly owner: Participant;
  readonly partners: readonly Partner[];
  /** New agreements under these terms, by partner. */
  agree(terms: Terms): Promise<Partner[]>;
  coordinator(settings?: Record<string, unknown>): Promise<RunningCoordinator>;
  client(partner: Partner, startTrainer: StartTrainer, settings?: Record<string, unknown>): Promise<Client>;
}

export interface RunningCoordinator extends AsyncDisposable {
  readonly urls: Pick<Coordinator, 'roundsUrl' | 'operatorUrl'>;
  readonly token: string;
  call(method: string, path: string, body?: unknown): Promise<Response>;
  /** @throws Error with the problem's code and message */
  session(method: string, path: string, body?: unknown): Promise<SessionView>;
  plan(
    draft: Partial<SessionPlanDraft>,
    partners: readonly Partner[],
    options?: { readonly endsEarly?: boolean },
  ): Promise<SessionView>;
  /** Watches the event stream until the view satisfies `predicate`. */
  until(sessionId: string, predicate: (view: SessionView) => boolean): Promise<SessionView>;
  /** Ends without a word to anybody and starts again on the same folder and ports. */
  restart(): Promise<RunningCoordinator>;
}

const trainTemplate = async (): Promise<unknown> => {
  const url = import.meta.resolve('@foedus/usage-policies/library/train-with-privacy-budget.json');
  return JSON.parse(await readFile(fileURLToPath(url), 'utf8'));
};

export async function createFederation(names: readonly string[], terms: Terms = {}): Promise<Federation> {
  await using stack = new AsyncDisposableStack();
  const space = stack.use(await createDataSpace());
  const owner = await space.join('coordinator');
  const joined: (Participant & { name: string })[] = [];
  for (const name of names) joined.push({ ...(await space.join(name)), name });
  let offers = 0;

  const agreeWith = async (partner: Participant & { name: string }, some: Terms, id: string): Promise<Partner> => {
    const datasetId = `${partner.participantId}#departures`;
    const { operator } = partner;
    const path = join(space.folder, `${partner.name}.parquet`);
    await writeFile(path, '', { flag: 'a' });
    await operator.putAsset({
      id: datasetId,
      title: 'Departures',
      source: { type: 'parquet', path },
      formats: [FORMAT],
    });
    await operator.putPolicy({ id, policy: await offerOf(some) });
    await operator.putContractDefinition({ id, assets: [datasetId], policy: id });
    const catalog = await owner.operator.requestCatalog(partner.connector.protocolUrl);
    const [dataset] = catalog['dataset'] as { hasPolicy: { '@id': string }[] }[];
    const offerId = dataset?.hasPolicy.map((offer) => offer['@id']).find((one) => one.startsWith(`${id}:`)) ?? '';
    const counterPartyAddress = partner.connector.protocolUrl;
    const request = await owner.operator.negotiate({ counterPartyAddress, datasetId, offerId });
    const { agreementId = '' } = await owner.operator.negotiationUntil(request.id, ['FINALIZED']);
    return { ...partner, agreementId };
  };
  const agree = async (some: Terms): Promise<Partner[]> => {
    const id = `train-${++offers}`;
    return await Promise.all(joined.map((partner) => agreeWith(partner, some, id)));
  };
  const partners = await agree(terms);

  const all = stack.move();
  return {
    space,
    owner,
    partners,
    agree,
    coordinator: async (settings = {}) => await openCoordinator(space, owner, settings, 0, 0),
    client: async (partner, startTrainer, settings = {}) => {
      const folder = join(space.folder, partner.name);
      const config = clientConfigSchema.parse({
        program: 'client',
        participantId: partner.participantId,
        dataDir: join(folder, 'client'),
        identity: identityFiles(folder),
        connector: { url: partner.connector.managementUrl, tokenFile: join(folder, 'token') },
        health: { port: 0 },
        ...settings,
      });
      return await startClient(config, { logger: logger.child({ client: partner.name }), startTrainer });
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function offerOf(terms: Terms): Promise<OfferJson> {
  if (terms.rowsOnly === true) return rowsOffer({ purposes: [PURPOSE], uses: 1 });
  const offer = instantiate(await trainTemplate(), {
    purposes: [PURPOSE],
    columns: ['delay', 'distance'],
    until: '2099-01-01T00:00:00Z',
    rounds: terms.rounds ?? 100,
    minimumCohort: 2,
    metrics: [...(terms.metrics ?? ['auc', 'logLoss'])],
    epsilon: terms.epsilon ?? 50,
    delta: DELTA,
  });
  if (terms.privacyUnit === undefined) return offer;
  const hidden = {
    leftOperand: 'https://w3id.org/foedus/policy#privacyUnit',
    operator: 'gteq',
    rightOperand: terms.privacyUnit,
  };
  const permission = offer['permission'] as readonly { readonly constraint: readonly object[] }[];
  return { ...offer, permission: permission.map((rule) => ({ ...rule, constraint: [...rule.constraint, hidden] })) };
}

async function openCoordinator(
  space: DataSpace,
  owner: Participant,
  settings: Record<string, unknown>,
  roundsPort: number,
  operatorPort: number,
): Promise<RunningCoordinator> {
  const folder = join(space.folder, 'coordinator');
  const config = coordinatorConfigSchema.parse({
    program: 'coordinator',
    participantId: owner.participantId,
    dataDir: join(folder, 'rounds'),
    identity: identityFiles(folder),
    rounds: { port: roundsPort, publicUrl: `https://localhost:${roundsPort}`, ...settings },
    operator: { port: operatorPort, tokenFile: join(folder, 'operator.token') },
    connector: { url: owner.connector.managementUrl, tokenFile: join(folder, 'token') },
  });
  const running = await startCoordinator(config, { logger: logger.child({ program: 'coordinator' }) });
  const token = (await readFile(config.operator.tokenFile, 'utf8')).trim();
  const call: RunningCoordinator['call'] = (method, path, body) =>
    fetch(running.operatorUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        // Never over a connection to a coordinator that has been stopped since.
        connection: 'close',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const session: RunningCoordinator['session'] = async (method, path, body) => {
    const response = await call(method, path, body);
    const json = (await response.json()) as SessionView & { code: string; message: string };
    if (!response.ok) throw new Error(`${json.code}: ${json.message}`);
    return json;
  };
  return {
    urls: running,
    token,
    call,
    session,
    plan: (draft, partners, options = {}) =>
      session('POST', '/api/sessions', {
        plan: { ...plan, ...draft },
        participants: partners.map(({ participantId, agreementId }) => ({ participantId, agreementId })),
        ...options,
      }),
    until: async (sessionId, predicate) => {
      const response = await call('GET', '/api/events');
      for await (const view of sessionEvents(response)) {
        if (view.id === sessionId && predicate(view)) return view;
      }
      throw new Error('the event stream ended');
    },
    restart: async () => {
      await running[Symbol.asyncDispose]();
      const port = (url: string): number => Number(new URL(url).port);
      return await openCoordinator(space, owner, settings, port(running.roundsUrl), port(running.operatorUrl));
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** Views out of a stream of server-sent events. */
export async function* sessionEvents(response: Response): AsyncGenerator<SessionView> {
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      const data = /^data: ?(.*)$/m.exec(event)?.[1];
      if (/^event: ?session$/m.test(event) && data !== undefined) yield JSON.parse(data) as SessionView;
    }
  }
}

/** The transfer of a session as the partner's connector has it, once it is in `state`. */
export async function transferOf(partner: Partner, sessionId: string): Promise<Transfer> {
  await partner.operator.registerDataFlow(FORMAT);
  for (let after = -1; ;) {
    const { version, transfers } = await partner.operator.flowTransfers(FORMAT, after);
    after = version;
    const found = transfers.find(
      ({ dataAddress, state }) => dataAddress?.properties['sessionId'] === sessionId && state === 'STARTED',
    );
    if (found !== undefined) return found;
  }
}

export function peerOf(partner: Pick<Participant, 'identity'>): PeerClient {
  return createPeerClient(partner.identity);
}

function identityFiles(folder: string) {
  return {
    tlsKey: join(folder, 'tls.key'),
    tlsCertificate: join(folder, 'tls.crt'),
    signingKey: join(folder, 'signing.key'),
    signingCertificate: join(folder, 'signing.crt'),
    trustAnchors: join(folder, 'ca.crt'),
  };
}
