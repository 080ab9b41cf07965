import { InvalidArgumentError, Option } from 'commander';

/** The configuration of the connector whose operator runs the command. */
export const ownConfig = () =>
  new Option('-c, --config <file>', "your connector's configuration").env('FOEDUS_CONFIG').default('connector.json');
/** Collects an option that may be repeated. */
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value];
/** Reads a list with commas. */
export const list = (value: string): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** Reads a number of days. */
export const days = (value: string): number => {
  const number = Number(value);
  if (!(number > 0)) throw new InvalidArgumentError('It is a number of days.');
  return number;
};
