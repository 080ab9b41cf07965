import type { DataAddress, Scope, Transfer } from '../management/model.ts';
import { directionOf } from '../protocol/data-address.ts';

/** Properties of the addresses of pushes that hold no secret. */
const OPEN = new Set([
  'bucketName',
  'region',
  'objectName',
  'keyName',
  'folderName',
  'contentType',
  'method',
  'authType',
  'authKey',
  'sessionId',
  'https://w3id.org/foedus/ns#query',
]);

const HIDDEN = '(hidden)';

/**
 * A transfer as operators see it: who may only look sees no data address. In that of a push are the credentials of the
 * consumer's storage, which are for nobody's eyes: only the data flow gets them.
 */
export function shownTo(scope: Scope | undefined, transfer: Transfer): Transfer {
  const { dataAddress, ...rest } = transfer;
  if (scope === 'read' || dataAddress === undefined) return rest;
  if (directionOf(transfer.format) !== 'push') return transfer;
  return { ...rest, dataAddress: withoutSecrets(dataAddress) };
}

/** A transfer that has ended, as it is kept: nobody needs the credentials of a push any more. */
export function withoutCredentials(transfer: Transfer): Transfer {
  const { dataAddress, format } = transfer;
  if (dataAddress === undefined || directionOf(format) !== 'push') return transfer;
  return { ...transfer, dataAddress: withoutSecrets(dataAddress) };
}

function withoutSecrets({ endpointType, endpoint, properties }: DataAddress): DataAddress {
  return {
    endpointType,
    ...(endpoint !== undefined && { endpoint: withoutQuery(endpoint) }),
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, value]) => {
        if (name === 'endpointOverride' || name === 'baseUrl') return [name, withoutQuery(value)];
        return [name, OPEN.has(name) ? value : HIDDEN];
      }),
    ),
  };
}

/** A signed address has its signature in the query. */
function withoutQuery(text: string): string {
  const url = URL.parse(text);
  if (url === null) return HIDDEN;
  const { origin, pathname, search, hash, username, password } = url;
  if (`${search}${hash}${username}${password}` === '' && origin !== 'null') return text;
  return origin === 'null' ? HIDDEN : `${origin}${pathname}${search === '' ? '' : `?${HIDDEN}`}`;
}
