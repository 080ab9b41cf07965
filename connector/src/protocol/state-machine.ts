/**
 * The two state machines of the Dataspace Protocol 2025-1 as data, and the one function that reads them.
 *
 * Source: DSP 2025-1, chapters "Contract Negotiation Protocol" and "Transfer Process Protocol", and their state
 * diagrams. Where text and diagram differ, the text holds: a termination "may be sent at any state" that is not
 * final, by either side, although the diagram draws fewer arrows.
 */

export const roles = ['consumer', 'provider'] as const;
export type Role = (typeof roles)[number];

const negotiationMessages = [
  'ContractRequestMessage',
  'ContractOfferMessage',
  'ContractNegotiationEventMessage:ACCEPTED',
  'ContractAgreementMessage',
  'ContractAgreementVerificationMessage',
  'ContractNegotiationEventMessage:FINALIZED',
  'ContractNegotiationTerminationMessage',
] as const;
export type NegotiationMessageName = (typeof negotiationMessages)[number];

const transferMessages = [
  'TransferRequestMessage',
  'TransferStartMessage',
  'TransferSuspensionMessage',
  'TransferCompletionMessage',
  'TransferTerminationMessage',
] as const;
export type TransferMessageName = (typeof transferMessages)[number];

/** The state of a process that does not exist yet. */
export const INITIAL = 'INITIAL';

interface Row<State extends string, Message extends string> {
  readonly from: State | typeof INITIAL;
  readonly message: Message;
  readonly sender: Role;
  readonly to: State;
}

export interface StateMachine<State extends string, Message extends string> {
  readonly states: readonly State[];
  readonly final: readonly State[];
  readonly messages: readonly Message[];
  readonly rows: readonly Row<State, Message>[];
}

const negotiationStates = [
  'REQUESTED',
  'OFFERED',
  'ACCEPTED',
  'AGREED',
  'VERIFIED',
  'FINALIZED',
  'TERMINATED',
] as const;
export type NegotiationState = (typeof negotiationStates)[number];

const transferStates = ['REQUESTED', 'STARTED', 'SUSPENDED', 'COMPLETED', 'TERMINATED'] as const;
export type TransferState = (typeof transferStates)[number];

export const negotiationMachine: StateMachine<NegotiationState, NegotiationMessageName> = {
  states: negotiationStates,
  final: ['FINALIZED', 'TERMINATED'],
  messages: negotiationMessages,
  rows: [
    { from: INITIAL, message: 'ContractRequestMessage', sender: 'consumer', to: 'REQUESTED' },
    { from: INITIAL, message: 'ContractOfferMessage', sender: 'provider', to: 'OFFERED' },
    { from: 'REQUESTED', message: 'ContractOfferMessage', sender: 'provider', to: 'OFFERED' },
    { from: 'REQUESTED', message: 'ContractAgreementMessage', sender: 'provider', to: 'AGREED' },
    { from: 'OFFERED', message: 'ContractRequestMessage', sender: 'consumer', to: 'REQUESTED' },
    { from: 'OFFERED', message: 'ContractNegotiationEventMessage:ACCEPTED', sender: 'consumer', to: 'ACCEPTED' },
    { from: 'ACCEPTED', message: 'ContractAgreementMessage', sender: 'provider', to: 'AGREED' },
    { from: 'AGREED', message: 'ContractAgreementVerificationMessage', sender: 'consumer', to: 'VERIFIED' },
    { from: 'VERIFIED', message: 'ContractNegotiationEventMessage:FINALIZED', sender: 'provider', to: 'FINALIZED' },
    ...(['REQUESTED', 'OFFERED', 'ACCEPTED', 'AGREED', 'VERIFIED'] as const).flatMap((from) =>
      roles.map((sender) => ({
        from,
        message: 'ContractNegotiationTerminationMessage' as const,
        sender,
        to: 'TERMINATED' as const,
      })),
    ),
  ],
};

export const transferMachine: StateMachine<TransferState, TransferMessageName> = {
  states: transferStates,
  final: ['COMPLETED', 'TERMINATED'],
  messages: transferMessages,
  rows: [
    { from: INITIAL, message: 'TransferRequestMessage', sender: 'consumer', to: 'REQUESTED' },
    { from: 'REQUESTED', message: 'TransferStartMessage', sender: 'provider', to: 'STARTED' },
    ...roles.flatMap((sender) => [
      { from: 'REQUESTED', message: 'TransferTerminationMessage', sender, to: 'TERMINATED' } as const,
      { from: 'STARTED', message: 'TransferSuspensionMessage', sender, to: 'SUSPENDED' } as const,
      { from: 'STARTED', message: 'TransferCompletionMessage', sender, to: 'COMPLETED' } as const,
      { from: 'STARTED', message: 'TransferTerminationMessage', sender, to: 'TERMINATED' } as const,
      { from: 'SUSPENDED', message: 'TransferStartMessage', sender, to: 'STARTED' } as const,
      { from: 'SUSPENDED', message: 'TransferTerminationMessage', sender, to: 'TERMINATED' } as const,
    ]),
  ],
};

/**
 * Where a message leads.
 *
 * @returns the next state, or undefined where the protocol does not allow `message` by `sender` in `state`
 */
export function transition<State extends string, Message extends string>(
  machine: StateMachine<State, Message>,
  state: State | typeof INITIAL,
  message: Message,
  sender: Role,
): State | undefined {
  return machine.rows.find((row) => row.from === state && row.message === message && row.sender === sender)?.to;
}

/** @returns whether no message can change `state` any more */
export function isFinal(machine: { readonly final: readonly string[] }, state: string): boolean {
  return machine.final.includes(state);
}

/** @returns the states that a message can still change */
export function openStates<State extends string>(machine: {
  readonly states: readonly State[];
  readonly final: readonly State[];
}): State[] {
  return machine.states.filter((state) => !isFinal(machine, state));
}

export function otherRole(role: Role): Role {
  return role === 'consumer' ? 'provider' : 'consumer';
}
