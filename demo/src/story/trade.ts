import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyAgreement } from '@foedus/connector/agreement';
import { createPeerClient, loadIdentity, type Identity } from '@foedus/connector/identity';
import type { SignedAgreement } from '@foedus/connector/operator-client';
import type { Narrator } from '../narrator.ts';
import { home, type Home, type Space } from '../space/layout.ts';
import { pull, receive, startPull, type Received } from './exchange.ts';
import type { Journal } from './journal.ts';
import { datasetsOf, negotiate, short } from './negotiate.ts';
import { datasetId, publishOffers } from './offers.ts';
import { operatorOf } from './operators.ts';
import { purposes } from './plan.ts';
import { expectRefusal, type Refusal } from './refusals.ts';

export interface Trade {
  readonly received: Received;
  readonly refusals: readonly Refusal[];
}

const provider = 'bdl';
const consumer = 'abq';

/** The first half of the story: one airport's analyst reads another's flights under contract, and is refused the rest. */
export async function tradeRows(space: Space, journal: Journal, narrator: Narrator): Promise<Trade> {
  narrator.chapter('2  Rows under contract');
  const [seller, buyer] = [home(space, provider), home(space, consumer)];
  await publishOffers(space);
  const operator = operatorOf(buyer);
  const catalog = datasetsOf(await operator.requestCatalog(seller.addresses.protocolUrl));
  for (const { id, offers } of catalog)
    narrator.say(`${buyer.member.name} sees in ${provider}'s catalog: ${id}, ${offers.length} offers`);

  const wanted = { counterPartyAddress: seller.addresses.protocolUrl, datasetId: datasetId(provider) };
  const agreements = await journal.step('trade agreements', async () => {
    // The short contract first: it has ended when the story needs one that has.
    const ends = new Date(Date.now() + 4_000);
    await publishOffers(space, { shortContractEnds: ends });
    return {
      ends: ends.toISOString(),
      short: await negotiate(operator, { ...wanted, contractDefinitionId: 'rows-for-seconds' }, narrator),
      march: await negotiate(operator, { ...wanted, contractDefinitionId: 'rows-of-march' }, narrator),
    };
  });
  const identity = await identityOf(buyer);
  await using peer = createPeerClient(identity);
  await tellSignatures(agreements.march, identity, narrator);

  const received = await journal.step('rows received', async () => {
    const transfer = await startPull(operator, agreements.march.id);
    await mkdir(buyer.received, { recursive: true });
    const response = await pull(peer, transfer, { purpose: purposes.optimisation });
    const rows = await receive(response, buyer.received, (bytes) =>
      narrator.progress(`${bytes.toLocaleString('en')} bytes received`),
    );
    const kept = join(buyer.received, `${provider}-march.arrow`);
    await rename(rows.file, kept);
    return { ...rows, file: kept };
  });
  narrator.say(
    `${received.rows.toLocaleString('en')} rows of March, ${received.bytes.toLocaleString('en')} bytes of Arrow in ${received.seconds.toFixed(2)} s; distance not granted, destination masked:`,
  );
  narrator.table(received.columns, received.firstRows);

  narrator.chapter('3  What the contract does not grant');
  const toldBefore = journal.has('refusals');
  const refusals = await journal.step('refusals', async () => {
    const transfer = await startPull(operator, agreements.march.id);
    const column = await expectRefusal(
      peer,
      transfer,
      'column distance',
      { purpose: purposes.optimisation, columns: ['date', 'distance'] },
      narrator,
    );
    const purpose = await expectRefusal(peer, transfer, 'for marketing', { purpose: purposes.marketing }, narrator);
    const ended = await startPull(operator, agreements.short.id);
    await untilPassed(new Date(agreements.ends), narrator);
    const expired = await expectRefusal(
      peer,
      ended,
      'after the end of the contract',
      { purpose: purposes.optimisation },
      narrator,
    );
    for (const { id } of [transfer, ended]) await operator.completeTransfer(id);
    return [column, purpose, expired];
  });
  if (toldBefore) for (const { asked, reason } of refusals) narrator.refused(`${asked}: ${reason}`);
  return { received, refusals };
}

/** @returns the identity with which a member's people sign and call */
export async function identityOf({ member, folder }: Home): Promise<Identity> {
  const file = (name: string): string => join(folder, 'certs', name);
  return await loadIdentity(member.participantId, {
    tlsKey: file('tls.key'),
    tlsCertificate: file('tls.crt'),
    signingKey: file('signing.key'),
    signingCertificate: file('signing.crt'),
    trustAnchors: file('ca.crt'),
  });
}

async function tellSignatures(agreement: SignedAgreement, identity: Identity, narrator: Narrator): Promise<void> {
  const { valid, signatures } = await verifyAgreement(identity, agreement);
  if (!valid) throw new Error(signatures.map(({ text }) => text).join(' '));
  narrator.say(
    `Both signatures of ${agreement.id} hold: ${short(agreement.assigner)}'s and ${short(agreement.assignee)}'s`,
  );
}

/** The contract ends when it ends: this waits for the clock, and only if it must. */
async function untilPassed(end: Date, narrator: Narrator): Promise<void> {
  const left = end.getTime() - Date.now() + 50;
  if (left <= 0) return;
  narrator.progress(`The short contract runs for another ${(left / 1000).toFixed(1)} s`);
  await new Promise((resolve) => setTimeout(resolve, left));
}
