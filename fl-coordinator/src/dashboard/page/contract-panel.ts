/** What was agreed and what is trained: the contract and the model of a session. */
import type { ParticipantView, SessionView } from '../../session/view.ts';
import { h, list, panel, setText } from './element.ts';
import type { Part } from './element.ts';
import {
  aggregationWords,
  count,
  featureWords,
  localWords,
  modelWords,
  plural,
  protectionWords,
  evaluationWords,
  roundRulesWords,
  strategyWords,
  time,
} from './words.ts';

interface Entry {
  readonly term: string;
  readonly text: string;
  /** Ids and hashes: monospace, one click selects all of it. */
  readonly code?: boolean;
}

function entry(first: Entry): Part<Entry> {
  const text = first.code === true ? h('code') : h('span');
  return {
    element: h('div', {}, h('dt', {}, first.term), h('dd', {}, text)),
    update: (value) => setText(text, value.text),
  };
}

function entries(): Part<readonly Entry[]> {
  const element = h('dl', { class: 'facts' });
  return { element, update: list<Entry>(element, (value) => value.term, entry) };
}

function agreementRow(): Part<ParticipantView> {
  const name = h('th', { scope: 'row' });
  const agreement = h('code');
  const transfer = h('code');
  return {
    element: h('tr', {}, name, h('td', {}, agreement), h('td', {}, transfer)),
    update({ participantId, agreementId, transferId }) {
      setText(name, participantId);
      setText(agreement, agreementId);
      setText(transfer, transferId ?? 'not started');
    },
  };
}

function contractEntries({ plan, planHash, id, createdAt }: SessionView): readonly Entry[] {
  return [
    { term: 'Purpose', text: plan.purpose, code: true },
    { term: 'Plan hash (SHA-256)', text: planHash, code: true },
    { term: 'Session', text: id, code: true },
    { term: 'Coordinator', text: plan.coordinator, code: true },
    { term: 'Rounds planned', text: count(plan.rounds) },
    { term: 'Round rules', text: roundRulesWords(plan) },
    { term: 'Evaluation', text: evaluationWords(plan) },
    { term: 'Created', text: time(createdAt, new Date()) },
  ];
}

function modelEntries(view: SessionView): readonly Entry[] {
  const { plan } = view;
  return [
    { term: 'Architecture', text: `${modelWords(plan)}; ${plural(view.parameters, 'parameter')}` },
    { term: 'Predicts', text: `Is ${plan.label.column} at least ${plan.label.atLeast}?` },
    { term: 'From', text: plan.features.map(featureWords).join(', ') },
    { term: 'In each round', text: localWords(plan) },
    { term: 'Protection of rows', text: protectionWords(plan) },
    { term: 'Secure aggregation', text: aggregationWords(plan) },
    { term: 'Averaging', text: strategyWords(plan) },
    { term: `Newest parameters (SHA-256)`, text: view.modelHash, code: true },
  ];
}

/** @returns a panel with the agreements, the plan and the model. */
export function createContractPanel(): Part<SessionView> {
  const contract = entries();
  const model = entries();
  const body = h('tbody');
  const updateAgreements = list<ParticipantView>(body, ({ participantId }) => participantId, agreementRow);
  const columns = ['Partner', 'Agreement', 'Transfer'].map((name) => h('th', { scope: 'col' }, name));
  const caption = h('caption', { class: 'for-screen-readers' }, 'The agreement and the transfer of each partner');
  const agreements = h('table', {}, caption, h('thead', {}, h('tr', {}, ...columns)), body);
  const scroll = { class: 'scroll', role: 'region', tabindex: 0, 'aria-label': 'Agreements, table' };
  return {
    element: h(
      'div',
      { class: 'agreed' },
      panel('Contract', 'contract', contract.element),
      panel('Model', 'model', model.element),
      panel('Agreements', 'agreements', h('div', scroll, agreements)),
    ),
    update(view) {
      contract.update(contractEntries(view));
      model.update(modelEntries(view));
      updateAgreements(view.participants);
    },
  };
}
