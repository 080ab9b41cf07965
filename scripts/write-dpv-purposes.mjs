#!/usr/bin/env node
/**
 * Writes usage-policies/data/dpv-purposes.json from the W3C Data Privacy Vocabulary's table of purposes.
 *
 *   node scripts/write-dpv-purposes.mjs PATH/TO/purposes.csv VERSION
 *
 * Only the facts are taken: which purpose is a narrower one of which. Labels and definitions stay where they are.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [table, version] = process.argv.slice(2);
if (table === undefined || version === undefined) {
  console.error('usage: node scripts/write-dpv-purposes.mjs PATH/TO/purposes.csv VERSION');
  process.exit(2);
}

/** The cells of a CSV text in which every cell is quoted and a quote inside is doubled. */
function parseCsv(text) {
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end !== ',') rows.push([]);
  }
  return rows.filter((row) => row.length > 1);
}

const [header, ...rows] = parseCsv(readFileSync(table, 'utf8'));
const column = (name) => header.indexOf(name);
const namespace = 'https://w3id.org/dpv#';
const local = (iri) => {
  if (!iri.startsWith(namespace)) throw new Error(`${iri} is outside of ${namespace}`);
  return iri.slice(namespace.length);
};

const purposes = rows
  // The class itself, and everything that is an instance of it; properties and sectors are no purposes.
  .filter((row) => row[column('dpvtype')] === `${namespace}Purpose` || row[column('iri')] === `${namespace}Purpose`)
  .map((row) => [local(row[column('iri')]), row[column('hasbroader')].split(';').filter(Boolean).map(local)])
  .sort(([a], [b]) => (a < b ? -1 : 1));

const data = {
  title: 'Purposes of the W3C Data Privacy Vocabulary and their broader purposes',
  source: 'https://w3id.org/dpv',
  version,
  license: 'https://www.w3.org/copyright/document-license-2023/',
  namespace,
  broader: Object.fromEntries(purposes),
};
const out = join(import.meta.dirname, '..', 'usage-policies', 'data', 'dpv-purposes.json');
const lines = JSON.stringify({ ...data, broader: undefined }, null, 2).slice(0, -2);
const broader = purposes
  .map(([name, parents]) => `    ${JSON.stringify(name)}: ${JSON.stringify(parents)}`)
  .join(',\n');
writeFileSync(out, `${lines},\n  "broader": {\n${broader}\n  }\n}\n`);
console.log(`${purposes.length} purposes written to ${out}`);
