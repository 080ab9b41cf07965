/** Turtle as the JSON-LD that a policy is written in: every node with all that is said of it, where it is named. */
import { Parser, type Quad, type Term } from 'n3';
import { readFileSync } from 'node:fs';

const RDF_TYPE = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#type';
const UID = 'http://www.w3.org/ns/odrl/2/uid';
const XSD_STRING = 'http://www.w3.org/2001/XMLSchema#string';

/** What is said in one or several documents, by subject. */
export type Graph = ReadonlyMap<string, readonly Quad[]>;

export function readTurtle(...files: readonly string[]): Graph {
  const graph = new Map<string, Quad[]>();
  for (const file of files) {
    for (const quad of new Parser().parse(readFileSync(file, 'utf8'))) {
      const said = graph.get(quad.subject.value);
      if (said === undefined) graph.set(quad.subject.value, [quad]);
      else said.push(quad);
    }
  }
  return graph;
}

/** All objects of a subject's property. */
export function objects(graph: Graph, subject: string, property: string): readonly Term[] {
  return (graph.get(subject) ?? []).filter(({ predicate }) => predicate.value === property).map((quad) => quad.object);
}

/** The only object of a subject's property. @throws Error */
export function object(graph: Graph, subject: string, property: string): string {
  const [only, ...more] = objects(graph, subject, property);
  if (only === undefined || more.length > 0) throw new Error(`${subject} has ${more.length + 1} values of ${property}`);
  return only.value;
}

/** Subjects of a type. */
export function instances(graph: Graph, type: string): readonly string[] {
  return [...graph.keys()].filter((subject) => objects(graph, subject, RDF_TYPE).some(({ value }) => value === type));
}

/** A subject as JSON-LD, without the `odrl:uid` that repeats its IRI. */
export function toJson(graph: Graph, subject: string): Record<string, unknown> {
  const json: Record<string, unknown> = { '@id': subject };
  for (const { predicate, object: said } of graph.get(subject) ?? []) {
    if (predicate.value === UID) continue;
    const key = predicate.value === RDF_TYPE ? '@type' : predicate.value;
    const value = predicate.value === RDF_TYPE ? said.value : termToJson(graph, said);
    json[key] = key in json ? [json[key], value].flat() : value;
  }
  return json;
}

function termToJson(graph: Graph, term: Term): unknown {
  if (term.termType === 'Literal') {
    const { value, datatype } = term;
    return datatype.value === XSD_STRING ? value : { '@value': value, '@type': datatype.value };
  }
  return graph.has(term.value) ? toJson(graph, term.value) : { '@id': term.value };
}
