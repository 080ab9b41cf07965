import type { Command } from 'commander';
import { days, ownConfig } from './options.ts';

/** Delta Sharing: what readers of tables get. */
export function addShares(program: Command): void {
  const share = program
    .command('share')
    .description('data sets of your agreements for Delta Sharing clients: pandas, Spark');
  share
    .command('profile')
    .description('make a profile file, with which clients read under agreements')
    .argument('<agreements...>', 'their ids')
    .option('-o, --out <file>', 'where it goes', 'profile.share')
    .option('--purpose <iri>', 'what the rows are for')
    .option('--name <name>', 'who or what it is for')
    .option('--days <days>', 'how long it is good', days, 90)
    .addOption(ownConfig())
    .action(async (agreements: string[], options: import('./commands/share.ts').MakeProfile) => {
      const { makeProfile } = await import('./commands/share.ts');
      await makeProfile(agreements, options);
    });
  share
    .command('list')
    .description('profiles, and whether they are still good')
    .addOption(ownConfig())
    .action(async (options: { config: string }) => {
      const { listProfiles } = await import('./commands/share.ts');
      await listProfiles(options);
    });
  share
    .command('revoke')
    .description('close a profile at once')
    .argument('<id>')
    .addOption(ownConfig())
    .action(async (id: string, options: { config: string }) => {
      const { revokeProfile } = await import('./commands/share.ts');
      await revokeProfile(id, options);
    });
}
