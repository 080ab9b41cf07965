/** What a constraint is about, in words. */
import type { Words } from './languages.ts';
import type { Kind } from './operators.ts';

/** A subject that operators and values follow. */
export interface Subject extends Words {
  readonly kind: Kind;
}

const IDSC = 'https://w3id.org/idsa/code/';
const VCARD = 'http://www.w3.org/2006/vcard/ns#';

const name = (en: string, de: string): Subject => ({ kind: 'name', en, de });
const amount = (en: string, de: string): Subject => ({ kind: 'amount', en, de });
const moment = (en: string, de: string): Subject => ({ kind: 'moment', en, de });
const duration = (en: string, de: string): Subject => ({ kind: 'duration', en, de });
const period = (en: string, de: string): Subject => ({ kind: 'period', en, de });

/** Left operands of ODRL 2.2 (Common Vocabulary, section 2.6), of the IDS classes, and ours. */
export const SUBJECTS: Readonly<Record<string, Subject>> = {
  absolutePosition: amount('the place within the asset', 'die Stelle im Gut'),
  absoluteSize: amount('the size', 'die Größe'),
  absoluteSpatialPosition: name('the area within the asset', 'der Bereich im Gut'),
  absoluteTemporalPosition: duration('the time within the asset', 'die Zeitstelle im Gut'),
  count: amount('the number of uses in all, this one included,', 'die Zahl aller Nutzungen, diese eingeschlossen,'),
  dateTime: moment('the time', 'der Zeitpunkt'),
  delayPeriod: {
    kind: 'delay',
    en: 'the time that has passed since it could begin',
    de: 'die Zeit, seit es beginnen konnte,',
  },
  deliveryChannel: name('the way of delivery', 'der Weg der Lieferung'),
  device: name('the device', 'das Gerät'),
  elapsedTime: period('the time since the first use', 'die Zeit seit der ersten Nutzung'),
  event: { kind: 'phase', en: 'the time', de: 'der Zeitpunkt' },
  fileFormat: name('the file format', 'das Dateiformat'),
  industry: name('the industry', 'die Branche'),
  language: name('the language', 'die Sprache'),
  media: name('the kind of media', 'die Art der Medien'),
  meteredTime: period('the time of use in all', 'die gesamte Nutzungszeit'),
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
  timeInterval: {
    kind: 'interval',
    en: 'the time between two uses',
    de: 'die Zeit zwischen zwei Nutzungen',
  },
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
