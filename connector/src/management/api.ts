import type { Decision } from '@foedus/usage-policies';
import type { Logger } from 'pino';
import type { AgreementStore } from '../agreement/agreement-store.ts';
import type { CatalogClient } from '../catalog/ask.ts';
import type { Publications } from '../catalog/publications.ts';
import type { DutyKeeping } from '../duties/keeping.ts';
import { dutyOperations } from '../duties/operations.ts';
import { shareOperations } from '../delta-sharing/operations.ts';
import type { ShareProfiles } from '../delta-sharing/share-profiles.ts';
import { profileOperations } from '../profile/operations.ts';
import type { Profiler } from '../profile/profiler.ts';
import type { Events } from '../events.ts';
import {
  headOperations,
  usageOperations,
  type LedgerHeads,
  type LedgerReader,
  type UsageControl,
} from '../ledger/index.ts';
import type { Negotiations } from '../negotiation/negotiations.ts';
import type { PartnerHeads } from '../ledger/partner-heads.ts';
import type { Inbox } from '../data-plane/push/inbox.ts';
import type { Changes } from '../protocol/changes.ts';
import type { Exchange } from '../protocol/exchange.ts';
import type { ProcessStore } from '../protocol/process-store.ts';
import type { Database } from '../store/database.ts';
import type { TokenRenewal } from '../transfer/renewal.ts';
import type { Transfers } from '../transfer/transfers.ts';
import { decisionView, type DecisionView } from './decision.ts';
import { documentationOperations } from './documentation.ts';
import { eventOperations } from './event-stream.ts';
import { healthOperations } from './health.ts';
import type { Negotiation, Transfer } from './model.ts';
import { negotiationOperations } from './negotiations.ts';
import type { Operation } from './operation.ts';
import { policyReportOperations } from './policy-reports.ts';
import { publicationOperations } from './publications.ts';
import type { TokenStore } from './token-store.ts';
import { tokenOperations } from './tokens.ts';
import { transferOperations } from './transfers.ts';

export interface OperatorApiParts {
  readonly database: Database;
  readonly exchange: Exchange;
  readonly stopping: AbortSignal;
  readonly publications: Publications;
  readonly catalog: CatalogClient;
  readonly negotiations: Negotiations;
  readonly negotiationStore: ProcessStore<Negotiation>;
  readonly agreements: AgreementStore;
  readonly transfers: Transfers;
  readonly transferStore: ProcessStore<Transfer>;
  readonly renewal: TokenRenewal;
  readonly inbox: Pick<Inbox, 'received'>;
  readonly usageControl: UsageControl;
  readonly heads: LedgerHeads;
  readonly partnerHeads: PartnerHeads;
  readonly ledgerReader: LedgerReader;
  readonly dutyKeeping: DutyKeeping;
  readonly tokens: TokenStore;
  readonly shares: ShareProfiles;
  readonly profiler: Profiler;
  readonly events: Events;
  readonly changes: Changes;
  readonly logger: Logger;
}

/** A decision with who owes each duty, and which of them this node performs. */
function viewOfDecision({ agreements, dutyKeeping }: OperatorApiParts) {
  return (agreementId: string, decision: Decision): DecisionView => {
    const agreement = agreements.get(agreementId)!;
    const performed = dutyKeeping.duties.owedUnder(agreement).filter(({ everyUse }) => everyUse);
    return decisionView(decision, agreement, new Set(performed.map(({ key }) => key)));
  };
}

/** The operator's API: every call that there is, its own description included. */
export function operatorApi(parts: OperatorApiParts): Operation[] {
  const operations = [
    ...publicationOperations(parts),
    ...policyReportOperations(),
    ...negotiationOperations(parts),
    ...transferOperations(parts),
    ...usageOperations(parts.usageControl, parts.heads, viewOfDecision(parts)),
    ...headOperations(parts),
    ...dutyOperations(parts),
    ...eventOperations(parts.events, parts.changes),
    ...profileOperations(parts),
    ...shareOperations(parts),
    ...tokenOperations(parts),
    ...healthOperations(parts),
  ];
  return [...operations, ...documentationOperations(operations)];
}
