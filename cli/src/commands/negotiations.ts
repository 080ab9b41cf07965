import { readFile } from 'node:fs/promises';
import { FoedusError } from '@foedus/connector/errors';
import type { Negotiation, OperatorDecision } from '@foedus/connector/operator-client';
import { ownConnector } from '../own-connector.ts';
import { unenforced } from '../enforcement-words.ts';
import { describePolicy } from '../policy-words.ts';
import { clean, print, printTable, time } from '../terminal.ts';

/** Lists the negotiations of the own connector; with `pending`, only those that wait for a person here. */
export async function listNegotiations({ config, pending }: { config: string; pending?: true }): Promise<void> {
  const { operator } = await ownConnector(config);
  const negotiations = await operator.negotiations(pending ? { pendingDecision: true } : {});
  printTable(
    ['id', 'state', 'role', 'with', 'data set', 'agreement', 'changed', 'reason'],
    negotiations.map((one) => [
      one.id,
      one.state,
      one.role,
      one.counterPartyId,
      one.datasetId,
      one.agreementId ?? '',
      time(one.updatedAt),
      one.pendingDecision === undefined ? (one.reason ?? '') : `DECIDE: ${one.pendingDecision.why}`,
    ]),
    pending ? 'No negotiation waits for a decision.' : 'There are no negotiations.',
  );
}

/** Shows one negotiation with the terms that are on the table. */
export async function showNegotiation(id: string, { config }: { config: string }): Promise<void> {
  const { operator } = await ownConnector(config);
  const negotiation = await operator.negotiation(id);
  print(`${negotiation.id}  (${negotiation.state})`);
  print(`we are     the ${negotiation.role}`);
  print(`with       ${clean(negotiation.counterPartyId)}`);
  print(`data set   ${clean(negotiation.datasetId)}`);
  if (negotiation.reason !== undefined) print(`reason     ${clean(negotiation.reason)}`);
  printTerms(negotiation);
  if (negotiation.pendingDecision !== undefined) {
    print(`\nA person has to decide since ${time(negotiation.pendingDecision.since)}:`);
    print(clean(negotiation.pendingDecision.why));
    print(howToDecide(id));
  }
}

export interface Decide {
  readonly config: string;
  readonly accept?: true;
  /** The reason, where one was given. */
  readonly reject?: string | true;
  /** A JSON file with an ODRL offer. */
  readonly counter?: string;
}

/** Answers what the counterparty asks for or offers. */
export async function decideNegotiation(id: string, options: Decide): Promise<void> {
  const decision = await decisionOf(options);
  const { operator } = await ownConnector(options.config);
  const { state, counterPartyId } = await operator.decideNegotiation(id, decision);
  const done = { accept: 'Accepted', reject: 'Rejected', counter: 'Countered' }[decision.decision];
  print(`${done}: the negotiation with ${clean(counterPartyId)} is ${state}.`);
}

/** What a person reads who is asked to decide. */
export function howToDecide(id: string): string {
  return `Next: foedus negotiations decide ${id} --accept | --reject REASON | --counter FILE`;
}

/** What the consumer asks for and what the provider offers, in words. */
export function printTerms({ offer, counterOffer }: Negotiation): void {
  for (const line of describePolicy(offer)) print(`asked for  ${clean(line)}`);
  for (const line of describePolicy(counterOffer ?? {})) print(`offered    ${clean(line)}`);
  for (const line of unenforced(counterOffer ?? offer)) print(`unenforced ${clean(line)}`);
}

async function decisionOf({ accept, reject, counter }: Decide): Promise<OperatorDecision> {
  if ([accept, reject, counter].filter((one) => one !== undefined).length !== 1) {
    throw new FoedusError('bad-request', 'Say one of --accept, --reject [reason] and --counter FILE.');
  }
  if (accept) return { decision: 'accept' };
  if (reject !== undefined) return { decision: 'reject', ...(reject === true ? {} : { reason: reject }) };
  try {
    return { decision: 'counter', offer: JSON.parse(await readFile(counter!, 'utf8')) as Record<string, unknown> };
  } catch (cause) {
    throw new FoedusError('bad-request', `${counter!} is no JSON file with an offer: ${(cause as Error).message}`, {
      cause,
    });
  }
}
