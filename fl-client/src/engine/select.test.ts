import { expect, test } from 'vitest';
import { FoedusError } from '@foedus/connector/errors';
import { engineNames } from './engine.ts';
import { probeEngines, selectEngine } from './select.ts';

test('a probe says of every engine whether it works here, and why not', async () => {
  const probes = await probeEngines();
  expect(probes.map((probe) => probe.name)).toEqual(engineNames);
  for (const probe of probes) {
    if (probe.works) {
      expect(probe.device).toBeTruthy();
      expect(probe.stepMilliseconds).toBeGreaterThan(0);
    } else {
      expect(probe.reason).toMatch(/\w+ \w+ \w+/);
    }
  }
  expect(probes.find((probe) => probe.name === 'jax-wasm')?.works).toBe(true);
});

test('automatic choice always finds an engine', async () => {
  await using engine = await selectEngine('auto');
  expect(engineNames).toContain(engine.name);
});

test('an engine asked for by name that does not work is an error that says what to do', async () => {
  const probe = (await probeEngines()).find(({ works }) => !works);
  if (probe === undefined) return;
  const error = await selectEngine(probe.name).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(FoedusError);
  expect(error).toMatchObject({ code: 'engine-unavailable', message: probe.reason });
});
