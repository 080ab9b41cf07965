import { airports, coordinator, home, members, type Space } from './layout.ts';
import { startProgram, type Program, type ProgramDescription } from './programs.ts';

/** Every program of the data space: a connector for each member, a client for each airport, the coordinator. */
export function programsOf(space: Space): ProgramDescription[] {
  const connectors = members.map(({ name }) => {
    const { folder, addresses, logs } = home(space, name);
    return {
      name: `${name} connector`,
      arguments: ['connector', 'start', '--config', `${folder}/connector.json`],
      readyUrl: `${addresses.managementUrl}/ready`,
      logs,
    };
  });
  const clients = airports.map(({ name }) => {
    const { folder, addresses, logs } = home(space, name);
    return {
      name: `${name} client`,
      arguments: ['client', 'start', '--config', `${folder}/client.json`],
      readyUrl: `${addresses.healthUrl}/ready`,
      logs,
    };
  });
  const { folder, addresses, logs } = home(space, coordinator.name);
  return [
    ...connectors,
    {
      name: 'coordinator',
      arguments: ['coordinator', 'start', '--config', `${folder}/coordinator.json`],
      readyUrl: `${addresses.operatorUrl}/ready`,
      logs,
    },
    ...clients,
  ];
}

/** All programs of a data space, running. Disposing ends them. */
export interface Fleet extends AsyncDisposable {
  readonly programs: readonly Program[];
  /** SIGKILLs a program by its name and starts it again. */
  crash(name: string): Promise<void>;
}

/**
 * Starts every program and waits until all of them take requests.
 *
 * @param environment extra environment of a program, by its name
 */
export async function startFleet(
  space: Space,
  onReady: (name: string) => void = () => {},
  environment: (name: string) => Record<string, string> = () => ({}),
): Promise<Fleet> {
  const descriptions = programsOf(space);
  const running = new Map<string, Program>();
  const start = async (description: ProgramDescription): Promise<void> => {
    const program = startProgram(description, environment(description.name));
    running.set(description.name, program);
    await program.ready();
  };
  const end = async (): Promise<void> => {
    // Those that call end before those that are called, so that nobody reports a lost partner.
    for (const program of [...running.values()].toReversed()) await program.end();
  };
  try {
    await Promise.all(descriptions.map(async (one) => start(one).then(() => onReady(one.name))));
  } catch (error) {
    await end();
    throw error;
  }
  return {
    get programs() {
      return [...running.values()];
    },
    async crash(name) {
      const description = descriptions.find((candidate) => candidate.name === name);
      if (description === undefined) throw new Error(`no program ${name}`);
      await running.get(name)?.kill();
      await start(description);
    },
    [Symbol.asyncDispose]: end,
  };
}
