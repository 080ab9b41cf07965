export { ARROW_STREAM } from './arrow-stream.ts';
export { readArrowStream, type ArrowBatches, type ReadCount } from './consume.ts';
export { describeParquet, type ParquetDescription } from './parquet.ts';
export {
  createPullDataFlow,
  HTTP_ENDPOINT,
  type AssetReader,
  type PullDataFlow,
  type PullDataFlowOptions,
  type TransferReader,
} from './pull-data-flow.ts';
