import { readSignedAgreement, verifyAgreement } from '@foedus/connector/agreement';
import { connectorConfigSchema, loadConfig } from '@foedus/connector/config';
import { FoedusError } from '@foedus/connector/errors';
import type { SignedAgreement } from '@foedus/connector/operator-client';
import { readFile, stat } from 'node:fs/promises';
import { ownConnector } from '../own-connector.ts';
import { describePolicy } from '../policy-words.ts';
import { clean, print, printTable, time } from '../terminal.ts';
import { trustIn } from '../trust.ts';

/** Lists the agreements of the own connector. */
export async function listAgreements({ config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const agreements = await operator.agreements();
  printTable(
    ['id', 'role', 'with', 'data set', 'signatures', 'made'],
    agreements.map((one) => [
      one.id,
      one.role,
      one.counterPartyId,
      one.target,
      [one.signatures.provider && 'provider', one.signatures.consumer && 'consumer'].filter(Boolean).join(', ') ||
        'none',
      time(one.createdAt),
    ]),
    'There are no agreements. foedus negotiate ADDRESS DATASET makes one.',
  );
}

/** Shows one agreement and what is spent of it, or all of it as JSON. */
export async function showAgreement(id: string, options: { config: string; json?: true }): Promise<void> {
  const { operator } = await ownConnector(options.config);
  const agreement = await operator.agreement(id);
  if (options.json) {
    print(JSON.stringify(agreement, null, 2));
    return;
  }
  print(`${agreement.id}  (${agreement.finalized ? 'finalized' : 'not finalized'})`);
  print(`data set   ${clean(agreement.target)}`);
  print(`provider   ${clean(agreement.assigner)}`);
  print(`consumer   ${clean(agreement.assignee)}`);
  print(`made       ${time(agreement.createdAt)}`);
  for (const line of describePolicy(agreement.agreement)) print(`terms      ${clean(line)}`);
  if (agreement.role === 'provider') {
    const { spent, limits } = await operator.account(id);
    for (const meter of ['uses', 'rows', 'bytes', 'rounds', 'epsilon'] as const) {
      const limit = limits[meter];
      if (spent[meter] > 0 || limit !== null) {
        const text = `${Number(spent[meter].toPrecision(6))}${limit === null ? '' : ` of ${limit}`}`;
        print(
          `spent      ${meter} ${text}${meter === 'epsilon' && limits.delta !== null ? ` at δ = ${limits.delta}` : ''}`,
        );
      }
    }
  }
}

/**
 * Verifies both signatures of an agreement: of an exported file without any connector running, or of one of the own
 * connector's. Throws when one of the two is missing or bad, after telling about both.
 */
export async function verify(idOrFile: string, options: { config: string; trust?: string }): Promise<void> {
  const isFile = await stat(idOrFile).then(
    (found) => found.isFile(),
    () => false,
  );
  const agreement: SignedAgreement = isFile
    ? readSignedAgreement(await readFile(idOrFile, 'utf8'))
    : await (await ownConnector(options.config)).operator.agreement(idOrFile);
  const trust = await trustIn(options.trust ?? (await trustAnchorsOf(options.config)));
  const report = await verifyAgreement({ trust }, agreement);
  print(`${clean(agreement.id)}, made ${time(report.at.toISOString())}, data set ${clean(agreement.target)}`);
  for (const { status, text, certificate } of report.signatures) {
    print(`${status === 'valid' ? 'valid  ' : 'NOT OK '} ${clean(text)}`);
    if (certificate) {
      const end = certificate.validTo.toISOString().slice(0, 10);
      print(`        certificate ${certificate.fingerprint}, valid until ${end}`);
    }
  }
  if (!report.valid) throw new FoedusError('bad-signature', 'The agreement does not have two valid signatures.');
}

async function trustAnchorsOf(configFile: string): Promise<string> {
  return (await loadConfig(connectorConfigSchema, configFile, process.env)).identity.trustAnchors;
}
