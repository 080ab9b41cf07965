/** A data plane at its provider, with one agreement and one pull transfer under it, as tests of pulls start from it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { FOEDUS } from '@foedus/usage-policies';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { agreementOf, constraint, may } from '../../../../test/src/agreements.ts';
import { issueIdentities } from '../../../../test/src/identity.ts';
import { createPeerClient, servePeers, type HttpServer, type Identity, type PeerClient } from '../../identity/index.ts';
import { createLedgerHeads } from '../../ledger/heads.ts';
import { createUsageControl, type UsageControl } from '../../ledger/index.ts';
import type { Asset, DataAddress, SignedAgreement, Transfer } from '../../management/model.ts';
import { openDatabase, type Database } from '../../store/database.ts';
import { migrations } from '../../store/migrations/index.ts';
import { createDataPlane, type DataPlane } from '../data-plane.ts';

export const BDL = 'did:web:bdl.example';
export const PVD = 'did:web:pvd.example';
export const TUL = 'did:web:tul.example';
const RESEARCH = 'https://w3id.org/dpv#ResearchAndDevelopment';
export const RESEARCHING = `purpose=${encodeURIComponent(RESEARCH)}`;
export const AGREEMENT = 'urn:agreement:1';
export const TRANSFER = 'urn:uuid:1/2';

const granted = [
  constraint('purpose', 'eq', RESEARCH),
  constraint('dateTime', 'lt', { '@value': '2027-01-01T00:00:00Z', '@type': 'xsd:dateTime' }),
  constraint('count', 'lteq', '3'),
  constraint(`${FOEDUS}columns`, 'isPartOf', ['date', 'distance', 'destination']),
  constraint(`${FOEDUS}rowFilter`, 'eq', { column: 'date', operator: 'lt', value: '2001-02-01' }),
  constraint(`${FOEDUS}masks`, 'eq', { destination: { method: 'hash' } }),
];

/** What a test changes takes effect at once: the data plane asks for it each time. */
interface World {
  readonly root: string;
  readonly dataDir: string;
  /** 365 rows with columns that the agreement names, and one that it does not. */
  readonly flights: string;
  /** 400,000 rows. */
  readonly large: string;
  readonly identities: ReadonlyMap<string, Identity>;
  readonly usageControl: UsageControl;
  readonly plane: DataPlane;
  now: Date;
  agreement: SignedAgreement;
  transfer: Transfer;
  asset: Asset;
  address: DataAddress;
  /** Another data plane over the same folder. */
  openPlane(): DataPlane;
  /** Takes these constraints for all that the agreement says. */
  permit(...constraints: object[]): void;
  clientOf(participantId: string): PeerClient;
  /** Where the transfer's data are, or what is below. */
  url(below?: string): string;
  ask(asked?: Ask): Promise<Response>;
  /** @returns status, code and message of a refusal, which has nothing else */
  refusal(asked: Ask): Promise<[number, string, string]>;
}

export interface Ask {
  who?: string;
  query?: string;
  authorization?: string;
  path?: string;
}

/** Makes a new world before each test of the file that calls it. */
export function usePullTransfer(): World {
  const clients: PeerClient[] = [];
  let root: string;
  let database: Database;
  let server: HttpServer;
  const world = {} as { -readonly [Name in keyof World]: World[Name] };

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'foedus-pull-'));
    world.identities = await issueIdentities(root, [BDL, PVD, TUL]);
    const [flights, large] = [join(root, 'flights.parquet'), join(root, 'large.parquet')];
    const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
    await duckdb.run(`COPY (SELECT TIMESTAMP '2001-01-01' + INTERVAL (i) DAY AS date, i AS distance,
    'D' || (i % 7) AS destination, 'tail-' || i AS tail FROM range(365) t(i)) TO '${flights}' (FORMAT parquet)`);
    await duckdb.run(`COPY (SELECT i AS distance, sha256(i::VARCHAR) AS destination FROM range(400000) t(i))
    TO '${large}' (FORMAT parquet)`);
    duckdb.closeSync();
    Object.assign(world, { root, flights, large });
  });
  afterAll(() => rm(root, { recursive: true }));

  world.openPlane = () => {
    const identity = world.identities.get(BDL)!;
    const agreements = { get: (id: string) => (id === AGREEMENT ? world.agreement : undefined) };
    const shared = { database, agreements, identity, clock: () => world.now, logger: pino({ level: 'silent' }) };
    return createDataPlane({
      ...shared,
      pins: { applied: (_id, _columns, plan) => plan },
      usageControl: world.usageControl,
      assets: { get: (id: string) => (id === world.asset.id ? world.asset : undefined) },
      transfers: { get: (id: string) => (id === TRANSFER ? world.transfer : undefined) },
      dataDir: world.dataDir,
      publicUrl: 'https://bdl.example:7101',
      tokenLifetimeSeconds: 3600,
      allowedNetworks: [],
      giveUpAfterSeconds: 1,
      control: { complete: () => undefined, terminate: () => undefined },
      heads: createLedgerHeads(shared),
    });
  };
  beforeEach(async () => {
    world.now = new Date('2026-06-01T12:00:00Z');
    world.dataDir = await mkdtemp(join(root, 'data-'));
    database = openDatabase(join(world.dataDir, 'connector.db'), migrations);
    world.asset = {
      id: 'urn:flights',
      title: 'Flights',
      source: { type: 'parquet', path: world.flights },
      formats: ['HttpData-PULL'],
    };
    world.permit(...granted);
    world.transfer = {
      id: TRANSFER,
      role: 'provider',
      state: 'STARTED',
      consumerPid: 'urn:uuid:c',
      providerPid: TRANSFER,
      counterPartyId: PVD,
      counterPartyAddress: 'https://pvd.example',
      agreementId: AGREEMENT,
      datasetId: world.asset.id,
      format: 'HttpData-PULL',
      createdAt: '2026-01-01T00:00:00Z',
      updatedAt: '2026-01-01T00:00:00Z',
    };
    world.usageControl = createUsageControl({
      database,
      agreements: { get: (id: string) => (id === AGREEMENT ? world.agreement : undefined) },
      clock: () => world.now,
    });
    world.plane = world.openPlane();
    server = await servePeers({
      identity: world.identities.get(BDL)!,
      host: '127.0.0.1',
      port: 0,
      app: world.plane.routes,
    });
    const given = await world.plane.flows[0]!.start(world.transfer);
    if (given === undefined) throw new Error('a pull format has a data address');
    world.address = given;
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client[Symbol.asyncDispose]();
    await world.plane[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    database.close();
  });

  world.permit = (...constraints) => {
    world.agreement = agreementOf([may('use', ...constraints)], {
      id: AGREEMENT,
      assigner: BDL,
      assignee: PVD,
      target: world.asset.id,
    });
  };
  world.clientOf = (participantId) => {
    const client = createPeerClient(world.identities.get(participantId)!);
    clients.push(client);
    return client;
  };
  world.url = (below = '') => `${server.url}${new URL(world.address.endpoint!).pathname}${below}`;
  world.ask = async ({ who = PVD, query = RESEARCHING, authorization, path } = {}) => {
    const token = authorization ?? `Bearer ${world.address.properties['authorization']}`;
    const url = path === undefined ? world.url() : `${server.url}${path}`;
    return await world.clientOf(who).fetch(`${url}?${query}`, { headers: { authorization: token } });
  };
  world.refusal = async (asked) => {
    const response = await world.ask(asked);
    const problem = (await response.json()) as { code: string; message: string };
    expect(Object.keys(problem).toSorted()).toEqual(['code', 'message']);
    return [response.status, problem.code, problem.message];
  };
  return world;
}
