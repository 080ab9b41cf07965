import { setTimeout as pause } from 'node:timers/promises';
import { createDice, type Dice } from '../fuzz/dice.ts';
import { startConnectorPair, type ConnectorPair } from '../src/connector-pair.ts';
import { faultsOf, readBooks } from './books.ts';
import { settle, trade } from './trade.ts';

export interface CampaignOptions {
  /** Negotiations, each with a transfer under its agreement. */
  readonly trades: number;
  /** How often each side is killed. */
  readonly kills: number;
  /** Trades under way at the same time. */
  readonly inFlight: number;
  /** The same seed kills at the same progress, and makes the same trades. */
  readonly seed: number;
  readonly progress?: (line: string) => void;
}

export interface CampaignReport {
  /** What is not as it should be, in words; empty when nothing was lost or doubled. */
  readonly faults: readonly string[];
  /** SIGKILLs to both sides. */
  readonly kills: number;
  readonly negotiations: number;
  readonly transfers: number;
  readonly agreements: number;
}

/**
 * Two connectors trade while each of them is killed again and again at random, as by a power cut, and started again
 * at once. Then their stores are compared.
 */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const { trades, kills, inFlight, seed, progress = () => undefined } = options;
  const dice = createDice(seed);
  // Short pauses, so that the time goes into work and not into waiting.
  await using pair = await startConnectorPair({ settings: { delivery: { longestPauseSeconds: 2 } } });
  let done = 0;
  let killed = 0;
  const waiting: { readonly after: number; readonly wake: () => void }[] = [];
  const reached = (count: number): Promise<void> =>
    done >= count ? Promise.resolve() : new Promise((wake) => waiting.push({ after: count, wake }));
  const finished = (): void => {
    done += 1;
    for (const { after, wake } of waiting) if (done >= after) wake();
  };

  const work = async (): Promise<void> => {
    for (let begun = nextTrade(); begun < trades; begun = nextTrade()) {
      await trade(pair, createDice(seed * 1_000_003 + begun));
      finished();
    }
  };
  let begun = 0;
  const nextTrade = (): number => (begun += 1) - 1;

  /** Kills one side when the work has come so far, and starts it again: perhaps it is killed while it starts, too. */
  const executioner = async (side: 'provider' | 'consumer', own: Dice): Promise<void> => {
    // The last kill comes before the last trades, so that each of them hits something.
    const when = Array.from({ length: kills }, () => own.roll(Math.max(1, trades - inFlight))).toSorted(
      (a, b) => a - b,
    );
    for (const after of when) {
      await reached(after);
      await pause(own.roll(150));
      await pair[side].process.kill();
      killed += 1;
      progress(`${done} of ${trades} done: killed the ${side}`);
      await pause(own.roll(100));
      await pair[side].process.start();
    }
  };
  await Promise.all([
    executioner('provider', createDice(dice.roll(1 << 30))),
    executioner('consumer', createDice(dice.roll(1 << 30))),
    ...Array.from({ length: inFlight }, work),
  ]);
  await settle(pair);
  return await audit(pair, killed);
}

async function audit({ provider, consumer }: ConnectorPair, kills: number): Promise<CampaignReport> {
  await Promise.all([provider.process.end(), consumer.process.end()]);
  const books = { provider: readBooks(provider.process), consumer: readBooks(consumer.process) };
  return {
    faults: await faultsOf(books.provider, books.consumer, consumer.process.directory),
    kills,
    negotiations: books.consumer.negotiations.length,
    transfers: books.consumer.transfers.length,
    agreements: books.consumer.agreements.length,
  };
}
