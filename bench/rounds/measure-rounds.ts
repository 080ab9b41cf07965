/**
 * Rounds of a real coordinator and real clients, with a trainer that takes no time, in three processes: the coordinator;
 * the clients; the connectors with their ledgers (this one). Real ones have a process each.
 */
import { join } from 'node:path';
import { parameterCount, type SessionPlan, type SessionPlanDraft } from '@foedus/fl-core';
import { createFederation, plan as testPlan, type Federation, type Partner } from '../../test/federated/federation.ts';
import { cpuMs } from './process-memory.ts';
import { identityFiles, membersOf, part, startCoordinatorPart } from './rig.ts';

export interface RoundTimes {
  readonly name: string;
  /** Of each round, from its beginning to the next one's; with all clients together. */
  readonly milliseconds: readonly number[];
  /** CPU time of a round by part, of all clients and all connectors together, in ms. */
  readonly cpu: Readonly<Record<'coordinator' | 'clients' | 'connectors', number>> | null;
}

export interface Measured {
  readonly parameters: number;
  readonly times: readonly RoundTimes[];
}

const base: SessionPlanDraft = {
  ...testPlan,
  title: 'Rounds',
  features: [{ kind: 'hashed-category', column: 'distance', buckets: 1_024 }],
  model: { kind: 'mlp', hidden: [97], activation: 'relu', seed: '5e'.repeat(32) },
  evaluation: { holdOut: 0, salt: 'bench', metrics: [] },
};
const parameters = parameterCount({ features: base.features, model: base.model });
const secureAggregation = { clip: 10, stepTimeoutSeconds: 60 } as const;
const drafts: readonly { readonly name: string; readonly draft: Partial<SessionPlanDraft> }[] = [
  { name: 'every update seen', draft: { secureAggregation: null } },
  { name: 'honest-server', draft: { secureAggregation: { ...secureAggregation, mode: 'honest-server' } } },
  { name: 'active-server', draft: { secureAggregation: { ...secureAggregation, mode: 'active-server' } } },
];
/** Rounds that wait for enrolments and cold code. */
const WARM_UP = 3;

export async function measureRounds(options: { readonly clients: number; readonly rounds: number }): Promise<Measured> {
  const { clients, rounds } = options;
  const names = Array.from({ length: clients }, (_, i) => `m${String(i).padStart(2, '0')}`);
  await using federation = await createFederation(names);
  const times: RoundTimes[] = [];
  let plan: SessionPlan | undefined;
  for (const { name, draft } of drafts) {
    const partners = await federation.agree({});
    const measured = await measureSession(federation, partners, { ...base, ...draft, minimumCohort: clients }, rounds);
    plan ??= measured.plan;
    times.push({ name, ...measured.times });
  }
  const members = membersOf(federation, await federation.agree({}));
  await using side = part('members');
  const ledger = await side.ask<number[]>('charge', { members, plan, rounds });
  await using coordinator = part('coordinator');
  const files = identityFiles(join(federation.space.folder, 'coordinator'));
  const { participantId } = federation.owner;
  const bytes = 4 * parameters;
  const { url } = await coordinator.ask<{ url: string }>('serveBytes', { participantId, files, bytes });
  const floor = await side.ask<number[]>('floor', { members, url, rounds });
  times.push({ name: 'the ledgers alone: quote and charge', milliseconds: ledger, cpu: null });
  times.push({ name: 'floor: bytes and one commit each', milliseconds: floor.slice(1), cpu: null });
  return { parameters, times };
}

async function measureSession(
  federation: Federation,
  partners: readonly Partner[],
  draft: SessionPlanDraft,
  rounds: number,
): Promise<{ readonly plan: SessionPlan; readonly times: Omit<RoundTimes, 'name'> }> {
  const { folder } = federation.space;
  await using coordinator = await startCoordinatorPart(federation);
  await using clients = part('members');
  await clients.ask('start', {
    configs: membersOf(federation, partners).map(({ participantId, files, connector }, i) => ({
      program: 'client',
      participantId,
      dataDir: join(folder, partners[i]!.name, 'client'),
      identity: files,
      connector,
      health: { port: 0 },
    })),
  });
  const cpu = async () => ({
    coordinator: await coordinator.part.cpuMs(),
    clients: await clients.cpuMs(),
    connectors: cpuMs(),
  });

  const all = rounds + WARM_UP;
  const { id, plan } = await coordinator.begin({ ...draft, rounds: all }, partners);
  const { roundsDone } = await coordinator.until(id, (view) => view.roundsDone >= WARM_UP);
  const before = await cpu();
  const { rounds: held } = await coordinator.until(id, ({ state }) => state === 'completed');
  const after = await cpu();
  const each = (name: keyof typeof after): number => (after[name] - before[name]) / (all - roundsDone);
  const starts = held.map(({ startedAt }) => Date.parse(startedAt));
  return {
    plan,
    times: {
      milliseconds: starts.slice(WARM_UP).map((start, i) => start - starts[i + WARM_UP - 1]!),
      cpu: { coordinator: each('coordinator'), clients: each('clients'), connectors: each('connectors') },
    },
  };
}
