/**
 * What taking in uploads costs a coordinator as it is: a process of its own, mutual TLS on loopback, its store on disk;
 * all participants read the model at the same time, and all upload at the same time. Its memory is the highest mark of
 * the operating system, from before the session is planned until its round is over, above that of the same process when
 * it rests after a small session of the same participants.
 */
import { join } from 'node:path';
import { parameterCount, type SessionPlanDraft } from '@foedus/fl-core';
import { createFederation, plan as testPlan, type Federation } from '../../test/federated/federation.ts';
import type { ProcessMemory } from './process-memory.ts';
import { identityFiles, membersOf, part, startCoordinatorPart } from './rig.ts';

export interface Ingest {
  readonly kind: 'clear' | 'masked';
  readonly clients: number;
  readonly modelBytes: number;
  readonly uploadBytes: number;
  /** CPU time of the coordinator for one upload, of the end of the round, and of the model's downloads, in ms. */
  readonly uploadMs: number;
  readonly endMs: number;
  readonly downloadMs: number;
  /** CPU time of a server that takes the same bytes from as many connections and drops them, for one upload, in ms. */
  readonly floorMs: number;
  /** GB/s that this process can copy: read and written. */
  readonly memoryGigabytesPerSecond: number;
  /** Above the resting process, in bytes: until everybody has read the model, until all have uploaded, of all. */
  readonly peaks: { readonly downloads: number; readonly uploads: number; readonly round: number };
}

const BUCKETS = 2_048;
const HOUR = 3_600;
const draftOf = (kind: Ingest['kind'], clients: number, parameters: number): SessionPlanDraft => ({
  ...testPlan,
  title: 'Uploads',
  features: [{ kind: 'hashed-category', column: 'distance', buckets: BUCKETS }],
  // Each unit of the hidden layer has as many weights as there are inputs, a bias, and a weight of the output.
  model: {
    kind: 'mlp',
    hidden: [Math.round((parameters - 1) / (BUCKETS + 2))],
    activation: 'relu',
    seed: '5e'.repeat(32),
  },
  rounds: 1,
  minimumCohort: clients,
  roundTimeoutSeconds: HOUR,
  evaluation: { holdOut: 0, salt: 'bench', metrics: [] },
  secureAggregation:
    kind === 'clear'
      ? null
      : { mode: 'honest-server', clip: 10, stepTimeoutSeconds: HOUR, degree: clients > 10 ? 8 : null },
});

export async function measureIngest(options: {
  readonly clients: number;
  readonly parameters: number;
}): Promise<Ingest[]> {
  const { clients, parameters } = options;
  const names = Array.from({ length: clients }, (_, i) => `m${String(i).padStart(2, '0')}`);
  await using federation = await createFederation(names);
  const measured: Ingest[] = [];
  for (const kind of ['clear', 'masked'] as const) {
    measured.push(await measureSession(federation, kind, clients, parameters));
  }
  return measured;
}

async function measureSession(
  federation: Federation,
  kind: Ingest['kind'],
  clients: number,
  wanted: number,
): Promise<Ingest> {
  await using coordinator = await startCoordinatorPart(federation, { awayAfterSeconds: HOUR });
  await using senders = part('senders');
  const { part: measuredPart } = coordinator;

  /** A session of one round, step by step. */
  const hold = async (draft: SessionPlanDraft) => {
    const partners = await federation.agree({});
    const parameters = parameterCount({ features: draft.features, model: draft.model });
    const peak = async (): Promise<number> => (await measuredPart.ask<ProcessMemory>('memory')).peakBytes;
    const { residentBytes } = await measuredPart.ask<ProcessMemory>('settleMemory');
    const { id } = await coordinator.begin(draft, partners);
    await senders.ask('enrol', { members: membersOf(federation, partners), sessionId: id });
    const marks = [await measuredPart.cpuMs()];
    const mark = async (): Promise<void> => void marks.push(await measuredPart.cpuMs());
    await senders.ask('download');
    await mark();
    const downloads = (await peak()) - residentBytes;
    const uploadBytes = await senders.ask<number>('prepare', { parameters });
    await mark();
    // One comes later, so that the end of the round is not among the uploads.
    await senders.ask('upload', { first: 0, last: clients - 1 });
    await mark();
    const uploads = (await peak()) - residentBytes;
    await senders.ask('upload', { first: clients - 1, last: clients });
    if (kind === 'masked') await senders.ask('unmask');
    await coordinator.until(id, ({ state }) => state === 'completed');
    await mark();
    const [start, downloaded, prepared, uploaded, ended] = marks as [number, number, number, number, number];
    return {
      modelBytes: 4 * parameters,
      uploadBytes,
      downloadMs: (downloaded - start) / clients,
      uploadMs: (uploaded - prepared) / (clients - 1),
      endMs: ended - uploaded - (uploaded - prepared) / (clients - 1),
      peaks: { downloads, uploads, round: (await peak()) - residentBytes },
    };
  };
  await hold(draftOf(kind, clients, 100_000));
  const measured = await hold(draftOf(kind, clients, wanted));
  const floorMs = await floorOf(federation, clients, measured.uploadBytes);
  return { kind, clients, ...measured, ...floorMs };
}

/** A server that drops what it gets, in a process of its own. */
async function floorOf(
  federation: Federation,
  clients: number,
  bytes: number,
): Promise<Pick<Ingest, 'floorMs' | 'memoryGigabytesPerSecond'>> {
  await using server = part('coordinator');
  await using senders = part('senders');
  const { participantId } = federation.owner;
  const files = identityFiles(join(federation.space.folder, 'coordinator'));
  const { url } = await server.ask<{ url: string }>('serveBytes', { participantId, files, bytes: 1 });
  const members = membersOf(federation, federation.partners);
  await senders.ask('sendBytes', { members, url, bytes: 100_000 });
  const start = await server.cpuMs();
  await senders.ask('sendBytes', { members, url, bytes });
  const floorMs = ((await server.cpuMs()) - start) / clients;
  return { floorMs, memoryGigabytesPerSecond: await server.ask<number>('bandwidth') };
}
