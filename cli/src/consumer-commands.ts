import { Option, type Command } from 'commander';
import { list, ownConfig } from './options.ts';

/** What a consumer does: look, negotiate, get data. */
export function addConsumer(program: Command): void {
  program
    .command('catalog')
    .description("what another participant's connector offers to you")
    .argument('<address>', 'for instance https://connector.bdl.example:7101')
    .option('--json', 'the catalog as it came')
    .addOption(ownConfig())
    .action(async (address: string, options: { config: string; json?: true }) => {
      const { showCatalog } = await import('./commands/catalog.ts');
      await showCatalog(address, options);
    });
  program
    .command('negotiate')
    .description('make a contract for a data set, signed by both sides')
    .argument('<address>')
    .argument('<dataset>', "the data set's id in the catalog")
    .option('--offer <id>', 'which offer, when there are several')
    .addOption(ownConfig())
    .action(async (address: string, dataset: string, options: { config: string; offer?: string }) => {
      const { negotiate } = await import('./commands/negotiate.ts');
      await negotiate(address, dataset, options);
    });
  program
    .command('fetch')
    .description('read rows under an agreement, as an Arrow stream')
    .argument('<agreement>', 'its id')
    .option('--columns <names>', 'only these columns, with commas between', list)
    .option('--purpose <iri>', 'what the rows are for')
    .option('-o, --output <file>', 'where the rows go, - for standard output', 'rows.arrow')
    .addOption(ownConfig())
    .action(async (agreement: string, options: import('./commands/fetch.ts').FetchRows) => {
      const { fetchRows } = await import('./commands/fetch.ts');
      await fetchRows(agreement, options);
    });
  program
    .command('receive')
    .description("have data pushed to your connector's inbox under an agreement")
    .argument('<agreement>', 'its id')
    .addOption(
      new Option('--type <type>', 'what it comes as')
        .choices([
          'application/vnd.apache.arrow.stream',
          'application/vnd.apache.parquet',
          'text/csv',
          'application/x-ndjson',
        ])
        .default('application/vnd.apache.parquet'),
    )
    .option('--columns <names>', 'only these columns, with commas between', list)
    .option('--purpose <iri>', 'what the rows are for')
    .addOption(ownConfig())
    .action(async (agreement: string, options: import('./commands/receive.ts').ReceiveData) => {
      const { receiveData } = await import('./commands/receive.ts');
      await receiveData(agreement, options);
    });
}

/** The transfers of the own connector, in both roles. */
export function addTransfers(program: Command): void {
  const transfers = program
    .command('transfers')
    .description("your connector's transfers")
    .addOption(ownConfig())
    .action(async (options: { config: string }) => {
      const { listTransfers } = await import('./commands/transfers.ts');
      await listTransfers(options);
    });
  const deeds = [
    ['suspend', 'stop it until you start it again; what runs ends at once'],
    ['start', 'go on with what you have suspended'],
    ['terminate', 'end it'],
    ['revoke', 'make every token given out for it void, without a word to the consumer'],
  ] as const;
  for (const [deed, what] of deeds) {
    const command = transfers.command(deed).description(what).argument('<id>').addOption(ownConfig());
    if (deed === 'suspend' || deed === 'terminate') command.option('--reason <reason>', 'what the other side is told');
    command.action(async (id: string, _options: object, self: Command) => {
      const { changeTransfer } = await import('./commands/transfers.ts');
      await changeTransfer(deed, id, self.optsWithGlobals());
    });
  }
}
