/** What a constraint is about, in words. */
import { FOEDUS, type Mask, type RowFilter } from '../model.ts';
import { itemsOf } from '../values.ts';
import type { Language, Words } from './languages.ts';
import type { Kind } from './operators.ts';
import { list, maskWords, rowFilterWords, value } from './values.ts';

/** A subject that operators and values follow. */
export interface Subject extends Words {
  readonly kind: Kind;
}

/** A whole sentence, for operands that grant or cut: the value is the one that the operand has read. */
export type Sentence = (right: unknown, language: Language) => string;

const IDSC = 'https://w3id.org/idsa/code/';
const VCARD = 'http://www.w3.org/2006/vcard/ns#';

const name = (en: string, de: string): Subject => ({ kind: 'name', en, de });
const amount = (en: string, de: string): Subject => ({ kind: 'amount', en, de });
const moment = (en: string, de: string): Subject => ({ kind: 'moment', en, de });
const duration = (en: string, de: string): Subject => ({ kind: 'duration', en, de });

/** Left operands of ODRL 2.2 (Common Vocabulary, section 2.6), of the IDS classes, and ours. */
export const SUBJECTS: Readonly<Record<string, Subject>> = {
  absolutePosition: amount('the place within the asset', 'die Stelle im Gut'),
  absoluteSize: amount('the size', 'die Größe'),
  absoluteSpatialPosition: name('the area within the asset', 'der Bereich im Gut'),
  absoluteTemporalPosition: duration('the time within the asset', 'die Zeitstelle im Gut'),
  count: amount('the number of uses in all, this one included,', 'die Zahl aller Nutzungen, diese eingeschlossen,'),
  dateTime: moment('the time', 'der Zeitpunkt'),
  delayPeriod: duration('the time to wait', 'die Wartezeit'),
  deliveryChannel: name('the way of delivery', 'der Weg der Lieferung'),
  device: name('the device', 'das Gerät'),
  elapsedTime: duration(
    'the time since the agreement or the first use',
    'die Zeit seit der Vereinbarung oder der ersten Nutzung',
  ),
  event: moment('the time, by the event,', 'der Zeitpunkt, gemessen am Ereignis,'),
  fileFormat: name('the file format', 'das Dateiformat'),
  industry: name('the industry', 'die Branche'),
  language: name('the language', 'die Sprache'),
  media: name('the kind of media', 'die Art der Medien'),
  meteredTime: duration('the time of use in all', 'die gesamte Nutzungszeit'),
  payAmount: amount('the amount paid', 'der gezahlte Betrag'),
  percentage: amount('the share in per cent', 'der Anteil in Prozent'),
  product: name('the product or service', 'das Produkt oder die Dienstleistung'),
  purpose: name('the purpose', 'der Zweck'),
  recipient: name('the recipient', 'der Empfänger'),
  relativePosition: amount('the relative place within the asset', 'die relative Stelle im Gut'),
  relativeSize: amount('the relative size', 'die relative Größe'),
  relativeSpatialPosition: name('the relative area within the asset', 'der relative Bereich im Gut'),
  relativeTemporalPosition: duration('the relative time within the asset', 'die relative Zeitstelle im Gut'),
  resolution: amount('the resolution', 'die Auflösung'),
  spatial: name('the place of use', 'der Ort der Nutzung'),
  spatialCoordinates: name('the coordinates of the use', 'die Koordinaten der Nutzung'),
  system: name('the system', 'das System'),
  systemDevice: name('the system or device', 'das System oder Gerät'),
  timeInterval: duration('the time between two uses', 'die Zeit zwischen zwei Nutzungen'),
  unitOfCount: name('what is counted', 'was gezählt wird'),
  version: amount('the version', 'die Version'),
  virtualLocation: name('the place on the network', 'der Ort im Netz'),
  [`${IDSC}APPLICATION`]: name('the application', 'die Anwendung'),
  [`${IDSC}ARTIFACT_STATE`]: name('the state of the data', 'der Zustand der Daten'),
  [`${IDSC}CONNECTOR`]: name('the connector', 'der Konnektor'),
  [`${IDSC}JSON_PATH`]: name('the part of the data (JSON path)', 'der Teil der Daten (JSON-Pfad)'),
  [`${IDSC}LOG_LEVEL`]: name('what is logged', 'was protokolliert wird'),
  [`${IDSC}MPC_FUNCTION`]: name('the function computed together', 'die gemeinsam berechnete Funktion'),
  [`${IDSC}NOTIFICATION_LEVEL`]: name('what is notified', 'was gemeldet wird'),
  [`${IDSC}QUERY`]: name('the query', 'die Abfrage'),
  [`${IDSC}REPLACE_WITH`]: name('the replacement', 'der Ersatz'),
  [`${IDSC}ROLE`]: name('the role of the user', 'die Rolle des Nutzers'),
  [`${IDSC}SECURITY_LEVEL`]: name('the security level', 'das Sicherheitsniveau'),
  [`${IDSC}STATE`]: name('the state of the environment', 'der Zustand der Umgebung'),
  [`${IDSC}TARGET_POLICY`]: name('the further policy', 'die weitere Richtlinie'),
  [`${VCARD}hasGeo`]: name('the seat of the participant', 'der Sitz des Teilnehmers'),
  [`${VCARD}hasRole`]: name('the role of the participant', 'die Rolle des Teilnehmers'),
  'http://www.w3.org/2004/02/skos/core#concept': name('the classification of the data', 'die Einstufung der Daten'),
};

const names = (right: unknown, language: Language): string =>
  list(
    itemsOf(right).map((item) => value(item, language)),
    language,
  );
const number = (right: unknown): string => value(right, 'en');

interface Budget {
  readonly epsilon?: unknown;
  readonly delta?: unknown;
}
const budget = (right: unknown): string => {
  const { epsilon, delta } = right as Budget;
  return `ε ${number(epsilon)} (δ ${number(delta)})`;
};

/** Our own operands, by their name. */
const OURS: Readonly<Record<string, Readonly<Record<Language, (right: unknown) => string>>>> = {
  columns: {
    en: (right) => `only the columns ${names(right, 'en')}`,
    de: (right) => `nur die Spalten ${names(right, 'de')}`,
  },
  rowFilter: {
    en: (right) => `only rows where ${rowFilterWords(right as RowFilter, 'en')}`,
    de: (right) => `nur Zeilen mit ${rowFilterWords(right as RowFilter, 'de')}`,
  },
  masks: {
    en: (right) => list(masksOf(right, 'en'), 'en'),
    de: (right) => list(masksOf(right, 'de'), 'de'),
  },
  privacyBudget: {
    en: (right) => `a privacy loss of at most ${budget(right)} in all`,
    de: (right) => `ein Verlust an Privatsphäre von insgesamt höchstens ${budget(right)}`,
  },
  rounds: {
    en: (right) => `at most ${number(right)} training rounds in all`,
    de: (right) => `insgesamt höchstens ${number(right)} Trainingsrunden`,
  },
  minimumCohort: {
    en: (right) => `at least ${number(right)} participants in each round`,
    de: (right) => `mindestens ${number(right)} Teilnehmer in jeder Runde`,
  },
  metrics: {
    en: (right) => `of results on own rows, only ${names(right, 'en')} may be released`,
    de: (right) => `von Ergebnissen auf eigenen Zeilen darf nur dies bekannt werden: ${names(right, 'de')}`,
  },
  planHash: {
    en: (right) => `only the session plan with the SHA-256 ${value(right, 'en')}`,
    de: (right) => `nur der Sitzungsplan mit dem SHA-256 ${value(right, 'de')}`,
  },
};

function masksOf(right: unknown, language: Language): string[] {
  return Object.entries(right as Record<string, Mask>).map(([column, mask]) => maskWords(column, mask, language));
}

/** The sentence of an operand of ours; undefined for all others. */
export function ourSentence(leftOperand: string): Sentence | undefined {
  const short = leftOperand.startsWith(FOEDUS) ? leftOperand.slice(FOEDUS.length) : undefined;
  const sentences = short !== undefined && Object.hasOwn(OURS, short) ? OURS[short] : undefined;
  return sentences && ((right, language) => sentences[language](right));
}
