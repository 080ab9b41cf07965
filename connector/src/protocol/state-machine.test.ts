import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  INITIAL,
  isFinal,
  negotiationMachine,
  transferMachine,
  transition,
  type Role,
  type StateMachine,
} from './state-machine.ts';

/** state → "sender letter + message" → next state, written out by hand from the specification's text and diagrams. */
type Expected = Record<string, Record<string, string>>;

const both = (message: string, to: string): Record<string, string> => ({ [`C ${message}`]: to, [`P ${message}`]: to });
const REQUEST = 'ContractRequestMessage';
const OFFER = 'ContractOfferMessage';
const ACCEPT = 'ContractNegotiationEventMessage:ACCEPTED';
const AGREEMENT = 'ContractAgreementMessage';
const VERIFICATION = 'ContractAgreementVerificationMessage';
const FINALIZE = 'ContractNegotiationEventMessage:FINALIZED';
const TERMINATE = 'ContractNegotiationTerminationMessage';

const negotiation: Expected = {
  [INITIAL]: { [`C ${REQUEST}`]: 'REQUESTED', [`P ${OFFER}`]: 'OFFERED' },
  REQUESTED: { [`P ${OFFER}`]: 'OFFERED', [`P ${AGREEMENT}`]: 'AGREED', ...both(TERMINATE, 'TERMINATED') },
  OFFERED: { [`C ${REQUEST}`]: 'REQUESTED', [`C ${ACCEPT}`]: 'ACCEPTED', ...both(TERMINATE, 'TERMINATED') },
  ACCEPTED: { [`P ${AGREEMENT}`]: 'AGREED', ...both(TERMINATE, 'TERMINATED') },
  AGREED: { [`C ${VERIFICATION}`]: 'VERIFIED', ...both(TERMINATE, 'TERMINATED') },
  VERIFIED: { [`P ${FINALIZE}`]: 'FINALIZED', ...both(TERMINATE, 'TERMINATED') },
  FINALIZED: {},
  TERMINATED: {},
};

const transfer: Expected = {
  [INITIAL]: { 'C TransferRequestMessage': 'REQUESTED' },
  REQUESTED: { 'P TransferStartMessage': 'STARTED', ...both('TransferTerminationMessage', 'TERMINATED') },
  STARTED: {
    ...both('TransferSuspensionMessage', 'SUSPENDED'),
    ...both('TransferCompletionMessage', 'COMPLETED'),
    ...both('TransferTerminationMessage', 'TERMINATED'),
  },
  SUSPENDED: { ...both('TransferStartMessage', 'STARTED'), ...both('TransferTerminationMessage', 'TERMINATED') },
  COMPLETED: {},
  TERMINATED: {},
};

const roles: readonly Role[] = ['consumer', 'provider'];
const machines: [string, StateMachine<string, string>, Expected][] = [
  ['negotiation', negotiationMachine, negotiation],
  ['transfer', transferMachine, transfer],
];

describe.each(machines)('the %s state machine', (_name, machine, expected) => {
  const states = [INITIAL, ...machine.states];
  const cases = states.flatMap((state) =>
    machine.messages.flatMap((message) =>
      roles.map((sender) => {
        const key = `${sender === 'consumer' ? 'C' : 'P'} ${message}`;
        return { state, message, sender, next: expected[state]?.[key] };
      }),
    ),
  );

  it.each(cases)('leads $state by $message of the $sender to $next', ({ state, message, sender, next }) => {
    expect(transition(machine, state, message, sender)).toBe(next);
  });

  it('has no row beyond those of the specification, and no two for the same case', () => {
    const keys = machine.rows.map((row) => `${row.from} ${row.sender} ${row.message}`);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.length).toBe(Object.values(expected).reduce((sum, row) => sum + Object.keys(row).length, 0));
  });

  it('lets no message out of a final state, and some message out of every other', () => {
    for (const state of machine.states) {
      const leaving = machine.rows.filter((row) => row.from === state);
      expect(leaving.length === 0, state).toBe(isFinal(machine, state));
    }
  });

  it('never accepts the same message twice in a row, so that a repeated one is told from a new one', () => {
    for (const row of machine.rows) expect(transition(machine, row.to, row.message, row.sender)).toBeUndefined();
  });

  it('keeps both sides in the same state over any sequence of delivered messages, legal or not', () => {
    const step = fc.record({ message: fc.constantFrom(...machine.messages), sender: fc.constantFrom(...roles) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let own = INITIAL;
        let peer = INITIAL;
        let ended = false;
        for (const { message, sender } of steps) {
          const sent = transition(machine, own, message, sender);
          if (sent === undefined) continue;
          expect(ended).toBe(false);
          own = sent;
          peer = transition(machine, peer, message, sender) ?? 'REFUSED';
          expect(peer).toBe(own);
          ended = machine.final.includes(own);
        }
      }),
    );
  });
});
