import { FoedusError } from '@foedus/connector/errors';
import type { Asset } from '@foedus/connector/operator-client';
import { open } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { ownConnector } from '../own-connector.ts';
import { bytes, print, printTable } from '../terminal.ts';

export interface AddAsset {
  readonly config: string;
  readonly id?: string;
  readonly title?: string;
  readonly description?: string;
  readonly training?: true;
  readonly format?: string[];
}

/** Publishes a Parquet file to the own connector. */
export async function addAsset(file: string, options: AddAsset): Promise<void> {
  const path = resolve(file);
  const size = await parquetSize(path);
  const name = basename(path).replace(/\.parquet$/i, '');
  const { operator } = await ownConnector(options.config);
  const asset = await operator.putAsset({
    id: options.id ?? name,
    title: options.title ?? name,
    ...(options.description !== undefined && { description: options.description }),
    source: { type: 'parquet', path },
    formats: [
      ...new Set([...(options.format ?? ['HttpData-PULL']), ...(options.training ? ['FederatedTraining-PUSH'] : [])]),
    ],
  });
  print(`Published ${asset.id} (${bytes(size)}). Nobody sees it yet.`);
  print(`Next: foedus offer add --asset ${asset.id} --policy POLICY   (foedus offer templates shows some)`);
}

/** Lists what is published. */
export async function listAssets({ config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const assets = await operator.assets();
  printTable(
    ['id', 'title', 'formats', 'file'],
    assets.map((asset) => [asset.id, asset.title, asset.formats.join(', '), placeOf(asset.source)]),
    'No data sets are published. foedus asset add FILE.parquet publishes one.',
  );
}

/** A Parquet file begins and ends with `PAR1`: looked at here, where the person still has the file's name in mind. */
async function parquetSize(path: string): Promise<number> {
  const bad = (why: string, cause?: unknown) => new FoedusError('bad-request', `${path} ${why}`, { cause });
  const file = await open(path).catch((cause: unknown) => {
    throw bad('cannot be read. Does it exist?', cause);
  });
  try {
    const { size } = await file.stat();
    const head = Buffer.alloc(4);
    const tail = Buffer.alloc(4);
    if (size >= 12) {
      await file.read(head, 0, 4, 0);
      await file.read(tail, 0, 4, size - 4);
    }
    if (head.toString('latin1') !== 'PAR1' || tail.toString('latin1') !== 'PAR1') throw bad('is no Parquet file.');
    return size;
  } finally {
    await file.close();
  }
}

/** Where the data lies, in a word. */
function placeOf(source: Asset['source']): string {
  if ('path' in source) return source.path;
  if (source.type === 's3') return `s3://${source.bucket}/${source.key ?? source.prefix ?? ''}`;
  return `${source.schema}.${source.table}`;
}
