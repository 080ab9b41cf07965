import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createNarrator, type Narrator } from './narrator.ts';
import { startFleet, type Fleet } from './space/fleet.ts';
import { coordinator, home, inContainers, onUsualPorts, openSpace, type Space } from './space/layout.ts';
import { prepareFlights } from './space/prepare.ts';
import { compareModels } from './story/comparison.ts';
import { openJournal, type Journal } from './story/journal.ts';
import { checkReport, printReport, type Report } from './story/report.ts';
import { tradeRows } from './story/trade.ts';
import { trainTogether } from './story/train-together.ts';

export interface DemoOptions {
  /** Everything that is written lies below it. @default data-space */
  readonly directory: string;
  /** Ends when the story has been told, instead of leaving the data space running. @default false */
  readonly once?: boolean;
  /** Forgets an earlier data space first; otherwise it goes on where it ended. @default false */
  readonly clean?: boolean;
  /** Lays out the folders and prepares the data, and ends. For containers. @default false */
  readonly setupOnly?: boolean;
  /** Addresses as in docker/compose.yaml. @default false */
  readonly containers?: boolean;
  /** The programs are started by somebody else. For containers. @default false */
  readonly storyOnly?: boolean;
  /** Ends the demo early. */
  readonly signal?: AbortSignal;
}

/**
 * A whole data space on this machine: three airports and a coordinator trade rows under signed contracts and train one
 * model together under privacy budgets.
 *
 * @throws Error that says which part of the story did not come out as it must
 */
export async function runDemo(options: DemoOptions): Promise<void> {
  const narrator = createNarrator();
  if (options.clean === true) await rm(options.directory, { recursive: true, force: true });

  narrator.chapter('1  A data space: an authority, three airports, a coordinator');
  const space = await openSpace(options.directory, options.containers === true ? inContainers : onUsualPorts);
  narrator.say(`Certificates and configuration: ${space.folder}`);
  narrator.progress('Giving each airport its own departures of 3,000,000 flights');
  const prepared = await prepareFlights(space);
  for (const { name, rows } of prepared)
    narrator.say(`${home(space, name).member.title}: ${rows.toLocaleString('en')} departures in its own folder`);
  if (options.setupOnly === true) return;

  await using fleet = options.storyOnly === true ? noFleet : await startPrograms(space, narrator);
  const report = await tellStory(space, await openJournal(space.folder), narrator);
  report.memory = await peakMemories(fleet);
  await writeFile(join(space.folder, 'authority', 'report.json'), JSON.stringify(report, null, 2));
  printReport(report, narrator);
  checkReport(report);
  if (options.once === true) return;
  await stayOpen(space, narrator, options.signal);
}

async function tellStory(space: Space, journal: Journal, narrator: Narrator): Promise<Report> {
  const started = performance.now();
  const trade = await tradeRows(space, journal, narrator);
  const training = await trainTogether(
    space,
    journal,
    narrator,
    await journal.step('seed', async () => randomBytes(32).toString('hex')),
  );
  const comparison = await compareModels(space, journal, narrator, training);
  return { trade, training, comparison, storySeconds: (performance.now() - started) / 1000, memory: {} };
}

async function startPrograms(space: Space, narrator: Narrator): Promise<Fleet> {
  let ready = 0;
  const fleet = await startFleet(space, (name) =>
    narrator.progress(`Starting programs: ${++ready} ready, last ${name}`),
  );
  narrator.say(`${ready} programs run, each organisation's with its own certificate, keys, database and ports`);
  return fleet;
}

const noFleet: Fleet = { programs: [], crash: async () => {}, [Symbol.asyncDispose]: async () => {} };

async function peakMemories(fleet: Fleet): Promise<Record<string, number | null>> {
  const entries = fleet.programs.map(async (program) => [program.name, await program.peakMemory()] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function stayOpen(space: Space, narrator: Narrator, signal?: AbortSignal): Promise<void> {
  narrator.chapter('The data space stays open; Ctrl-C ends it');
  const { addresses, operatorToken } = home(space, coordinator.name);
  narrator.say(`Dashboard:      ${addresses.operatorUrl}/#token=${operatorToken}`);
  narrator.table(
    ['member', "operator's API", 'connector, for others', 'configuration for the foedus command'],
    [...space.homes.values()].map((own) => [
      own.member.name,
      own.addresses.managementUrl,
      own.addresses.protocolUrl,
      join(own.folder, 'connector.json'),
    ]),
  );
  await new Promise<void>((resolve) => {
    const end = (): void => resolve();
    if (signal?.aborted) end();
    signal?.addEventListener('abort', end, { once: true });
  });
}
