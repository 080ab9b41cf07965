import { catalogEntries } from '../catalog-entries.ts';
import { ownConnector } from '../own-connector.ts';
import { describePolicy } from '../policy-words.ts';
import { clean, print, styled } from '../terminal.ts';

/** Prints what another participant offers: data sets, and the terms of each offer in words. */
export async function showCatalog(address: string, options: { config: string; json?: true }): Promise<void> {
  const { operator } = await ownConnector(options.config);
  const catalog = await operator.requestCatalog(address);
  if (options.json) {
    print(JSON.stringify(catalog, null, 2));
    return;
  }
  const entries = catalogEntries(catalog);
  if (entries.length === 0) print(`${address} offers you nothing.`);
  for (const { id, title, formats, offers } of entries) {
    print(`${styled('bold', clean(id))}  ${clean(title)}  (${clean(formats.join(', '))})`);
    for (const offer of offers) {
      print(`    offer ${clean(offer.id)}`);
      for (const line of describePolicy(offer.policy)) print(`        ${clean(line)}`);
    }
  }
  if (entries.length > 0) print(`\nNext: foedus negotiate ${address} DATASET`);
}
