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
    /**
     * Uploads of a session that are read at the same time; others wait. Each has a buffer of an upload's size, beside a
     * sum of twice the model's: more than one pays where members send more slowly than this node can take in.
     */
    stagingBuffers: setting(z.int().min(1).max(64), 1).default(1),
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
