/** The session plan's identity, and the shape and initial values of the model that it describes. */
import { createHash, hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { littleEndianBytes } from '../update/float32.ts';
import type { Feature, SessionPlan } from './plan.ts';

/** Inputs that the parts of a timestamp are one-hot encoded into. */
export const timePartWidth = { hour: 24, weekday: 7, month: 12 } as const;

/** More parameters than this no update can carry (updateHeaderSchema). */
export const MAX_PARAMETERS = 2_000_000_000;

/**
 * @returns SHA-256, hex, of the plan in RFC 8785 canonical form. Hash a parsed plan: the schema fills in defaults, and
 *   a plan with and without them are the same plan only after that.
 */
export function planHash(plan: SessionPlan): string {
  const canonical = canonicalize(plan);
  if (canonical === undefined) throw new TypeError('A session plan is a JSON object; this is not one.');
  return createHash('sha256').update(canonical, 'utf8').digest('hex');
}

/** @returns how many inputs one feature becomes. */
export function featureWidth(feature: Feature): number {
  if (feature.kind === 'time-part') return timePartWidth[feature.part];
  return feature.kind === 'hashed-category' ? feature.buckets : 1;
}

/** @returns D, the number of inputs of the model: the features' widths, in the plan's order. */
export function inputWidth(features: readonly Feature[]): number {
  return features.reduce((sum, feature) => sum + featureWidth(feature), 0);
}

/** One tensor of the model, row-major. */
export interface ParameterShape {
  readonly name: string;
  readonly shape: readonly number[];
}

type ModelPart = Pick<SessionPlan, 'features' | 'model'>;

/** @returns the layers' widths: inputs, hidden…, 1. */
export function layerWidths(plan: ModelPart): number[] {
  return [inputWidth(plan.features), ...plan.model.hidden, 1];
}

/**
 * The model's tensors in the order in which they lie behind each other in every parameter vector: for each layer
 * `layer<i>.weights` [in, out], then `layer<i>.bias` [out].
 */
export function parameterShapes(plan: ModelPart): ParameterShape[] {
  const widths = layerWidths(plan);
  return widths.slice(1).flatMap((out, layer) => [
    { name: `layer${layer}.weights`, shape: [widths[layer] ?? 0, out] },
    { name: `layer${layer}.bias`, shape: [out] },
  ]);
}

/** @returns P, the number of float32 values of the model. */
export function parameterCount(plan: ModelPart): number {
  return parameterShapes(plan).reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
}

/**
 * Initial parameters, the same bits on every platform: weights uniform in ±1/√fan-in (LeCun et al. 1998, up to a
 * constant), biases 0. The i-th weight takes the i-th 32-bit word u of the stream SHA-256(seed ‖ 0), SHA-256(seed ‖ 1), …
 * (counter: 8 bytes, big-endian; words: big-endian) and is float32((2·(u + ½)/2³² − 1)/√fan-in). Only operations that
 * IEEE 754 rounds exactly are used.
 *
 * @returns float32 [P]
 * @throws RangeError when the model has more parameters than an update can carry
 */
export function initialParameters(plan: ModelPart): Float32Array {
  const count = parameterCount(plan);
  if (count > MAX_PARAMETERS) {
    throw new RangeError(
      `The plan's model has ${count} parameters; ${MAX_PARAMETERS} is the most an update can carry.`,
    );
  }
  const next = wordStream(Buffer.from(plan.model.seed, 'hex'));
  const parameters = new Float32Array(count);
  let offset = 0;
  for (const { shape } of parameterShapes(plan)) {
    const [rows = 0, columns] = shape;
    if (columns === undefined) {
      offset += rows;
      continue;
    }
    const bound = 1 / Math.sqrt(rows);
    for (const end = offset + rows * columns; offset < end; offset++) {
      parameters[offset] = ((2 * (next() + 0.5)) / 0x1_0000_0000 - 1) * bound;
    }
  }
  return parameters;
}

/** @returns SHA-256, hex, of the values' little-endian bytes: the `modelHash` of the round protocol. */
export function parametersHash(parameters: Float32Array): string {
  return hash('sha256', littleEndianBytes(parameters), 'hex');
}

function wordStream(seed: Uint8Array): () => number {
  const input = Buffer.alloc(seed.length + 8);
  input.set(seed);
  let counter = 0n;
  // A string of one character a byte: a million small buffers would take more memory than the model.
  let block = '';
  let at = 0;
  return () => {
    if (at === block.length) {
      input.writeBigUInt64BE(counter++, seed.length);
      block = hash('sha256', input, 'binary');
      at = 0;
    }
    const high = (block.charCodeAt(at) << 8) | block.charCodeAt(at + 1);
    const low = (block.charCodeAt(at + 2) << 8) | block.charCodeAt(at + 3);
    at += 4;
    return high * 65_536 + low;
  };
}
