import { FoedusError } from '@foedus/connector/errors';
import type { OperatorClient, Received } from '@foedus/connector/operator-client';
import { ownConnector } from '../own-connector.ts';
import { bytes, clean, endProgress, print, progress } from '../terminal.ts';
import { noteForDeletion } from './duties.ts';

export interface ReceiveData {
  readonly config: string;
  readonly type: string;
  readonly columns?: string[];
  readonly purpose?: string;
}

/** How often the progress is looked at, in milliseconds. */
const LOOK = 500;

/** Has data pushed to the inbox of the own connector, where they go on by themselves after a cut, and says where they are. */
export async function receiveData(agreementId: string, options: ReceiveData): Promise<void> {
  const { operator } = await ownConnector(options.config);
  const query = new URLSearchParams();
  if (options.purpose !== undefined) query.set('purpose', options.purpose);
  if (options.columns !== undefined) query.set('columns', options.columns.join(','));
  const properties = { contentType: options.type, 'https://w3id.org/foedus/ns#query': query.toString() };
  const dataAddress = { endpointType: 'https://w3id.org/idsa/v4.1/HTTP', properties };
  const { id } = await operator.requestTransfer({ agreementId, format: 'HttpData-PUSH', dataAddress });
  progress(`transfer ${id} requested`);
  const looking = setInterval(() => {
    void receivedOf(operator, id).then((found) => found && progress(`${bytes(found.bytes)} received`));
  }, LOOK);
  try {
    const { state, reason } = await operator.transferUntil(id, ['COMPLETED', 'TERMINATED']);
    if (state === 'TERMINATED') {
      throw new FoedusError('terminated', `The transfer was terminated: ${clean(reason ?? 'no reason given')}`);
    }
  } finally {
    clearInterval(looking);
    endProgress();
  }
  const received = await operator.received(id);
  print(`${bytes(received.bytes)} received as ${received.path} (${received.mediaType})`);
  await noteForDeletion(operator, agreementId, received.path);
}

async function receivedOf(operator: OperatorClient, id: string): Promise<Received | undefined> {
  try {
    return await operator.received(id);
  } catch {
    return undefined; // nothing has come yet
  }
}
