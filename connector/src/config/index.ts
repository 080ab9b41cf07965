export { loadConfig, type Environment } from './load.ts';
export { ensureToken, readToken } from './token.ts';
export { connectorConfigSchema, type ConnectorConfig } from './connector-config.ts';
export {
  connectorAccessSettings,
  dataDirSetting,
  hostSetting,
  identitySettings,
  loopbackListenSettings,
  operatorSettings,
  participantIdSetting,
  pathSetting,
  peerListenSettings,
  portSetting,
  setting,
} from './settings.ts';
