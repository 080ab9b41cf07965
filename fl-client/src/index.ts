export { startClient, type Client } from './client.ts';
export { clientConfigSchema, type ClientConfig } from './config.ts';
export type { StartTrainer } from './flow/trainer.ts';
export { probeEngines, type EngineProbe } from './engine/index.ts';
export { startTrainer, type Trainer, type TrainerOptions } from './training/index.ts';
