import { connectorConfigSchema, loadConfig, readToken, type ConnectorConfig } from '@foedus/connector/config';
import { createOperatorClient, type OperatorClient } from '@foedus/connector/operator-client';

/** The connector whose operator runs the command. */
export interface OwnConnector {
  readonly config: ConnectorConfig;
  readonly operator: OperatorClient;
}

/**
 * Reads where the connector of `configFile` listens and the token that its operator API wants.
 *
 * @throws FoedusError `bad-config`
 */
export async function ownConnector(configFile: string, env = process.env): Promise<OwnConnector> {
  const config = await loadConfig(connectorConfigSchema, configFile, env);
  const { host, port, tokenFile } = config.management;
  const address = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  const url = `http://${address}:${port}`;
  return { config, operator: createOperatorClient({ url, token: await readToken(tokenFile) }) };
}
