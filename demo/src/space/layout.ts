import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { createAuthority, issueParticipant } from '@foedus/certs';
import { airports, coordinator, members, type Member } from './members.ts';

/** Where one member's programs listen and how others reach them. */
export interface Addresses {
  readonly listen: string;
  readonly protocolUrl: string;
  readonly managementUrl: string;
  /** Airports: the client's health. */
  readonly healthUrl: string;
  /** Coordinator: rounds over mutual TLS, and operator's API with dashboard. */
  readonly roundsUrl: string;
  readonly operatorUrl: string;
  /** Names and addresses in the member's TLS certificate. */
  readonly hosts: readonly string[];
}

/** Gives every member its addresses. */
export type Topology = (of: readonly Member[]) => Promise<Record<string, Addresses>>;

/** Where one member's things are. Nobody's folder is below another's. */
export interface Home {
  readonly member: Member;
  readonly folder: string;
  readonly addresses: Addresses;
  readonly flights: string;
  readonly received: string;
  readonly logs: string;
  readonly managementToken: string;
  /** Of the coordinator's dashboard; every member has the file, only the coordinator uses it. */
  readonly operatorToken: string;
}

export interface Space {
  readonly folder: string;
  readonly homes: ReadonlyMap<string, Home>;
}

export const home = (space: Space, name: string): Home => {
  const found = space.homes.get(name);
  if (found === undefined) throw new Error(`no member ${name} in this data space`);
  return found;
};

/**
 * Every program on this machine, each on its own ports of loopback: the usual ones (members count from 7101, 7201 …,
 * the coordinator from 7001) when all of them are free, otherwise any that are.
 */
export const onUsualPorts: Topology = async (all) => {
  const first = (member: Member): number => (member.airport === undefined ? 7001 : 7101 + 100 * all.indexOf(member));
  const usual = all.flatMap((member) => [0, 1, 2, 3].map((offset) => first(member) + offset));
  return onPorts(all, await heldOpen(usual).catch(() => heldOpen(usual.map(() => 0))));
};

/** Every program on this machine, on ports that are free now. */
export const onFreePorts: Topology = async (all) => onPorts(all, await heldOpen(all.flatMap(() => [0, 0, 0, 0])));

const onPorts = (all: readonly Member[], ports: readonly number[]): Record<string, Addresses> =>
  Object.fromEntries(
    all.map((member, index) => {
      const [protocol, management, third, fourth] = ports.slice(index * 4);
      return [
        member.name,
        {
          listen: '127.0.0.1',
          protocolUrl: `https://localhost:${protocol}`,
          managementUrl: `http://127.0.0.1:${management}`,
          healthUrl: `http://127.0.0.1:${third}`,
          roundsUrl: `https://localhost:${third}`,
          operatorUrl: `http://127.0.0.1:${fourth}`,
          hosts: ['localhost', '127.0.0.1'],
        },
      ];
    }),
  );

/** One container a program, named `<member>-connector`, `<member>-client`, `coordinator`. */
export const inContainers: Topology = async (all) =>
  Object.fromEntries(
    all.map(({ name, airport }) => {
      const second = airport === undefined ? name : `${name}-client`;
      return [
        name,
        {
          listen: '0.0.0.0',
          protocolUrl: `https://${name}-connector:7001`,
          managementUrl: `http://${name}-connector:7002`,
          healthUrl: `http://${second}:7003`,
          roundsUrl: `https://${second}:7003`,
          operatorUrl: `http://${second}:7004`,
          hosts: ['localhost', `${name}-connector`, second],
        },
      ];
    }),
  );

/**
 * Opens the data space in `folder`, or lays it out: an authority, and for every member certificates, tokens and one
 * configuration file a program. What is there already is kept, so a second start finds the same space.
 */
export async function openSpace(folder: string, topology: Topology = onUsualPorts): Promise<Space> {
  const root = resolve(folder);
  const addressFile = join(root, 'authority', 'addresses.json');
  if (!existsSync(addressFile)) await layOut(root, addressFile, topology);
  const addresses = JSON.parse(await readFile(addressFile, 'utf8')) as Record<string, Addresses>;
  const homes = new Map<string, Home>();
  for (const member of members) {
    const own = memberFolder(root, member);
    homes.set(member.name, {
      member,
      folder: own,
      addresses: addresses[member.name]!,
      flights: join(own, 'data', 'flights.parquet'),
      received: join(own, 'received'),
      logs: join(own, 'logs'),
      managementToken: await readToken(join(own, 'management.token')),
      operatorToken: await readToken(join(own, 'operator.token')),
    });
  }
  return { folder: root, homes };
}

const memberFolder = (root: string, member: Member): string => join(root, 'members', member.name);
const readToken = async (path: string): Promise<string> => (await readFile(path, 'utf8')).trim();

async function layOut(root: string, addressFile: string, topology: Topology): Promise<void> {
  // What a layout that was cut short has left: nothing in it is in use yet.
  await rm(join(root, 'authority'), { recursive: true, force: true });
  for (const member of members) await rm(join(memberFolder(root, member), 'certs'), { recursive: true, force: true });
  const authority = await createAuthority({ directory: join(root, 'authority'), name: 'Mobility data space' });
  const addresses = await topology(members);
  for (const member of members) {
    const folder = memberFolder(root, member);
    const own = addresses[member.name]!;
    for (const part of ['data', 'received', 'logs']) await mkdir(join(folder, part), { recursive: true });
    await issueParticipant(authority, {
      participantId: member.participantId,
      directory: join(folder, 'certs'),
      hosts: [...own.hosts],
    });
    for (const token of ['management.token', 'operator.token'])
      await writeFile(join(folder, token), randomBytes(32).toString('base64url'), { mode: 0o600 });
    await writeConfigurations(folder, member, own);
  }
  // Last, and by renaming: a space that has this file is whole.
  await writeFile(`${addressFile}.new`, JSON.stringify(addresses, null, 2));
  await rename(`${addressFile}.new`, addressFile);
}

async function writeConfigurations(folder: string, member: Member, addresses: Addresses): Promise<void> {
  const listen = (url: string) => ({ host: addresses.listen, port: Number(new URL(url).port) });
  // In containers the operator's ports are reached by the organisation's own containers, over their own network.
  const listenToOperator = (url: string) => ({
    ...listen(url),
    ...(addresses.listen === '127.0.0.1' ? {} : { allowRemote: true }),
  });
  const shared = {
    participantId: member.participantId,
    identity: {
      tlsKey: 'certs/tls.key',
      tlsCertificate: 'certs/tls.crt',
      signingKey: 'certs/signing.key',
      signingCertificate: 'certs/signing.crt',
      trustAnchors: 'certs/ca.crt',
    },
  };
  const connectorAccess = { url: addresses.managementUrl, tokenFile: 'management.token' };
  const write = (name: string, config: unknown) =>
    writeFile(join(folder, name), `${JSON.stringify(config, null, 2)}\n`);
  await write('connector.json', {
    program: 'connector',
    ...shared,
    dataDir: 'connector',
    protocol: { ...listen(addresses.protocolUrl), publicUrl: addresses.protocolUrl },
    management: { ...listenToOperator(addresses.managementUrl), tokenFile: 'management.token' },
  });
  if (member.airport === undefined) {
    await write('coordinator.json', {
      program: 'coordinator',
      ...shared,
      dataDir: 'coordinator',
      rounds: { ...listen(addresses.roundsUrl), publicUrl: addresses.roundsUrl },
      operator: { ...listenToOperator(addresses.operatorUrl), tokenFile: 'operator.token' },
      connector: connectorAccess,
    });
    return;
  }
  await write('client.json', {
    program: 'client',
    ...shared,
    dataDir: 'client',
    connector: connectorAccess,
    engine: 'auto',
    health: listenToOperator(addresses.healthUrl),
  });
}

/**
 * Opens all these ports of loopback (0: any) before it closes any, so that none is given twice.
 *
 * @returns their numbers
 * @throws Error when one of them is taken
 */
async function heldOpen(ports: readonly number[]): Promise<number[]> {
  const servers = ports.map(() => createServer());
  try {
    await Promise.all(servers.map((server, index) => once(server.listen(ports[index], '127.0.0.1'), 'listening')));
    return servers.map((server) => (server.address() as AddressInfo).port);
  } finally {
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  }
}

export { airports, coordinator, members };
