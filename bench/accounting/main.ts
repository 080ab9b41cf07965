/**
 * ε of 15,000 steps of DP-SGD by privacy-loss distributions, and what it costs beside Rényi composition of the same
 * steps and beside the Fourier transforms that no such accountant can do without, all in one process and one run.
 */
import { epsilonOf, pldEpsilonOf, subsampledGaussian } from '@foedus/fl-core';
import FFT from 'fft.js';

const DELTA = 1e-5;
const REPEATS = 7;
const settings = [
  { name: 'MNIST, 15,000 steps', noiseMultiplier: 1.1, samplingRate: 0.004, steps: 15_000 },
  { name: 'CIFAR, 1,464 steps', noiseMultiplier: 1.54, samplingRate: 0.02048, steps: 1_464 },
  { name: 'full batch, 100 steps', noiseMultiplier: 10, samplingRate: 1, steps: 100 },
];

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

function milliseconds(run: () => void): number {
  run();
  return median(
    Array.from({ length: REPEATS }, () => {
      const start = performance.now();
      run();
      return performance.now() - start;
    }),
  );
}

const size = 1 << 17;
const fft = new FFT(size);
const signal = Float64Array.from({ length: size }, (_, i) => 1 / (i + 1));
const out = new Float64Array(2 * size);
const back = new Float64Array(2 * size);
const transforms = milliseconds(() => {
  fft.realTransform(out, signal);
  fft.completeSpectrum(out);
  fft.inverseTransform(back, out);
});
console.log(`there and back through ${size.toLocaleString('en')} points: ${transforms.toFixed(1)} ms (the floor)\n`);

for (const { name, ...setting } of settings) {
  const events = [subsampledGaussian(setting)];
  const rdp = epsilonOf(events, DELTA).epsilon;
  const bounds = pldEpsilonOf(events, DELTA);
  const upper = milliseconds(() => pldEpsilonOf(events, DELTA, { bothBounds: false }));
  const both = milliseconds(() => pldEpsilonOf(events, DELTA));
  const renyi = milliseconds(() => epsilonOf(events, DELTA));
  console.log(
    `${name}\n` +
      `  ε at δ = ${DELTA}: Rényi ${rdp.toFixed(5)}, loss distribution ${bounds.pessimistic.toFixed(5)} ` +
      `(at least ${bounds.optimistic.toFixed(5)}), ratio ${(bounds.pessimistic / rdp).toFixed(3)}\n` +
      `  upper bound ${upper.toFixed(0)} ms, both bounds ${both.toFixed(0)} ms, Rényi ${renyi.toFixed(1)} ms; ` +
      `upper bound / floor ${(upper / transforms).toFixed(1)}`,
  );
}
