import {
  connectorAccessSettings,
  dataDirSetting,
  identitySettings,
  operatorSettings,
  participantIdSetting,
  peerListenSettings,
  setting,
} from '@foedus/connector/config';
import { z } from 'zod';

/** Everything a coordinator can be told: `coordinator.json`. */
export const coordinatorConfigSchema = z.strictObject({
  program: z.literal('coordinator'),
  participantId: participantIdSetting,
  /** Folder of the SQLite store. */
  dataDir: dataDirSetting,
  identity: identitySettings,
  /** Where clients reach the rounds. */
  rounds: z.strictObject({
    ...peerListenSettings.shape,
    /** Uploads that are read at the same time; each has a buffer of the model's size. */
    stagingBuffers: setting(z.int().min(1).max(64), 2).default(2),
    /** The largest model that a session may have, in float32 parameters: bounds the memory. */
    maxParameters: setting(z.int().min(1).max(200_000_000), 50_000_000).default(50_000_000),
    /** The longest silence within an upload. */
    uploadIdleSeconds: setting(z.number().positive().max(3_600), 30).default(30),
    /** After so long without a sign of life a participant counts as away. Longer than a long poll (25 s). */
    awayAfterSeconds: setting(z.number().positive().max(86_400), 60).default(60),
  }),
  operator: operatorSettings,
  /** The own organisation's connector. */
  connector: connectorAccessSettings,
});
export type CoordinatorConfig = z.output<typeof coordinatorConfigSchema>;
