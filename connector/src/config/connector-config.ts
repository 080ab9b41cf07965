import { z } from 'zod';
import {
  dataDirSetting,
  identitySettings,
  networkSetting,
  operatorSettings,
  participantIdSetting,
  pathSetting,
  peerListenSettings,
  setting,
  webhookSetting,
} from './settings.ts';

const seconds = (example: number) =>
  setting(z.number().positive('must be more than 0').max(31_536_000, 'must be at most a year'), example);

/** Everything a connector can be told: `connector.json`. */
export const connectorConfigSchema = z.strictObject({
  program: z.literal('connector'),
  participantId: participantIdSetting,
  /** Folder of the SQLite store. */
  dataDir: dataDirSetting,
  identity: identitySettings,
  protocol: peerListenSettings,
  management: operatorSettings,
  /** Messages to other connectors. */
  delivery: z
    .strictObject({
      /** How long one attempt may take. */
      attemptTimeoutSeconds: seconds(30).default(30),
      /** Longest pause between two attempts; the pauses double up to it. */
      longestPauseSeconds: seconds(30).default(30),
      /** A message that could not be delivered for so long is given up, and what it belongs to is terminated. */
      giveUpAfterSeconds: seconds(600).default(600),
      /** A process that has not moved for so long is asked about at its counterparty: what it said may be lost. */
      askAfterSeconds: seconds(900).default(900),
      /** A repeated message about what has ended gets its answer again for so long; from then on it is refused. */
      forgetAfterSeconds: seconds(604_800).default(604_800),
    })
    .prefault({}),
  /** Data sets of agreements for Delta Sharing clients of this organisation: docs/delta-sharing.md. */
  deltaSharing: z
    .strictObject({
      /** Where clients reach the endpoint, if not at the port for operators: through a proxy that speaks TLS. */
      publicUrl: setting(z.url({ protocol: /^https?$/ }).max(2_000), 'https://shares.bdl.example').optional(),
      /** How long the file that answers a query can be read. */
      fileLifetimeSeconds: seconds(900).default(900),
      /** Room for such files, all together. */
      mostBytes: setting(z.int().min(1_000_000, 'must be at least 1000000'), 20_000_000_000).default(20_000_000_000),
    })
    .prefault({}),
  catalog: z
    .strictObject({
      /** Data sets on one page of the catalog; the next page is one request away. */
      pageSize: setting(
        z.int('must be a whole number').min(1, 'must be 1 to 1000').max(1_000, 'must be 1 to 1000'),
        100,
      ).default(100),
    })
    .prefault({}),
  negotiation: z
    .strictObject({
      /** Whether agreements are made with connectors that cannot sign; such an agreement says that it is unsigned. */
      allowUnsigned: setting(z.boolean(), false).default(false),
      /**
       * Neither offered nor agreed to: policies with rules that the report on enforceability labels so, for instance
       * `not-understood`.
       */
      refuse: setting(z.array(z.enum(['enforced-by-consumer', 'evidence-only', 'not-understood'])).max(3), [
        'not-understood',
      ]).default([]),
      /** Whether a request for less than was offered is agreed to without asking a person. */
      acceptLess: setting(z.boolean(), false).default(false),
      /** Negotiations that one counterparty has begun, and that wait for an answer from here: more are put off. */
      mostWaiting: setting(z.int('must be a whole number').min(1, 'must be at least 1'), 1_000).default(1_000),
      /** A module that decides about requests and offers: docs/operator-api.md. Absent: the default decisions. */
      decisions: pathSetting('decisions.mjs').optional(),
    })
    .prefault({}),
  /** Rules of the operator's own: asked after an agreement has permitted a use, they can only refuse it. */
  localRules: z
    .strictObject({
      /** Rules in Cedar. */
      cedar: z.strictObject({ file: pathSetting('local-rules.cedar') }).optional(),
      /** An Open Policy Agent that is asked about each use. */
      opa: z
        .strictObject({
          url: setting(z.string().max(2_000), 'http://127.0.0.1:8181'),
          /** The document that decides, below /v1/data. */
          path: setting(z.string().max(2_000), 'foedus/usage'),
          tokenFile: pathSetting('opa.token').optional(),
          timeoutSeconds: seconds(2).default(2),
        })
        .optional(),
    })
    .prefault({}),
  /** Where the duties of each use are fulfilled, and what is done about duties that come due. docs/duties.md */
  duties: z
    .strictObject({
      /** Logs of uses, NDJSON, one line each. Absent: one in the data folder. */
      log: z
        .array(
          z.strictObject({
            file: pathSetting('uses.ndjson'),
            /** The system that a duty to log names; absent: for duties that name none. */
            system: setting(z.string().min(1).max(2_000), 'https://logs.bdl.example').optional(),
          }),
        )
        .min(1, 'must not be empty')
        .max(100)
        .optional(),
      /** Web addresses of parties that are to be told of uses. The other side of an agreement needs none. */
      notify: z
        .array(
          z.strictObject({
            /** The party that a duty to notify names. */
            party: setting(z.string().min(1).max(2_000), 'did:web:clearing.example'),
            url: webhookSetting,
            tokenFile: pathSetting('webhook.token').optional(),
          }),
        )
        .max(100)
        .default([]),
      /** Whether files that were recorded as received are deleted when their deletion is due. */
      deleteReceivedFiles: setting(z.boolean(), false).default(false),
    })
    .prefault({}),
  transfer: z
    .strictObject({
      /** How long the token of a pull transfer lets its holder in. */
      tokenLifetimeSeconds: seconds(86_400).default(86_400),
      /** Pushes of this node's data to where consumers want it. */
      push: z
        .strictObject({
          /** Networks that may be pushed to although they are not public: nothing else is. */
          allowAddresses: setting(z.array(networkSetting).max(100), ['10.0.0.0/8']).default([]),
        })
        .prefault({}),
      /** Pushes that this node receives. */
      inbox: z
        .strictObject({
          /** The most that one transfer may bring. */
          maxBytes: setting(
            z.int('must be a whole number').min(1, 'must be at least 1').max(Number.MAX_SAFE_INTEGER),
            100_000_000_000,
          ).default(100_000_000_000),
        })
        .prefault({}),
    })
    .prefault({}),
});
export type ConnectorConfig = z.output<typeof connectorConfigSchema>;
