import {
  connectorAccessSettings,
  dataDirSetting,
  identitySettings,
  loopbackListenSettings,
  participantIdSetting,
  setting,
} from '@foedus/connector/config';
import { z } from 'zod';

/** Everything a training client can be told: `client.json`. */
export const clientConfigSchema = z.strictObject({
  program: z.literal('client'),
  participantId: participantIdSetting,
  /** Folder for updates that are not out yet. */
  dataDir: dataDirSetting,
  identity: identitySettings,
  /** The own organisation's connector. */
  connector: connectorAccessSettings,
  /** `auto` takes the best that works here. */
  engine: z.enum(['auto', 'jax-wasm', 'jax-webgpu', 'tfjs-node-gpu']).default('auto'),
  /** The largest model that this node trains, in float32 parameters: bounds the memory a coordinator can make it use. */
  maxParameters: setting(z.int().min(1).max(200_000_000), 50_000_000).default(50_000_000),
  /** Trainers at the same time, each with a model, rows and a thread; further sessions wait until one is idle. */
  maxTrainers: setting(z.int().min(1).max(64), 4).default(4),
  /** Sessions of one coordinator that are followed at the same time; further ones wait until one is over. */
  maxSessions: setting(z.int().min(1).max(1_000), 100).default(100),
  health: loopbackListenSettings,
});
export type ClientConfig = z.output<typeof clientConfigSchema>;
