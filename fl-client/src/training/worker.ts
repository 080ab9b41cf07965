/** The training thread: loads the rows once, then trains and evaluates on request, one request at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { FoedusError } from '@foedus/connector/errors';
import { inputWidth } from '@foedus/fl-core';
import { loadTrainingData, type TrainingData } from '../data/load.ts';
import type { EngineModel } from '../engine/engine.ts';
import { selectEngine } from '../engine/select.ts';
import { countScores, evaluate, microBatchSize, trainRound } from './round.ts';
import type { CarriedError, WorkerData, WorkerReply, WorkerRequest } from './worker-messages.ts';

const port = parentPort;
if (port === null) throw new Error('This file is the training thread; start it by startTrainer.');
const { plan, engine: preference, parquetPaths } = workerData as WorkerData;

const say = (reply: WorkerReply, transfer: ArrayBuffer[] = []): void => port.postMessage(reply, transfer);

try {
  const data = await loadTrainingData(parquetPaths, plan);
  const engine = await selectEngine(preference);
  const width = inputWidth(plan.features);
  const model = await engine.createModel(plan, microBatchSize(plan.local.samplingRate, data.train.length, width));
  let queue = Promise.resolve();
  port.on('message', (request: WorkerRequest) => {
    queue = queue.then(() => answer(request, model, data));
  });
  say({
    kind: 'ready',
    engine: { name: engine.name, device: engine.device },
    rows: { train: data.train.length, heldOut: data.heldOut.length },
  });
} catch (error) {
  say({ kind: 'failed', error: carried(error) });
}

async function answer(request: WorkerRequest, model: EngineModel, data: TrainingData): Promise<void> {
  const { id, parameters, stop } = request;
  const goOn = (): void => {
    if (Atomics.load(stop, 0) !== 0) throw new FoedusError('aborted', 'The training was stopped between two steps.');
  };
  try {
    goOn();
    const heldOut = { dataset: data.dataset, rows: data.heldOut };
    if (request.kind === 'count') {
      const result = await countScores(model, parameters, { ...heldOut, bins: request.bins }, goOn);
      say({ kind: 'counted', id, result });
      return;
    }
    if (request.kind === 'evaluate') {
      const result = await evaluate(model, parameters, heldOut, goOn);
      say({ kind: 'evaluated', id, result });
      return;
    }
    const result = await trainRound(model, plan, parameters, data, {
      onStep: (stepsDone, steps) => {
        goOn();
        say({ kind: 'step', id, stepsDone, steps });
      },
    });
    say({ kind: 'trained', id, result }, [
      result.parameters.buffer as ArrayBuffer,
      result.update.buffer as ArrayBuffer,
    ]);
  } catch (error) {
    say({ kind: 'error', id, error: carried(error) });
  }
}

function carried(error: unknown): CarriedError {
  if (error instanceof FoedusError) return { code: error.code, message: error.message, details: error.details };
  return { code: null, message: error instanceof Error ? (error.stack ?? error.message) : String(error), details: {} };
}
