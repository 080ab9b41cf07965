import { join } from 'node:path';
import { LOG, type OwedDuty } from '@foedus/usage-policies';
import { readToken, type ConnectorConfig } from '../config/index.ts';
import { FoedusError } from '../errors.ts';
import type { PeerClient } from '../identity/index.ts';
import type { SignedAgreement } from '../management/model.ts';
import { createLogFile, type LogFile } from './log-file.ts';
import type { Parcel } from './delivery-store.ts';

/** Where a use is written down, or who is told of it. */
export interface Sink {
  readonly kind: 'log' | 'notify';
  /** Names it in order with others. */
  readonly lane: string;
  /** For people. */
  readonly to: string;
}

/** Everything that deliveries of this node go to. */
export interface Sinks {
  /** @returns the sink for a duty of each use, or why there is none, in words that go on after `because` */
  for(duty: OwedDuty, agreement: SignedAgreement): Sink | { readonly missing: string };
  /** Brings a parcel where its lane says, once. @throws FoedusError `unavailable` where it was not taken */
  carry(parcel: Parcel, signal: AbortSignal): Promise<void>;
}

/** How much of an answer is read: nothing is done with it. */
const LARGEST_ANSWER = 64 * 1024;

/**
 * Logs and webhooks of the configuration, and the connectors of counterparties. Without a configured log there is one
 * in the data folder; what a duty asks to be logged in a system of its own, or told to somebody who is neither party,
 * needs to be configured.
 */
export function createSinks(options: {
  participantId: string;
  config: ConnectorConfig['duties'];
  dataDir: string;
  client: PeerClient;
  /** Files a notice to this node itself. */
  noticed: (payload: unknown) => void;
  attemptTimeoutMs: number;
}): Sinks {
  const { participantId, config, dataDir, client, noticed, attemptTimeoutMs } = options;
  const logs = config.log ?? [{ file: join(dataDir, 'uses.ndjson') }];
  const files = new Map<string, LogFile>(logs.map(({ file }) => [file, createLogFile(file)]));

  const logFor = ({ system }: OwedDuty): Sink | { missing: string } => {
    const log = logs.find((each) => each.system === system) ?? (system === undefined ? logs[0] : undefined);
    if (log !== undefined) return { kind: 'log', lane: `log ${log.file}`, to: log.file };
    return { missing: `no log of the system ${system} is set in duties.log` };
  };
  const noticeFor = (duty: OwedDuty, agreement: SignedAgreement): Sink | { missing: string } => {
    const party = duty.informedParty ?? agreement.assigner;
    const hook = config.notify.find((each) => each.party === party);
    if (hook !== undefined) return { kind: 'notify', lane: `webhook ${hook.url}`, to: hook.url };
    if (party === participantId) return { kind: 'notify', lane: 'self', to: party };
    if (party === agreement.counterPartyId) {
      return { kind: 'notify', lane: `peer ${party} ${origin(agreement)}`, to: party };
    }
    return { missing: `no address of ${party} is set in duties.notify` };
  };

  const post = async (url: string, payload: unknown, signal: AbortSignal): Promise<void> => {
    const { tokenFile } = config.notify.find((each) => each.url === url) ?? {};
    const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': idOf(payload),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(payload),
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(attemptTimeoutMs)]),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`it answered ${response.status}`);
  };
  const postToPeer = async (
    { participant, root, path }: { participant: string; root: string; path: string },
    payload: unknown,
    signal: AbortSignal,
  ): Promise<void> => {
    const { status, body } = await client.call(`${root}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(payload),
      expect: participant,
      timeoutMs: attemptTimeoutMs,
      maxBytes: LARGEST_ANSWER,
      signal,
    });
    if (status >= 300) throw new Error(`it answered ${status}${wordsOf(body)}`);
  };

  return {
    for: (duty, agreement) => (duty.action === LOG ? logFor(duty) : noticeFor(duty, agreement)),
    carry: async ({ lane, payload, delivery }, signal) => {
      const [kind = '', first = '', root = ''] = lane.split(' ');
      try {
        if (kind === 'log') {
          const file = files.get(lane.slice('log '.length));
          if (file === undefined) throw new Error('it is not in duties.log any more');
          await file.append(payload);
        } else if (kind === 'webhook') await post(first, payload, signal);
        else if (kind === 'self') noticed(payload);
        else {
          const at = `/duties/${encodeURIComponent(delivery.agreementId)}`;
          const path = delivery.kind === 'receipt' ? `${at}/receipts` : `${at}/notices`;
          await postToPeer({ participant: first, root, path }, payload, signal);
        }
      } catch (cause) {
        if (signal.aborted) throw cause;
        throw new FoedusError('unavailable', `${delivery.to}: ${(cause as Error).message}`, { cause });
      }
    },
  };
}

/** Where the counterparty's connector listens: its duties lie beside the protocol's paths. */
export function origin({ counterPartyAddress }: Pick<SignedAgreement, 'counterPartyAddress'>): string {
  return new URL(counterPartyAddress).origin;
}

function idOf(payload: unknown): string {
  return (payload as { id: string }).id;
}

/** What a problem document says, shortened. */
function wordsOf(body: Uint8Array | undefined): string {
  try {
    const { message } = JSON.parse(Buffer.from(body ?? []).toString('utf8')) as { message?: unknown };
    return typeof message === 'string' ? `: ${message.slice(0, 500)}` : '';
  } catch {
    return '';
  }
}
