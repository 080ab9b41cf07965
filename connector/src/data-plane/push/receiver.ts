import type { SignedHead } from '../../ledger/head.ts';
import type { PushStore } from './push-store.ts';

/** A part of what is pushed, charged and ready to be sent. */
export interface Part {
  /** From 1. */
  readonly number: number;
  /** Of its first byte in the whole. */
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly last: boolean;
}

/** How far the receiving side is. */
export interface Progress {
  /** It has everything below. */
  readonly bytes: number;
  readonly complete: boolean;
}

/** The other end of one push. Errors are FoedusErrors; `unavailable` is worth another attempt. */
export interface Receiver extends AsyncDisposable {
  /** Size of all parts but the last, in bytes. Never changes for a push. */
  readonly partBytes: number;
  /** Starts the upload, or finds the one that was started before. */
  open(): Promise<Progress>;
  /** Takes the next part. The one that completes the upload is marked as the last. */
  send(part: Part): Promise<void>;
  /** Gives the upload up: what was received is of no use to anybody. Best effort. */
  discard(): Promise<void>;
}

export interface ReceiverOptions {
  readonly transferId: string;
  readonly mediaType: string;
  readonly store: PushStore;
  readonly signal: AbortSignal;
  /** Of the ledger: its head goes with every part; one that the receiver holds must be part of it. */
  readonly heads: {
    signed(): Promise<SignedHead>;
    present(head: SignedHead): Promise<unknown>;
  };
}
