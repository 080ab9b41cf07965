import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';

/** The published schemas and examples lie beside the repository, not in it. */
const FOLDER = join(import.meta.dirname, '../../../shared/spec/dsp-2025-1');
const BASE = 'https://w3id.org/dspace/2025/1/';

/** Where a document type's schema is: folder and name, as the specification files them. */
const SCHEMA_OF: Record<string, string> = {
  Catalog: 'catalog/catalog',
  Dataset: 'catalog/dataset',
  CatalogRequestMessage: 'catalog/catalog-request-message',
  DatasetRequestMessage: 'catalog/dataset-request-message',
  CatalogError: 'catalog/catalog-error',
  ContractRequestMessage: 'negotiation/contract-request-message',
  ContractOfferMessage: 'negotiation/contract-offer-message',
  ContractAgreementMessage: 'negotiation/contract-agreement-message',
  ContractAgreementVerificationMessage: 'negotiation/contract-agreement-verification-message',
  ContractNegotiationEventMessage: 'negotiation/contract-negotiation-event-message',
  ContractNegotiationTerminationMessage: 'negotiation/contract-negotiation-termination-message',
  ContractNegotiation: 'negotiation/contract-negotiation',
  ContractNegotiationError: 'negotiation/contract-negotiation-error',
  TransferRequestMessage: 'transfer/transfer-request-message',
  TransferStartMessage: 'transfer/transfer-start-message',
  TransferSuspensionMessage: 'transfer/transfer-suspension-message',
  TransferCompletionMessage: 'transfer/transfer-completion-message',
  TransferTerminationMessage: 'transfer/transfer-termination-message',
  TransferProcess: 'transfer/transfer-process',
  TransferError: 'transfer/transfer-error',
};

export interface DspSchemas {
  /** @returns what the published schema of the document's `@type` objects to; empty when it is valid */
  faultsOf(document: unknown): string[];
  /** The published example messages, by file name. */
  readonly examples: readonly { readonly name: string; readonly document: Record<string, unknown> }[];
}

/**
 * Loads the 26 JSON Schemas of DSP 2025-1 (draft 2019-09).
 *
 * @returns undefined, with a line on the console, where the folder is absent; with `CI` set it throws instead
 */
export function loadDspSchemas(): DspSchemas | undefined {
  if (!existsSync(FOLDER)) {
    const why = `the published schemas of the Dataspace Protocol are not at ${FOLDER}`;
    if (process.env['CI']) throw new Error(why);
    console.warn(`skipped: ${why}`);
    return undefined;
  }
  const ajv = new Ajv2019({ strict: false, allErrors: true });
  for (const name of globSync('{catalog,common,negotiation,transfer}/*-schema.json', { cwd: FOLDER })) {
    // Three schemas refer to "…transfer-schema.json#definitions/…": a fragment without its slash is no JSON pointer.
    const text = readFileSync(join(FOLDER, name), 'utf8').replaceAll('.json#definitions/', '.json#/definitions/');
    ajv.addSchema(JSON.parse(text) as object);
  }
  const examples = globSync('*/example/*.json', { cwd: FOLDER })
    .sort()
    .map((name) => ({
      name,
      document: JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Record<string, unknown>,
    }));
  const faultsOf = (document: unknown): string[] => {
    const { '@type': type, protocolVersions } = document as Record<string, unknown>;
    const name = protocolVersions === undefined ? SCHEMA_OF[String(type)] : 'common/protocol-version';
    if (name === undefined) return [`no published schema for @type ${String(type)}`];
    const validate = ajv.getSchema(`${BASE}${name}-schema.json`);
    if (validate === undefined) return [`the schema ${name} is missing`];
    if (validate(document) === true) return [];
    return (validate.errors ?? []).map((error) => `${String(type)}${error.instancePath}: ${error.message}`);
  };
  return { faultsOf, examples };
}
