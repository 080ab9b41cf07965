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
  health: loopbackListenSettings,
});
export type ClientConfig = z.output<typeof clientConfigSchema>;
