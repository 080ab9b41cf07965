import { verifyAgreement } from '@foedus/connector/agreement';
import { FoedusError } from '@foedus/connector/errors';
import type { Negotiation } from '@foedus/connector/operator-client';
import { catalogEntries, chooseOffer } from '../catalog-entries.ts';
import { howToDecide, printTerms } from './negotiations.ts';
import { ownConnector } from '../own-connector.ts';
import { clean, print } from '../terminal.ts';
import { trustIn } from '../trust.ts';

const STATES = ['REQUESTED', 'OFFERED', 'ACCEPTED', 'AGREED', 'VERIFIED', 'FINALIZED', 'TERMINATED'] as const;

/**
 * Negotiates an offer and waits until both sides have signed, telling each state that is seen on the way. Ends earlier
 * where the provider offers something else, about which a person has to decide.
 */
export async function negotiate(
  address: string,
  datasetId: string,
  options: { config: string; offer?: string },
): Promise<void> {
  const { operator, config } = await ownConnector(options.config);
  const offer = chooseOffer(catalogEntries(await operator.requestCatalog(address)), datasetId, options.offer);
  const started = performance.now();
  const tell = ({ state }: Negotiation): void =>
    print(`${String(Math.round(performance.now() - started)).padStart(6)} ms  ${state}`);
  let now = await operator.negotiate({ counterPartyAddress: address, datasetId, offerId: offer.id });
  tell(now);
  while (now.state !== 'FINALIZED' && now.state !== 'TERMINATED') {
    const { state } = now;
    now = await operator.negotiationOrQuestion(
      now.id,
      STATES.filter((one) => one !== state),
    );
    if (now.state !== state) tell(now);
    if (now.pendingDecision !== undefined) {
      print(`\n${clean(now.pendingDecision.why)}`);
      printTerms(now);
      print(howToDecide(now.id));
      return;
    }
  }
  if (now.state === 'TERMINATED' || now.agreementId === undefined) {
    throw new FoedusError(
      'terminated',
      `The negotiation was terminated: ${clean(now.reason ?? 'no reason was given')}`,
    );
  }
  const agreement = await operator.agreement(now.agreementId);
  const report = await verifyAgreement({ trust: await trustIn(config.identity.trustAnchors) }, agreement);
  for (const signature of report.signatures) print(signature.text);
  print(`Agreement: ${agreement.id}`);
  print(`Next: foedus fetch ${agreement.id} --purpose IRI -o rows.arrow`);
}
