/**
 * Finds the address of a relation in a `Link` header (RFC 8288 section 3). What is not well-formed is passed over.
 *
 * @param header the header's value; several headers joined by commas
 * @param relation for instance `next`
 * @returns the first such address as it is written, absolute or relative
 */
export function linkTo(header: string, relation: string): string | undefined {
  for (const { address, parameters } of linksIn(header)) {
    const rel = parameters.find(([name]) => name === 'rel')?.[1] ?? '';
    if (rel.toLowerCase().split(/\s+/).includes(relation)) return address;
  }
  return undefined;
}

interface Link {
  readonly address: string;
  /** Names in lower case. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** One sticky expression for each token: together they read the header once, from left to right. */
const ADDRESS = /[\s,]*<([^<>]*)>/y;
const PARAMETER = /\s*;\s*([\w!#$&+\-.^`|~*]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;<>]*)))?/y;

function linksIn(header: string): Link[] {
  const links: Link[] = [];
  let at = 0;
  const take = (token: RegExp): RegExpExecArray | null => {
    token.lastIndex = at;
    const found = token.exec(header);
    if (found) at = token.lastIndex;
    return found;
  };
  while (at < header.length) {
    const address = take(ADDRESS)?.[1];
    if (address === undefined) {
      // Nothing that begins a link: look on behind the next comma.
      const comma = header.indexOf(',', at);
      if (comma < 0) break;
      at = comma + 1;
      continue;
    }
    const parameters: [string, string][] = [];
    for (let parameter = take(PARAMETER); parameter; parameter = take(PARAMETER)) {
      const [, name = '', quoted, plain = ''] = parameter;
      parameters.push([name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain]);
    }
    links.push({ address, parameters });
  }
  return links;
}
