import { setTimeout as pause } from 'node:timers/promises';
import type { Negotiation, NegotiationDecisions, Transfer } from '@foedus/connector';
import type { OperatorClient } from '@foedus/connector/operator-client';
import { cases, kitOfferId, ownOfferId, type Deed, type Script } from './cases.ts';

/**
 * The kit sees a new state by looking every 100 ms, and is ready for the next message only then. A participant that
 * takes its time is nothing that the protocol forbids.
 */
const PAUSE_MS = 300;

/** The participant behind the connector under test. */
export interface ScriptedParticipant {
  readonly decisions: NegotiationDecisions;
  /** A message about one of our processes has gone either way: perhaps there is something to do. */
  moved(kind: 'negotiation' | 'transfer', id: string): Promise<void>;
}

/** @param operator of the connector under test */
export function createParticipant(operator: () => OperatorClient): ScriptedParticipant {
  const scripts = new Map<string, Script>(cases.map(({ datasetId, script }) => [datasetId, script]));
  const visits = new Map<string, string[]>();
  const deedFor = ({ id, datasetId, state, updatedAt }: Negotiation | Transfer): Deed | undefined => {
    const key = `${state} ${id}`;
    const times = visits.get(key) ?? [];
    if (!times.includes(updatedAt)) times.push(updatedAt);
    visits.set(key, times);
    return scripts.get(datasetId)?.[state]?.[times.indexOf(updatedAt)];
  };
  const reason = 'The script of this case says so.';
  const done = new Set<string>();

  return {
    decisions: {
      onRequest: (negotiation) => {
        const { datasetId, offer } = negotiation;
        // The agreements of the transfer cases are made before the kit starts.
        const deed = datasetId.startsWith('ATP') ? 'agree' : deedFor(negotiation);
        if (deed === 'agree') return { kind: 'agree' };
        if (deed === 'offer') return { kind: 'offer', offer: { ...offer, '@id': ownOfferId(datasetId) } };
        return deed === 'terminate' ? { kind: 'terminate', reason } : { kind: 'wait' };
      },
      onOffer: (negotiation) => {
        const deed = deedFor(negotiation);
        const { datasetId, offer } = negotiation;
        if (deed === 'accept') return { kind: 'accept' };
        if (deed === 'counter') return { kind: 'request', offer: { ...offer, '@id': kitOfferId(datasetId) } };
        return deed === 'terminate' ? { kind: 'terminate', reason } : { kind: 'wait' };
      },
      onStep: (negotiation) => {
        if (negotiation.datasetId.startsWith('ATP')) return { kind: 'proceed' };
        const deed = deedFor(negotiation);
        if (deed === 'terminate') return { kind: 'terminate', reason };
        return deed === undefined ? { kind: 'wait' } : { kind: 'proceed' };
      },
    },

    moved: async (kind, id) => {
      await pause(PAUSE_MS);
      const process = await (kind === 'negotiation' ? operator().negotiation(id) : operator().transfer(id));
      if (kind === 'negotiation' && decides(process)) return;
      const deed = deedFor(process);
      const once = `${id} ${process.updatedAt}`;
      if (deed === undefined || done.has(once)) return;
      done.add(once);
      if (kind === 'negotiation') await operator().terminateNegotiation(id, { reason });
      else if (deed === 'suspend') await operator().suspendTransfer(id, { reason });
      else if (deed === 'complete') await operator().completeTransfer(id);
      else if (deed === 'terminate') await operator().terminateTransfer(id, { reason });
      // The first start is the data flow's; this is a resumption.
      else if (deed === 'start' && process.state === 'SUSPENDED') await operator().startTransfer(id);
    },
  };
}

/** Whether the connector asks the decisions in this state, so that nobody else has to act. */
function decides({ role, state }: Negotiation | Transfer): boolean {
  return (role === 'provider' ? ['REQUESTED', 'ACCEPTED', 'VERIFIED'] : ['OFFERED', 'AGREED']).includes(state);
}
