import { createAuthority, issueParticipant } from '@foedus/certs';
import { loadIdentity } from '@foedus/connector/identity';
import { openDatabase } from '@foedus/connector/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Durable commits of one negotiation without which it could not survive a crash: four on each side. */
const COMMITS = 8;

export interface Floor {
  /** Median milliseconds, and CPU milliseconds, of what one negotiation cannot do without. */
  readonly wallMs: number;
  readonly cpuMs: number;
}

/**
 * Two signatures, two verifications with their certificate chains, and eight durable commits of one row of the size of
 * an agreement, one after the other in one process.
 */
export async function measureFloor(): Promise<Floor> {
  const folder = await mkdtemp(join(tmpdir(), 'foedus-floor-'));
  try {
    const authority = await createAuthority({ directory: join(folder, 'ca'), name: 'Test data space' });
    const participantId = 'did:web:floor.example';
    await issueParticipant(authority, { participantId, directory: folder });
    const at = (name: string): string => join(folder, name);
    const identity = await loadIdentity(participantId, {
      tlsKey: at('tls.key'),
      tlsCertificate: at('tls.crt'),
      signingKey: at('signing.key'),
      signingCertificate: at('signing.crt'),
      trustAnchors: at('ca.crt'),
    });
    await using database = openDatabase(at('floor.sqlite'), [
      { version: 1, name: 'one table', sql: 'CREATE TABLE record (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT' },
    ]);
    const insert = database.sql.prepare('INSERT INTO record (body) VALUES (?)');
    const agreement = { '@type': 'Agreement', permission: [{ action: 'use', constraint: [] }], note: 'x'.repeat(500) };
    const body = JSON.stringify(agreement);

    const walls: number[] = [];
    const cpus: number[] = [];
    for (let repeat = 0; repeat < 300; repeat += 1) {
      const started = performance.now();
      const before = process.cpuUsage();
      for (let side = 0; side < 2; side += 1) {
        const signature = await identity.sign({ ...agreement, repeat, side });
        await identity.verify(signature, { ...agreement, repeat, side }, participantId);
      }
      for (let commit = 0; commit < COMMITS; commit += 1) database.transaction(() => insert.run(body));
      const { user, system } = process.cpuUsage(before);
      walls.push(performance.now() - started);
      cpus.push((user + system) / 1000);
    }
    return { wallMs: median(walls), cpuMs: median(cpus) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @param q between 0 and 1; nearest rank */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
