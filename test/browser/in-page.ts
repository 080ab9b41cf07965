/**
 * What tests ask of the document. The functions themselves are compiled for the browser (dashboard/page/document.ts),
 * whose types this program does not have, so they are loaded at run time.
 */
export interface InPage {
  readonly focusedText: () => string;
  readonly focusedOutline: () => string;
  readonly readableCookies: () => string;
  readonly overflow: () => number;
  readonly background: () => string;
  readonly structureProblems: () => string[];
  readonly contrastProblems: () => { readonly checked: number; readonly low: string[] };
}

const address = new URL('dashboard/page/document.ts', import.meta.url).href;

export const inPage = (await import(/* @vite-ignore */ address)) as InPage;
