export { startConnector, type ConnectorOptions, type RunningConnector } from './connector.ts';
export { connectorConfigSchema, type ConnectorConfig } from './config/index.ts';
export type { NegotiationDecisions, OfferDecision, RequestDecision, StepDecision } from './negotiation/decisions.ts';
export type { DecisionContext, DecisionPlugin } from './negotiation/decisions-plugin.ts';
export type { DataFlow } from './transfer/data-flow.ts';
export type * from './management/model.ts';
