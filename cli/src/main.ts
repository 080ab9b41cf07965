import { Command, Option } from 'commander';
import { addConsumer, addTransfers } from './consumer-commands.ts';
import { collect, days, ownConfig } from './options.ts';
import { addShares } from './share-commands.ts';
import { describeError } from './terminal.ts';

/**
 * The `foedus` command. Each action loads its own code, so that none waits for that of the others.
 *
 * @param args without `node` and the script. Sets `process.exitCode`.
 */
export async function main(args: readonly string[]): Promise<void> {
  const program = createProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.stderr.write(`${describeError(error, args.includes('--verbose'))}\n`);
    process.exitCode = 1;
  }
}

/** @returns the command with everything below it */
export function createProgram(): Command {
  const program = new Command('foedus')
    .description('A data-space connector and federated-learning node under one contract')
    .option('--verbose', 'show where an error came from')
    .showHelpAfterError('(foedus help shows what there is)');
  addPrograms(program);
  addSetup(program);
  addProvider(program);
  addPolicies(program);
  addConsumer(program);
  addTransfers(program);
  addShares(program);
  addRecords(program);
  addPrivacy(program);
  addNegotiations(program);
  addDuties(program);
  addTokens(program);
  return program;
}

function addPrograms(program: Command): void {
  for (const name of ['connector', 'coordinator', 'client'] as const) {
    const what = { connector: 'data-space connector', coordinator: 'training coordinator', client: 'training client' };
    program
      .command(name)
      .description(`the ${what[name]}`)
      .command('start')
      .description('run it until Ctrl-C or SIGTERM')
      .option('-c, --config <file>', 'its configuration', `${name}.json`)
      .action(async ({ config }: { config: string }) => {
        const { runProgram } = await import('./programs.ts');
        await runProgram(name, config);
      });
  }
  program
    .command('demo')
    .description('a whole data space on this machine')
    .option('--once', 'end when the main job has succeeded')
    .option('--clean', 'forget an earlier data space first')
    .option('--resume', 'go on where an earlier start ended (this is what happens without --clean)')
    .option('--dir <directory>', 'where everything is written', 'data-space')
    .addOption(new Option('--containers', 'addresses of the containers in docker/').hideHelp())
    .addOption(new Option('--setup-only', 'write folders, certificates and data, and end').hideHelp())
    .addOption(new Option('--story-only', 'the programs are started by somebody else').hideHelp())
    .action(async (options: import('./commands/demo.ts').DemoCommand) => {
      const { demo } = await import('./commands/demo.ts');
      await demo(options);
    });
}

function addSetup(program: Command): void {
  const certs = program.command('certs').description('certificates of a data space');
  certs
    .command('init')
    .description('make a certificate authority')
    .option('--dir <directory>', 'folder for ca.crt and ca.key', 'ca')
    .option('--name <name>', 'its name', 'Foedus data space')
    .option('--days <days>', 'how long it is valid', days)
    .action(async (options: { dir: string; name: string; days?: number }) => {
      const { initAuthority } = await import('./commands/certs.ts');
      await initAuthority(options);
    });
  certs
    .command('issue')
    .description("issue a participant's certificates for TLS and for signing")
    .argument('<participantId>', 'for instance did:web:bdl.example')
    .option('--ca <directory>', 'folder of the authority', 'ca')
    .option('--dir <directory>', 'folder for the five files', '.')
    .option('--host <host>', 'host name or IP address of the connector; may be repeated', collect)
    .option('--days <days>', 'how long they are valid', days)
    .action(async (participantId: string, options: { ca: string; dir: string; host?: string[]; days?: number }) => {
      const { issue } = await import('./commands/certs.ts');
      await issue(participantId, options);
    });
  program
    .command('config')
    .description('configuration files')
    .command('check')
    .description('print every problem of a configuration')
    .argument('<file>')
    .action(async (file: string) => {
      const { checkConfig } = await import('./commands/config.ts');
      await checkConfig(file);
    });
  program
    .command('doctor')
    .description('what works on this machine, and why the rest does not')
    .option('-c, --config <file>', 'also check the ports, folders and certificates of this configuration')
    .action(async (options: { config?: string }) => {
      const { doctor } = await import('./commands/doctor.ts');
      await doctor(options);
    });
}

function addProvider(program: Command): void {
  const asset = program.command('asset').description('your data sets');
  asset
    .command('add')
    .description('publish a Parquet file to your connector (nobody sees it before it is offered)')
    .argument('<file>', 'a Parquet file')
    .option('--id <id>', "the data set's id (default: the file's name)")
    .option('--title <title>', 'what others read in the catalog')
    .option('--description <text>', 'more about it')
    .option('--training', 'models may be trained on it, when an offer permits that')
    .option('--format <name>', 'how it may be moved; may be repeated (default: HttpData-PULL)', collect)
    .addOption(ownConfig())
    .action(async (file: string, options: import('./commands/asset.ts').AddAsset) => {
      const { addAsset } = await import('./commands/asset.ts');
      await addAsset(file, options);
    });
  asset
    .command('list')
    .addOption(ownConfig())
    .action(async (options: { config: string }) => {
      const { listAssets } = await import('./commands/asset.ts');
      await listAssets(options);
    });
  addAssetLooks(asset);
  const offer = program.command('offer').description('what you offer to others, under which policy');
  offer
    .command('add')
    .description('offer data sets under a policy')
    .requiredOption('--asset <id>', 'a data set; may be repeated', collect)
    .requiredOption('--policy <policy>', 'a JSON file with an ODRL offer, or a template (see: foedus offer templates)')
    .option('--set <name=value>', "a template's parameter; lists with commas; may be repeated", collect)
    .option('--audience <participantId>', 'who sees the offer; may be repeated (default: everybody)', collect)
    .option('--id <id>', "the offer's id (default: made of data set and policy)")
    .addOption(ownConfig())
    .action(async (options: import('./commands/offer.ts').AddOffer) => {
      const { addOffer } = await import('./commands/offer.ts');
      await addOffer(options);
    });
  offer
    .command('send')
    .description('offer a data set to a participant that has not asked for it')
    .argument('<address>', 'of its connector, for instance https://connector.pvd.example:7101')
    .argument('<participantId>')
    .requiredOption('--asset <id>', 'the data set')
    .option('--offer <id>', 'terms: an offer that the participant may see in your catalog')
    .option('--policy <policy>', 'or terms of their own: a JSON file with an ODRL offer, or a template')
    .option('--set <name=value>', "a template's parameter; may be repeated", collect)
    .addOption(ownConfig())
    .action(async (address: string, participantId: string, options: import('./commands/offer.ts').SendOffer) => {
      const { sendOffer } = await import('./commands/offer.ts');
      await sendOffer(address, participantId, options);
    });
  offer
    .command('list')
    .addOption(ownConfig())
    .action(async (options: { config: string }) => {
      const { listOffers } = await import('./commands/offer.ts');
      await listOffers(options);
    });
  offer
    .command('templates')
    .description('policies to start from, and their parameters')
    .action(async () => {
      const { listTemplates } = await import('./commands/offer.ts');
      await listTemplates();
    });
}

function addAssetLooks(asset: Command): void {
  asset
    .command('profile')
    .description('what a data set holds, and which columns look like personal data')
    .argument('<id>')
    .option('--again', 'look at it again')
    .option('--json', 'the profile as JSON')
    .addOption(ownConfig())
    .action(async (id: string, options: import('./commands/asset-look.ts').ProfileAsset) => {
      const { profileAsset } = await import('./commands/asset-look.ts');
      await profileAsset(id, options);
    });
  asset
    .command('check')
    .description('whether data sets are still as they were published')
    .argument('[id]', 'one of them (default: all)')
    .addOption(ownConfig())
    .action(async (id: string | undefined, options: { config: string }) => {
      const { checkAssets } = await import('./commands/asset-look.ts');
      await checkAssets(id, options);
    });
  asset
    .command('repin')
    .description('take the schema that a data set has now for the published one')
    .argument('<id>')
    .addOption(ownConfig())
    .action(async (id: string, options: { config: string }) => {
      const { repinAsset } = await import('./commands/asset-look.ts');
      await repinAsset(id, options);
    });
}

function addPolicies(program: Command): void {
  const policy = program.command('policy').description('policies in JSON files, without any connector');
  const language = () => new Option('--lang <language>', 'of the words').choices(['en', 'de']).default('en');
  policy
    .command('check')
    .description('who can enforce which part of it')
    .argument('<file>')
    .addOption(language())
    .option('--json', 'the report as JSON')
    .action(async (file: string, options: import('./commands/policy.ts').PolicyCommand) => {
      const { checkPolicy } = await import('./commands/policy.ts');
      await checkPolicy(file, options);
    });
  policy
    .command('explain')
    .description('what it says, in plain words')
    .argument('<file>')
    .addOption(language())
    .option('--json', 'the lines as JSON')
    .action(async (file: string, options: import('./commands/policy.ts').PolicyCommand) => {
      const { explainPolicy } = await import('./commands/policy.ts');
      await explainPolicy(file, options);
    });
  policy
    .command('simulate')
    .description('what it would decide on a request')
    .argument('<file>')
    .requiredOption('-r, --request <file>', 'JSON: {"assignee", "purpose", "columns", …}')
    .option('--history <file>', 'JSON: a list of events, or {"spent", "history", "agreedAt", …}')
    .option('--json', 'the decision as JSON')
    .action(async (file: string, options: import('./commands/policy.ts').Simulation) => {
      const { simulatePolicy } = await import('./commands/policy.ts');
      await simulatePolicy(file, options);
    });
  policy
    .command('compare')
    .description('whether the second asks for more or less than the first, by rule')
    .argument('<a>')
    .argument('<b>')
    .option('--json', 'the comparison as JSON')
    .action(async (a: string, b: string, options: { json?: true }) => {
      const { comparePolicies } = await import('./commands/policy.ts');
      await comparePolicies(a, b, options);
    });
}

function addPrivacy(program: Command): void {
  const privacy = program.command('privacy').description('privacy budgets');
  privacy
    .command('plan')
    .description('find noise and rounds for a budget, and show what other choices would cost')
    .requiredOption('--epsilon <epsilon>', 'ε of the whole training')
    .option('--delta <delta>', 'δ at which ε is counted', '1e-5')
    .requiredOption('--rows <rows>', 'rows that train at your organisation')
    .option('--batch <rows>', 'expected rows in a batch', '256')
    .option('--steps <steps>', 'steps a round', '20')
    .option('--rounds <rounds>', 'rounds wanted', '30')
    .option('--clip <norm>', "L2 norm that a row's gradient is clipped to", '1')
    .option('--most-noise <sigma>', 'noise multiplier that must not be exceeded; rounds are given up for it', '1000')
    .option('--evaluation-noise <sigma>', 'σ of the histograms that metrics follow from; without it there are none')
    .option('--evaluate-every <rounds>', 'rounds from one evaluation to the next', '1')
    .option('--out <file>', 'write the charts as a page, or as a drawing where the name ends in .svg')
    .action(async (options: import('./commands/privacy.ts').PrivacyPlanOptions) => {
      const { planPrivacy } = await import('./commands/privacy.ts');
      await planPrivacy(options);
    });
  privacy
    .command('plan-organisations')
    .description('find the noise for a budget when all that one organisation contributes is hidden')
    .requiredOption('--epsilon <epsilon>', 'ε of the whole training')
    .option('--delta <delta>', 'δ at which ε is counted', '1e-5')
    .requiredOption('--members <count>', 'organisations invited')
    .requiredOption('--minimum <count>', 'minimum cohort: a round with fewer ends without output')
    .option('--colluding <count>', 'of those left, how many may tell whoever looks what they know', '1')
    .requiredOption('--parameters <count>', 'parameters of the model')
    .option('--rounds <rounds>', 'rounds', '30')
    .option('--clip <norm>', 'L2 norm that an update is clipped to', '1')
    .option('--bits <bits>', 'bits of a value under the masks', '24')
    .action(async (options: import('./commands/privacy-organisations.ts').OrganisationPlanOptions) => {
      const { planOrganisations } = await import('./commands/privacy-organisations.ts');
      planOrganisations(options);
    });
}

function addRecords(program: Command): void {
  const agreement = program.command('agreement').description('signed contracts');
  agreement
    .command('list')
    .addOption(ownConfig())
    .action(async (options: { config: string }) => {
      const { listAgreements } = await import('./commands/agreement.ts');
      await listAgreements(options);
    });
  agreement
    .command('show')
    .argument('<id>')
    .option('--json', 'everything, with both signatures: what verify reads from a file')
    .addOption(ownConfig())
    .action(async (id: string, options: { config: string; json?: true }) => {
      const { showAgreement } = await import('./commands/agreement.ts');
      await showAgreement(id, options);
    });
  agreement
    .command('verify')
    .description('verify both signatures; of an exported file without any connector')
    .argument('<id-or-file>', 'an id, or a file written by: foedus agreement show ID --json')
    .option('--trust <file>', 'trust anchors (PEM), instead of those of your configuration')
    .addOption(ownConfig())
    .action(async (idOrFile: string, options: { config: string; trust?: string }) => {
      const { verify } = await import('./commands/agreement.ts');
      await verify(idOrFile, options);
    });
  const ledger = program.command('ledger').description('what was charged, and the proof of it');
  ledger
    .command('verify')
    .description('walk the chain of an agreement, or of all, and hold the accounts against it')
    .argument('[agreement]', 'its id')
    .addOption(ownConfig())
    .action(async (agreementId: string | undefined, options: { config: string }) => {
      const { verifyLedger } = await import('./commands/ledger.ts');
      await verifyLedger(agreementId, options);
    });
  ledger
    .command('reconcile')
    .description('adopt what a partner holds, where the ledger was set back to an older copy')
    .argument('<agreement>', 'its id')
    .requiredOption('--reason <text>', 'what happened and was decided: it stays in the ledger')
    .option('--at-least <meter=amount...>', 'what is to count as spent at least, for instance epsilon=2.5')
    .addOption(ownConfig())
    .action(async (agreementId: string, options: { config: string; reason: string; atLeast?: string[] }) => {
      const { reconcileLedger } = await import('./commands/ledger.ts');
      await reconcileLedger(agreementId, options);
    });
}

function addNegotiations(program: Command): void {
  const negotiations = program
    .command('negotiations')
    .description("your connector's negotiations")
    .option('--pending', 'only those that wait for your decision')
    .addOption(ownConfig())
    .action(async (options: { config: string; pending?: true }) => {
      const { listNegotiations } = await import('./commands/negotiations.ts');
      await listNegotiations(options);
    });
  negotiations
    .command('show')
    .description('one of them, with the terms that are on the table')
    .argument('<id>')
    .addOption(ownConfig())
    .action(async (id: string, _options: object, command: Command) => {
      const { showNegotiation } = await import('./commands/negotiations.ts');
      await showNegotiation(id, command.optsWithGlobals());
    });
  negotiations
    .command('decide')
    .description('answer what the other side asks for or offers')
    .argument('<id>')
    .option('--accept', 'agree to it')
    .option('--reject [reason]', 'decline, and tell why')
    .option('--counter <file>', 'other terms instead: a JSON file with an ODRL offer')
    .addOption(ownConfig())
    .action(async (id: string, _options: object, command: Command) => {
      const { decideNegotiation } = await import('./commands/negotiations.ts');
      await decideNegotiation(id, command.optsWithGlobals());
    });
}

function addDuties(program: Command): void {
  const duties = program
    .command('duties')
    .description('what has to be done under your agreements, by you and by others');
  duties
    .command('list')
    .description('what is not done yet; what is due first comes first')
    .option('--agreement <id>', 'only under this agreement')
    .option('--ours', 'only what your organisation has to do')
    .option('--all', 'also what is done')
    .addOption(ownConfig())
    .action(async (options: import('./commands/duties.ts').ListDuties) => {
      const { listDuties } = await import('./commands/duties.ts');
      await listDuties(options);
    });
  duties
    .command('show')
    .description('one of them, in words, with its receipt')
    .argument('<id>')
    .option('--json', 'everything, with the signed receipt')
    .addOption(ownConfig())
    .action(async (id: string, options: { config: string; json?: true }) => {
      const { showDuty } = await import('./commands/duties.ts');
      await showDuty(id, options);
    });
  duties
    .command('fulfil')
    .description('say that it is done; the other side gets a signed receipt')
    .argument('<id>')
    .option('--evidence <text>', 'what shows that it was done; it stays at your connector')
    .option('--evidence-file <file>', 'the same as a JSON file')
    .addOption(ownConfig())
    .action(async (id: string, options: import('./commands/duties.ts').FulfilDuty) => {
      const { fulfilDuty } = await import('./commands/duties.ts');
      await fulfilDuty(id, options);
    });
}

function addTokens(program: Command): void {
  const token = program.command('token').description("who may use your connector's operator API");
  token
    .command('create')
    .description('make a token, and print it')
    .addOption(
      new Option(
        '--scope <scope>',
        'what it allows: to look; to ask for decisions and charge uses; both and to act; all',
      )
        .choices(['read', 'use', 'operate', 'administer'])
        .makeOptionMandatory(),
    )
    .option('--name <name>', 'who or what it is for')
    .option('--days <days>', 'how long it is good (default: until it is revoked)', days)
    .option('-o, --output <file>', 'write it into a file that only you can read')
    .addOption(ownConfig())
    .action(async (options: import('./commands/token.ts').CreateToken) => {
      const { createToken } = await import('./commands/token.ts');
      await createToken(options);
    });
  token
    .command('list')
    .addOption(ownConfig())
    .action(async (options: { config: string }) => {
      const { listTokens } = await import('./commands/token.ts');
      await listTokens(options);
    });
  token
    .command('revoke')
    .argument('<id>')
    .addOption(ownConfig())
    .action(async (id: string, options: { config: string }) => {
      const { revokeToken } = await import('./commands/token.ts');
      await revokeToken(id, options);
    });
}
