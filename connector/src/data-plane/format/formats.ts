import { CompressionType, type RecordBatch, type Schema } from 'apache-arrow';
import { FoedusError } from '../../errors.ts';
import { ARROW_STREAM, arrowPieces } from './arrow-stream.ts';
import { ENCODINGS, type ContentEncoding } from './body.ts';
import { PARQUET, parquetPieces } from './parquet-output.ts';
import { CSV, NDJSON, csvPieces, ndjsonPieces } from './text-formats.ts';

/** Turns the batches of a scan into the bytes of a format. */
export type Encoder = (
  schema: Schema,
  batches: AsyncIterable<RecordBatch>,
) => AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>;

/** What data may be fetched as; the first where the consumer does not say. */
export const FORMATS: readonly { readonly mediaType: string; readonly encode: Encoder; readonly text: boolean }[] = [
  { mediaType: ARROW_STREAM, encode: (schema, batches) => arrowPieces(schema, batches), text: false },
  { mediaType: PARQUET, encode: parquetPieces, text: false },
  { mediaType: CSV, encode: csvPieces, text: true },
  { mediaType: NDJSON, encode: ndjsonPieces, text: true },
];
export type Format = (typeof FORMATS)[number];

/** The Arrow stream whose buffers are compressed: readers of Arrow take it as it is. */
export const ARROW_ZSTD: Format = {
  mediaType: `${ARROW_STREAM};codecs=zstd`,
  encode: (schema, batches) => arrowPieces(schema, batches, CompressionType.ZSTD),
  text: false,
};

interface Preference {
  readonly name: string;
  readonly weight: number;
  /** Of the parameter `codecs`, with which readers of Arrow say what they decompress. */
  readonly codecs: readonly string[];
}

/**
 * The format that a consumer prefers (RFC 9110 section 12.5.1). The Arrow stream is compressed for whoever accepts
 * `application/vnd.apache.arrow.stream;codecs=zstd`.
 *
 * @param accept the header Accept
 * @throws FoedusError `bad-request` where it accepts none of them
 */
export function chooseFormat(accept: string | undefined): Format {
  const preferences = preferencesOf(accept ?? '*/*');
  let best: { format: Format; weight: number } | undefined;
  for (const format of FORMATS) {
    const weight = weightOf(preferences, [format.mediaType, `${format.mediaType.split('/')[0]}/*`, '*/*']);
    if (weight > (best?.weight ?? 0)) best = { format, weight };
  }
  if (best?.format.mediaType === ARROW_STREAM) {
    const asked = preferences.find(({ name, weight }) => name === ARROW_STREAM && weight > 0);
    return asked?.codecs.includes('zstd') ? ARROW_ZSTD : best.format;
  }
  if (best !== undefined) return best.format;
  const offered = FORMATS.map(({ mediaType }) => mediaType).join(', ');
  throw new FoedusError('bad-request', `Data is sent as ${offered}. Name one of them in the header Accept.`);
}

/**
 * The compression that a consumer asks for (RFC 9110 section 12.5.3).
 *
 * Libraries offer every coding that they know without being asked, `deflate` among them. To compress columns of numbers
 * for them would only slow them down: the binary formats are compressed for whoever names gzip or zstd on purpose.
 */
export function chooseEncoding(acceptEncoding: string | undefined, { mediaType, text }: Format): ContentEncoding {
  if (mediaType === ARROW_ZSTD.mediaType) return 'identity';
  const preferences = preferencesOf(acceptEncoding ?? '');
  if (!text && preferences.some(({ name }) => name === 'deflate')) return 'identity';
  let best: ContentEncoding = 'identity';
  let highest = 0;
  for (const encoding of ENCODINGS.filter((name) => name !== 'identity')) {
    const weight = weightOf(preferences, [encoding, '*']);
    if (weight > highest) [best, highest] = [encoding, weight];
  }
  return highest >= weightOf(preferences, ['identity']) ? best : 'identity';
}

/** The weight of the first of `names` that is among the preferences: the most specific one decides. */
function weightOf(preferences: readonly Preference[], names: readonly string[]): number {
  for (const name of names) {
    const found = preferences.find((preference) => preference.name === name);
    if (found !== undefined) return found.weight;
  }
  return 0;
}

const LONGEST_HEADER = 2_000;

function preferencesOf(header: string): Preference[] {
  // A parameter's value may be in quotes, with commas.
  return (header.slice(0, LONGEST_HEADER).match(/(?:[^,"]|"[^"]*"?)+/g) ?? [])
    .map((part) => {
      const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
      const codecs = parameters.find((parameter) => parameter.startsWith('codecs='))?.slice(7) ?? '';
      const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
      const weight = q === undefined ? 1 : Number(q);
      return {
        name,
        weight: weight >= 0 && weight <= 1 ? weight : 0,
        codecs: codecs
          .replaceAll('"', '')
          .split(',')
          .map((codec) => codec.trim()),
      };
    })
    .filter(({ name }) => name !== '');
}
