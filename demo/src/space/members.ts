/** Who takes part in the mobility data space of the demo: three airports' operators and a coordinator. */
export interface Member {
  /** Folder name. */
  readonly name: string;
  readonly participantId: string;
  readonly title: string;
  /** IATA code, for those who own flights. */
  readonly airport?: string;
}

export const airports = [
  { name: 'bdl', participantId: 'did:web:bdl.example', title: 'Bradley (Hartford), BDL', airport: 'BDL' },
  { name: 'abq', participantId: 'did:web:abq.example', title: 'Albuquerque, ABQ', airport: 'ABQ' },
  { name: 'sat', participantId: 'did:web:sat.example', title: 'San Antonio, SAT', airport: 'SAT' },
] as const satisfies readonly Member[];

export const coordinator = {
  name: 'coordinator',
  participantId: 'did:web:coordinator.example',
  title: 'Coordinator',
} as const satisfies Member;

export const members: readonly Member[] = [...airports, coordinator];
