import { loadConfig } from '@foedus/connector/config';
import { loadIdentity, type IdentityFiles } from '@foedus/connector/identity';
import { X509Certificate } from 'node:crypto';
import { access, constants, mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { programs } from '../programs.ts';
import { print } from '../terminal.ts';
import { programOf } from './config.ts';

/** Tells what works here. Throws when something is missing that a program needs. */
export async function doctor(options: { config?: string }): Promise<void> {
  let failures = 0;
  const tell = (ok: boolean, needed: boolean, text: string): void => {
    if (!ok && needed) failures += 1;
    print(`${ok ? 'yes' : needed ? 'NO ' : 'no '}  ${text}`);
  };
  const major = Number(process.versions.node.split('.')[0]);
  tell(major >= 24, true, `Node ${process.version} (24 or newer is needed)`);
  tell(true, true, `SQLite ${process.versions.sqlite ?? ''}, OpenSSL ${process.versions.openssl}`);
  await checkEngines(tell);
  if (options.config !== undefined) await checkNode(options.config, tell);
  if (failures > 0) throw new Error(`${failures === 1 ? 'One thing' : `${failures} things`} must be put right (NO).`);
}

type Tell = (ok: boolean, needed: boolean, text: string) => void;

async function checkEngines(tell: Tell): Promise<void> {
  const { probeEngines } = await import('@foedus/fl-client');
  const engines = await probeEngines();
  for (const { name, works, device = '', stepMilliseconds, reason = '' } of engines) {
    const speed = stepMilliseconds === undefined ? '' : `, ${stepMilliseconds.toFixed(1)} ms a training step`;
    tell(works, false, `engine ${name}: ${works ? `${device}${speed}` : reason}`);
  }
  const any = engines.some(({ works }) => works);
  tell(any, true, any ? 'a client can train here' : 'no training engine works here, so no client can train');
}

async function checkNode(file: string, tell: Tell): Promise<void> {
  const name = await programOf(file);
  const config = (await loadConfig((await programs[name]()).schema, file, process.env)) as {
    participantId: string;
    dataDir: string;
    identity: IdentityFiles;
  };
  tell(true, true, `configuration ${file} (${name} of ${config.participantId})`);
  await loadIdentity(config.participantId, config.identity).then(
    () => tell(true, true, 'keys and certificates belong together and are valid'),
    (error: Error) => tell(false, true, error.message),
  );
  await tellExpiry(config.identity, tell);
  await mkdir(config.dataDir, { recursive: true })
    .then(() => access(config.dataDir, constants.W_OK | constants.X_OK))
    .then(
      () => tell(true, true, `store folder ${config.dataDir} is writable`),
      (error: Error) => tell(false, true, `store folder ${config.dataDir}: ${error.message}`),
    );
  for (const [setting, { host, port }] of listenersIn(config)) {
    const free = await isFree(host, port);
    tell(
      free,
      false,
      `port ${port} on ${host} (${setting}) is ${free ? 'free' : 'in use: by this program, if it runs'}`,
    );
  }
}

async function tellExpiry(identity: IdentityFiles, tell: Tell): Promise<void> {
  for (const file of [identity.tlsCertificate, identity.signingCertificate]) {
    const pem = await readFile(file, 'utf8').catch(() => undefined);
    if (pem === undefined) continue;
    const end = new X509Certificate(pem).validToDate;
    const days = Math.floor((end.getTime() - Date.now()) / 86_400_000);
    tell(days >= 14, false, `${file} is valid for ${days} more days (until ${end.toISOString().slice(0, 10)})`);
  }
}

/** Every group of settings that has a host and a port. */
function listenersIn(config: object): [string, { host: string; port: number }][] {
  return Object.entries(config).filter(
    (entry): entry is [string, { host: string; port: number }] =>
      typeof entry[1] === 'object' && entry[1] !== null && 'host' in entry[1] && 'port' in entry[1],
  );
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
