export { readArrowStream } from './consume.ts';
export { createPullDataFlow } from './pull-data-flow.ts';
export { FORMATS, type Format } from './formats.ts';
export { createScanner, readWholeFile, type Scanner } from './scanner.ts';
