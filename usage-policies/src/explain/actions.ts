/** What may, must not or has to be done, in words. `{x}` stands for the asset. */
import { FOEDUS } from '../model.ts';
import type { Words } from './languages.ts';

const IDSC = 'https://w3id.org/idsa/code/';
const CC = 'http://creativecommons.org/ns#';

/**
 * Actions by their normalised name: those of ODRL 2.2 (Common Vocabulary, section 2.4), of the IDS usage-control
 * classes, and ours. English after `may`, German before `darf` … infinitive.
 */
export const ACTION_WORDS: Readonly<Record<string, Words>> = {
  use: { en: 'use {x}', de: '{x} nutzen' },
  transfer: { en: 'transfer ownership of {x}', de: 'das Eigentum an {x} übertragen' },
  acceptTracking: {
    en: 'accept that the use of {x} is tracked',
    de: 'hinnehmen, dass die Nutzung von {x} verfolgt wird',
  },
  aggregate: {
    en: 'make {x} part of a larger collection',
    de: '{x} in eine größere Sammlung aufnehmen',
  },
  annotate: { en: 'add annotations to {x}', de: '{x} mit Anmerkungen versehen' },
  anonymize: { en: 'anonymise {x}', de: '{x} anonymisieren' },
  archive: { en: 'archive {x}', de: '{x} archivieren' },
  attribute: { en: 'name the source of {x}', de: 'die Quelle von {x} nennen' },
  compensate: { en: 'pay', de: 'bezahlen' },
  concurrentUse: {
    en: 'use several copies of {x} at once',
    de: 'mehrere Kopien von {x} gleichzeitig nutzen',
  },
  delete: { en: 'delete {x}', de: '{x} löschen' },
  derive: { en: 'derive new data from {x}', de: 'neue Daten aus {x} ableiten' },
  digitize: { en: 'digitise {x}', de: '{x} digitalisieren' },
  display: { en: 'display {x}', de: '{x} anzeigen' },
  distribute: { en: 'pass {x} on to third parties', de: '{x} an Dritte weitergeben' },
  ensureExclusivity: {
    en: 'ensure that its right to {x} is exclusive',
    de: 'für die Ausschließlichkeit des Rechts an {x} sorgen',
  },
  execute: { en: 'run {x}', de: '{x} ausführen' },
  extract: { en: 'extract parts of {x}', de: 'Teile von {x} entnehmen' },
  give: { en: 'give {x} away', de: '{x} verschenken' },
  grantUse: {
    en: 'grant the use of {x} to third parties',
    de: 'Dritten die Nutzung von {x} gestatten',
  },
  include: {
    en: 'include related assets in the use of {x}',
    de: 'zugehörige Güter in die Nutzung von {x} einbeziehen',
  },
  index: { en: 'record {x} in an index', de: '{x} in ein Verzeichnis aufnehmen' },
  inform: {
    en: 'inform somebody about the use of {x}',
    de: 'jemanden über die Nutzung von {x} unterrichten',
  },
  install: { en: 'install {x}', de: '{x} installieren' },
  modify: { en: 'change {x}', de: '{x} ändern' },
  move: { en: 'move {x} elsewhere', de: '{x} an einen anderen Ort verschieben' },
  nextPolicy: {
    en: 'pass {x} on only under a further policy',
    de: '{x} nur unter einer weiteren Richtlinie weitergeben',
  },
  obtainConsent: {
    en: 'obtain consent to the use of {x}',
    de: 'die Einwilligung in die Nutzung von {x} einholen',
  },
  play: { en: 'play {x}', de: '{x} abspielen' },
  present: { en: 'present {x} in public', de: '{x} öffentlich vorführen' },
  print: { en: 'print {x}', de: '{x} drucken' },
  read: { en: 'read {x}', de: '{x} lesen' },
  reproduce: { en: 'copy {x}', de: '{x} vervielfältigen' },
  reviewPolicy: { en: 'review the policy of {x}', de: 'die Richtlinie zu {x} prüfen' },
  sell: { en: 'sell {x}', de: '{x} verkaufen' },
  stream: { en: 'stream {x}', de: '{x} als Datenstrom übertragen' },
  synchronize: {
    en: 'synchronise {x} with other media',
    de: '{x} mit anderen Medien synchronisieren',
  },
  textToSpeech: { en: 'have {x} read aloud', de: '{x} vorlesen lassen' },
  transform: { en: 'convert {x} to another format', de: '{x} in ein anderes Format umwandeln' },
  translate: { en: 'translate {x}', de: '{x} übersetzen' },
  uninstall: { en: 'uninstall {x}', de: '{x} deinstallieren' },
  watermark: { en: 'mark {x} with a watermark', de: '{x} mit einem Wasserzeichen versehen' },
  [`${FOEDUS}train`]: {
    en: 'train a model on {x} without receiving rows, and receive updates of the model',
    de: 'ein Modell auf {x} trainieren, ohne Zeilen zu erhalten, und Aktualisierungen des Modells erhalten',
  },
  [`${FOEDUS}access`]: { en: 'see the offers of {x}', de: 'die Angebote zu {x} sehen' },
  [`${IDSC}LOG`]: { en: 'log the use of {x}', de: 'die Nutzung von {x} protokollieren' },
  [`${IDSC}NOTIFY`]: {
    en: 'notify somebody of the use of {x}',
    de: 'jemandem die Nutzung von {x} melden',
  },
  [`${IDSC}REPLACE`]: { en: 'replace parts of {x}', de: 'Teile von {x} ersetzen' },
  [`${IDSC}DROP`]: { en: 'drop parts of {x}', de: 'Teile von {x} weglassen' },
  [`${IDSC}INCREMENT_COUNTER`]: { en: 'count the use of {x}', de: 'die Nutzung von {x} zählen' },
  [`${IDSC}ENCRYPT`]: { en: 'encrypt {x}', de: '{x} verschlüsseln' },
  [`${IDSC}MPC`]: {
    en: 'compute on {x} only by multi-party computation, so that no single value is seen',
    de: 'auf {x} nur durch verteilte Berechnung (MPC) rechnen, sodass kein einzelner Wert sichtbar wird',
  },
  [`${IDSC}SHIFT`]: { en: 'shift values of {x}', de: 'Werte von {x} verschieben' },
  [`${IDSC}TRACK_PROVENANCE`]: {
    en: 'keep track of where {x} comes from',
    de: 'die Herkunft von {x} aufzeichnen',
  },

  // Deprecated by ODRL, and Creative Commons' terms that its vocabulary takes over.
  adHocShare: { en: 'share {x} with others near by', de: '{x} mit anderen in der Nähe teilen' },
  attachPolicy: { en: 'keep the policy with {x}', de: 'die Richtlinie bei {x} belassen' },
  attachSource: { en: 'keep the source with {x}', de: 'die Quelle bei {x} angeben' },
  commercialize: { en: 'use {x} commercially', de: '{x} gewerblich nutzen' },
  extractChar: { en: 'extract characters from {x}', de: 'Zeichen aus {x} entnehmen' },
  extractPage: { en: 'extract pages from {x}', de: 'Seiten aus {x} entnehmen' },
  extractWord: { en: 'extract words from {x}', de: 'Wörter aus {x} entnehmen' },
  lease: { en: 'lease {x} to others', de: '{x} verpachten' },
  lend: { en: 'lend {x} to others', de: '{x} verleihen' },
  preview: { en: 'preview {x}', de: 'eine Vorschau von {x} ansehen' },
  secondaryUse: {
    en: 'use {x} for something else than agreed',
    de: '{x} für anderes als vereinbart nutzen',
  },
  share: { en: 'share {x}', de: '{x} teilen' },
  shareAlike: {
    en: 'pass on what is derived from {x} under the same terms',
    de: 'aus {x} Abgeleitetes unter denselben Bedingungen weitergeben',
  },
  [`${CC}Attribution`]: { en: 'give credit for {x}', de: 'die Urheber von {x} nennen' },
  [`${CC}CommericalUse`]: { en: 'use {x} in commerce', de: '{x} im Handel nutzen' },
  [`${CC}DerivativeWorks`]: {
    en: 'pass on works derived from {x}',
    de: 'aus {x} abgeleitete Werke weitergeben',
  },
  [`${CC}Distribution`]: { en: 'distribute {x} to the public', de: '{x} öffentlich verbreiten' },
  [`${CC}Notice`]: { en: 'keep the notices of {x}', de: 'die Hinweise von {x} erhalten' },
  [`${CC}Reproduction`]: { en: 'make copies of {x}', de: 'Kopien von {x} anfertigen' },
  [`${CC}ShareAlike`]: {
    en: 'pass on {x} under the same terms',
    de: '{x} unter denselben Bedingungen weitergeben',
  },
  [`${CC}Sharing`]: { en: 'share {x} without profit', de: '{x} ohne Gewinn teilen' },
  [`${CC}SourceCode`]: {
    en: 'provide the source code of {x}',
    de: 'den Quelltext von {x} bereitstellen',
  },
};
