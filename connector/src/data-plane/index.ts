export { readArrowStream } from './consume.ts';
export { createDataPlane } from './data-plane.ts';
export { ARROW_ZSTD, FORMATS, type Format } from './format/formats.ts';
export { createScanner, readWholeFile, type Scanner } from './scanner.ts';
export { openEngine } from './scan/engine.ts';
