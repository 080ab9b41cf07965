import { readFile } from 'node:fs/promises';
import { FoedusError } from '@foedus/connector/errors';
import type { Duty, OperatorClient } from '@foedus/connector/operator-client';
import { resolve } from 'node:path';
import { ownConnector } from '../own-connector.ts';
import { clean, print, printTable, styled, time } from '../terminal.ts';

/** What a state means to a person who has to act on it. */
const MEANING: Readonly<Record<Duty['state'], string>> = {
  pending: 'nothing has to be done yet',
  due: 'has to be done now',
  overdue: 'its time is over; nothing may be used under the agreement until it is done',
  done: 'done',
};

export interface ListDuties {
  readonly config: string;
  readonly agreement?: string;
  readonly ours?: true;
  readonly all?: true;
}

/** Lists what has to be done under agreements, by this organisation and by others; what is done only with `all`. */
export async function listDuties({ config, agreement, ours, all }: ListDuties): Promise<void> {
  const { operator } = await ownConnector(config);
  const duties = await operator.duties({
    ...(agreement !== undefined && { agreementId: agreement }),
    ...(ours && { ours: true }),
    ...(!all && { state: ['pending', 'due', 'overdue'] }),
  });
  printTable(
    ['state', 'who', 'has to', 'until', 'data set', 'id'],
    duties.map((duty) => [
      duty.state,
      duty.ours ? 'we' : duty.owedBy,
      duty.action,
      duty.dueAt === undefined ? endOf(duty) : time(duty.dueAt),
      duty.datasetId,
      duty.id,
    ]),
    all ? 'No agreement asks for anything to be done.' : 'There is nothing to be done.',
  );
  const late = duties.filter(({ state }) => state === 'overdue').length;
  if (late > 0) print(`\n${late === 1 ? 'One is' : `${late} are`} overdue: ${MEANING.overdue}.`);
}

function endOf({ waits }: Duty): string {
  return waits ? 'counts from the first data' : 'no end is set';
}

/** Shows one duty: what it says, how it stands, and the receipt. */
export async function showDuty(id: string, { config, json }: { config: string; json?: true }): Promise<void> {
  const { operator } = await ownConnector(config);
  const duty = await operator.duty(id);
  if (json) {
    print(JSON.stringify(duty, undefined, 2));
    return;
  }
  print(`${clean(duty.id)}  (${styled('bold', duty.state)}: ${MEANING[duty.state]})`);
  const rows: [string, string | undefined][] = [
    ['what', duty.text],
    ['who', duty.ours ? 'this organisation' : duty.owedBy],
    ['data set', duty.datasetId],
    ['with', duty.counterPartyId],
    ['data since', duty.receivedAt && time(duty.receivedAt)],
    ['not before', duty.opensAt && time(duty.opensAt)],
    ['until', duty.dueAt === undefined ? endOf(duty) : time(duty.dueAt)],
    ['done', duty.fulfilledAt && `${time(duty.fulfilledAt)}${duty.late ? ', late' : ''}`],
    ['receipt', receiptOf(duty)],
    ['note', duty.note],
  ];
  for (const [label, value] of rows) if (value !== undefined) print(`${label.padEnd(11)}${clean(value)}`);
  if (duty.ours && duty.state !== 'done')
    print(`\nOnce it is done: foedus duties fulfil '${clean(duty.id)}' --evidence '…'`);
}

function receiptOf({ receipt, receiptDeliveredAt, confirmed, ours }: Duty): string | undefined {
  if (confirmed) return 'none: this side has confirmed it';
  if (receipt === undefined) return undefined;
  const signed = `signed by ${receipt.receipt.by}, evidence ${receipt.receipt.evidence.slice(0, 16)}…`;
  if (!ours) return `${signed}, received ${time(receiptDeliveredAt ?? receipt.receipt.at)}`;
  return receiptDeliveredAt === undefined
    ? `${signed}, not delivered yet: it is tried again`
    : `${signed}, delivered ${time(receiptDeliveredAt)}`;
}

export interface FulfilDuty {
  readonly config: string;
  /** Words. */
  readonly evidence?: string;
  /** A JSON file. */
  readonly evidenceFile?: string;
}

/** Says that a duty is done. One of ours: the other side gets a signed receipt. */
export async function fulfilDuty(id: string, { config, evidence, evidenceFile }: FulfilDuty): Promise<void> {
  if (evidence !== undefined && evidenceFile !== undefined) {
    throw new FoedusError('bad-request', 'Give either --evidence or --evidence-file, not both.');
  }
  const given = evidenceFile === undefined ? evidence : await readJson(evidenceFile);
  const { operator } = await ownConnector(config);
  const duty = await operator.fulfilDuty(id, given);
  print(`Done since ${time(duty.fulfilledAt!)}: ${clean(duty.text)}`);
  print(
    duty.ours
      ? `${clean(duty.counterPartyId)} gets a receipt signed by this organisation. The evidence stays here; the receipt has its digest.`
      : 'Confirmed by this side, without a receipt of the other.',
  );
}

/** Tells the connector where received data lie that have to be deleted one day. */
export async function noteForDeletion(operator: OperatorClient, agreementId: string, file: string): Promise<void> {
  const [duty] = await operator.duties({ agreementId, action: 'delete', ours: true, limit: 1 });
  if (duty === undefined) return;
  const noted = await operator.recordReceivedFile(agreementId, resolve(file)).catch(() => undefined);
  const until = duty.dueAt === undefined ? '' : ` until ${time(duty.dueAt)}`;
  print(`It has to be deleted${until}: foedus duties show '${clean(duty.id)}'`);
  if (noted === undefined) print('The connector does not see the file, so it cannot delete it itself.');
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown;
  } catch (cause) {
    throw new FoedusError('bad-request', `${file} cannot be read as JSON: ${(cause as Error).message}`, { cause });
  }
}
