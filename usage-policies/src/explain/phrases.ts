/** The fixed sentences of a rendering. `{…}` are filled in. */
import type { PolicyType } from '../model.ts';
import type { Words } from './languages.ts';

export const HEADINGS: Readonly<Record<PolicyType, Words>> = {
  Offer: {
    en: 'Offer{id}: a proposal that permits nothing until both sides have agreed to it.',
    de: 'Angebot{id}: ein Vorschlag, der nichts erlaubt, bis beide Seiten zugestimmt haben.',
  },
  Agreement: { en: 'Agreement{id}.', de: 'Vereinbarung{id}.' },
  Set: { en: 'Set of rules{id}.', de: 'Regelwerk{id}.' },
};

export const PHRASES = {
  provider: { en: 'The data are provided by {x}.', de: 'Die Daten stellt {x} bereit.' },
  consumer: { en: 'They are used by {x}.', de: 'Genutzt werden sie von {x}.' },
  target: { en: 'It is about {x}.', de: 'Es geht um {x}.' },
  profile: { en: 'It uses the terms of {x}.', de: 'Die Begriffe stammen aus {x}.' },
  inherits: { en: 'It includes the rules of {x}.', de: 'Die Regeln von {x} gelten mit.' },
  permWins: {
    en: 'Where a prohibition contradicts a permission, the permission counts.',
    de: 'Widerspricht ein Verbot einer Erlaubnis, so gilt die Erlaubnis.',
  },
  prohibitWins: {
    en: 'Where a prohibition contradicts a permission, the prohibition counts.',
    de: 'Widerspricht ein Verbot einer Erlaubnis, so gilt das Verbot.',
  },
  conflictVoids: {
    en: 'Where a prohibition contradicts a permission, all of it is void.',
    de: 'Widerspricht ein Verbot einer Erlaubnis, so ist alles nichtig.',
  },
  restIsDenied: {
    en: 'Whatever is not permitted above is denied.',
    de: 'Was oben nicht erlaubt ist, wird verweigert.',
  },
  policyNotUnderstood: {
    en: 'This node does not understand all of it, so it permits nothing: {x}',
    de: 'Dieser Knoten versteht nicht alles davon, also erlaubt er nichts: {x}',
  },
  notRead: { en: 'Not understood: {x}', de: 'Nicht verstanden: {x}' },

  whoeverAccepts: { en: 'Whoever accepts this offer', de: 'Wer dieses Angebot annimmt,' },
  anybody: { en: 'Anybody', de: 'Jeder' },
  theData: { en: 'the data', de: 'die Daten' },

  permission: { en: '{who} may {what}', de: '{who} darf {what}' },
  prohibition: { en: '{who} must not {what}', de: '{who} darf Folgendes nicht: {what}' },
  obligation: { en: '{who} has to {what}', de: '{who} muss {what}' },
  dutyBefore: { en: 'Before that: {who} has to {what}', de: 'Davor gilt: {who} muss {what}' },
  dutyAfter: { en: 'After that: {who} has to {what}', de: 'Danach gilt: {who} muss {what}' },
  consequence: {
    en: 'If this is not done: {who} has to {what}',
    de: 'Geschieht das nicht, so gilt: {who} muss {what}',
  },
  remedy: {
    en: 'If it is done all the same: {who} has to {what}',
    de: 'Geschieht es doch, so gilt: {who} muss {what}',
  },

  ifAll: { en: 'if all of this holds:', de: 'wenn all das zutrifft:' },
  suchThat: { en: 'such that all of this holds:', de: 'sodass all das zutrifft:' },
  inThisWay: { en: 'in this way:', de: 'auf diese Weise:' },
  ofTarget: { en: 'of {x}, only what fulfils this:', de: 'von {x} nur, was dies erfüllt:' },
  ofAssignee: { en: 'of {x}, only those who fulfil this:', de: 'von {x} nur, wer dies erfüllt:' },
  role: { en: '{role}: {x}', de: '{role}: {x}' },

  and: { en: 'all of these:', de: 'alles davon:' },
  or: { en: 'at least one of these:', de: 'mindestens eines davon:' },
  xone: { en: 'exactly one of these:', de: 'genau eines davon:' },
  andSequence: {
    en: 'all of these, one after the other:',
    de: 'alles davon, eines nach dem anderen:',
  },

  reference: { en: 'what is found at {x}', de: 'was unter {x} zu finden ist' },
  unit: { en: 'in {x}', de: 'in {x}' },
  frequency: { en: 'anew within every {x}', de: 'erneut in jedem Zeitraum von {x}' },
  status: { en: 'counted from {x}', de: 'gezählt ab {x}' },

  permissionUnread: {
    en: 'This node cannot check all of it, so the permission grants nothing: {x}',
    de: 'Dieser Knoten kann nicht alles davon prüfen, also gewährt die Erlaubnis nichts: {x}',
  },
  prohibitionUnread: {
    en: 'This node cannot check all of it, so the prohibition always holds: {x}',
    de: 'Dieser Knoten kann nicht alles davon prüfen, also gilt das Verbot immer: {x}',
  },
  dutyUnread: {
    en: 'This node cannot check all of it, so it counts as not done: {x}',
    de: 'Dieser Knoten kann nicht alles davon prüfen, also gilt es als nicht getan: {x}',
  },
} as const satisfies Readonly<Record<string, Words>>;

/** Other parties of a rule, by their role in ODRL. */
export const ROLES: Readonly<Record<string, Words>> = {
  attributedParty: { en: 'to be named', de: 'zu nennen' },
  attributingParty: { en: 'who names the source', de: 'wer die Quelle nennt' },
  compensatedParty: { en: 'who is paid', de: 'wer bezahlt wird' },
  compensatingParty: { en: 'who pays', de: 'wer bezahlt' },
  consentedParty: { en: 'who receives the consent', de: 'wer die Einwilligung erhält' },
  consentingParty: { en: 'who has to consent', de: 'wer einwilligen muss' },
  contractedParty: { en: 'who is contracted', de: 'wer beauftragt wird' },
  contractingParty: { en: 'who contracts', de: 'wer beauftragt' },
  informedParty: { en: 'who is informed', de: 'wer unterrichtet wird' },
  informingParty: { en: 'who informs', de: 'wer unterrichtet' },
  trackedParty: { en: 'who is tracked', de: 'wer verfolgt wird' },
  trackingParty: { en: 'who tracks', de: 'wer verfolgt' },
};

/** Fills `{name}` in a phrase. What is filled in is never searched for braces. */
export function fill(phrase: string, values: Readonly<Record<string, string>>): string {
  return phrase.replaceAll(/\{(\w+)\}/g, (gap, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? gap) : gap,
  );
}
