import { FoedusError } from '@foedus/connector/errors';
import type { LedgerHead } from '@foedus/connector/operator-client';
import { ownConnector } from '../own-connector.ts';
import { clean, print, printTable, time } from '../terminal.ts';

const meters = ['uses', 'rows', 'bytes', 'rounds', 'epsilon'] as const;
type Amounts = Partial<Record<(typeof meters)[number], number>>;

/**
 * Walks the chains of the own connector's ledger, and prints what it has found of each agreement. Throws when an account
 * does not fit its chain, or is older than what a partner holds, after telling about all of them.
 */
export async function verifyLedger(agreementId: string | undefined, { config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const reports = await operator.verifyLedger(agreementId);
  printTable(
    ['agreement', 'entries', 'elements', 'spent', 'finding'],
    reports.map(({ agreementId: id, entries, elements, spent, unchained, broken, disputed }) => [
      id,
      String(entries),
      String(elements),
      amountsOf({ ...spent, rows: spent.rows + unchained.rows, bytes: spent.bytes + unchained.bytes }),
      broken !== undefined ? 'broken' : disputed.length > 0 ? 'older than what a partner holds' : 'good',
    ]),
    'Nothing has been charged yet.',
  );
  for (const { agreementId: id, broken } of reports) if (broken) print(`${clean(id)}: ${clean(broken.what)}`);
  for (const { agreementId: id, disputed } of reports) {
    for (const head of disputed) print(`${clean(id)}: a partner holds ${describe(head)}`);
  }
  if (reports.some(({ broken }) => broken !== undefined)) {
    throw new FoedusError('conflict', 'The ledger was changed. Compare it with a backup before anything is charged.');
  }
  if (reports.some(({ disputed }) => disputed.length > 0)) {
    throw new FoedusError(
      'conflict',
      'The ledger is older than what a partner holds. Restore a newer copy, or adopt what the partner holds: foedus ledger reconcile.',
    );
  }
}

/** Adopts the heads that partners hold and the ledger does not contain. */
export async function reconcileLedger(
  agreementId: string,
  { config, reason, atLeast = [] }: { config: string; reason: string; atLeast?: readonly string[] },
): Promise<void> {
  const { operator } = await ownConnector(config);
  const least = Object.assign({}, ...atLeast.map(readAmount)) as Amounts;
  const { entry, head } = await operator.reconcileLedger(agreementId, {
    reason,
    ...(atLeast.length > 0 && { atLeast: least }),
  });
  const charged = Object.fromEntries(entry.charges.map(({ meter, amount }) => [meter, amount]));
  print(`charged    ${amountsOf(charged) || 'nothing'}`);
  print(`spent now  ${amountsOf(head.head.spent)}`);
  print(`head       ${describe(head.head)}`);
}

function describe({ sequence, hash, at, spent }: LedgerHead): string {
  return `element ${sequence} (${hash.slice(0, 16)}…) of ${time(at)}, with ${amountsOf(spent) || 'nothing spent'}`;
}

function amountsOf(amounts: Amounts): string {
  return meters
    .filter((meter) => (amounts[meter] ?? 0) > 0)
    .map((meter) => `${meter} ${Number((amounts[meter] ?? 0).toPrecision(6))}`)
    .join(', ');
}

/** `epsilon=2.5` */
function readAmount(text: string): Amounts {
  const [name, value = ''] = text.split('=');
  const meter = meters.find((each) => each === name);
  const amount = Number(value);
  if (meter !== undefined && /^\d/.test(value) && Number.isFinite(amount)) return { [meter]: amount };
  throw new FoedusError(
    'bad-request',
    `${text} is no amount. Write for instance epsilon=2.5, of ${meters.join(', ')}.`,
  );
}
