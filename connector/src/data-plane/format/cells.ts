import * as arrow from 'apache-arrow';

/** How the values of one column of one batch are written. */
export interface Cells {
  /** Plain text, as in CSV; null for NULL. */
  text(row: number): string | null;
  /** JSON (RFC 8259); `null` for NULL. Whole numbers with all their digits, decimals and times as text. */
  json(row: number): string;
}

/** A leaf: `text` of a value that is there, and whether that is JSON already. */
interface Leaf {
  readonly text: (row: number) => string;
  readonly bare: boolean;
}

/** @throws Error for a type that no scan yields */
export function cellsOf(data: arrow.Data): Cells {
  const valid = (row: number): boolean => data.nullCount === 0 || data.getValid(row);
  const nested = nestedJson(data);
  if (nested !== undefined) {
    return { text: (row) => (valid(row) ? nested(row) : null), json: (row) => (valid(row) ? nested(row) : 'null') };
  }
  const { text, bare } = leafOf(data);
  return {
    text: (row) => (valid(row) ? text(row) : null),
    json: (row) => {
      if (!valid(row)) return 'null';
      return bare ? text(row) : JSON.stringify(text(row));
    },
  };
}

function nestedJson(data: arrow.Data): ((row: number) => string) | undefined {
  const { type } = data;
  const child = (i: number): Cells => cellsOf(data.children[i] as arrow.Data);
  if (arrow.DataType.isStruct(type)) {
    const parts = type.children.map(({ name }, i) => ({ key: JSON.stringify(name), cells: child(i) }));
    return (row) => `{${parts.map(({ key, cells }) => `${key}:${cells.json(row)}`).join(',')}}`;
  }
  const list = (from: (row: number) => number, to: (row: number) => number): ((row: number) => string) => {
    const items = child(0);
    return (row) => {
      const written: string[] = [];
      for (let i = from(row); i < to(row); i++) written.push(items.json(i));
      return `[${written.join(',')}]`;
    };
  };
  const offset = (row: number): number => data.valueOffsets[row] as number;
  // A map is the list of its entries: keys need not be text, and may repeat.
  if (arrow.DataType.isList(type) || arrow.DataType.isMap(type)) return list(offset, (row) => offset(row + 1));
  if (arrow.DataType.isFixedSizeList(type)) {
    const { listSize } = type;
    return list(
      (row) => row * listSize,
      (row) => (row + 1) * listSize,
    );
  }
  return undefined;
}

function leafOf(data: arrow.Data): Leaf {
  const { type } = data;
  const { values } = data as { values: ArrayLike<number | bigint> };
  if (arrow.DataType.isInt(type)) return { text: (row) => String(values[row]), bare: true };
  if (arrow.DataType.isFloat(type)) return floats(values as ArrayLike<number>);
  if (arrow.DataType.isBool(type)) {
    const bits = data.values as Uint8Array;
    return { text: (row) => (((bits[row >> 3] as number) >> (row & 7)) & 1 ? 'true' : 'false'), bare: true };
  }
  if (arrow.DataType.isUtf8(type)) {
    const bytes = buffer(data.values as Uint8Array);
    return {
      text: (row) => bytes.toString('utf8', data.valueOffsets[row], data.valueOffsets[row + 1]),
      bare: false,
    };
  }
  if (arrow.DataType.isBinary(type)) {
    const bytes = buffer(data.values as Uint8Array);
    return {
      text: (row) => bytes.toString('base64', data.valueOffsets[row], data.valueOffsets[row + 1]),
      bare: false,
    };
  }
  if (arrow.DataType.isFixedSizeBinary(type)) {
    const bytes = buffer(data.values as Uint8Array);
    const width = type.byteWidth;
    return { text: (row) => bytes.toString('base64', row * width, (row + 1) * width), bare: false };
  }
  if (arrow.DataType.isDictionary(type)) {
    const dictionary = leafOf((data.dictionary as arrow.Vector).data[0] as arrow.Data);
    return { text: (row) => dictionary.text(Number(values[row])), bare: dictionary.bare };
  }
  if (arrow.DataType.isDecimal(type)) {
    const words = data.values as Uint32Array;
    const { scale } = type;
    return { text: (row) => decimalText(words, row, scale), bare: false };
  }
  if (arrow.DataType.isDate(type)) return { text: (row) => dateText(Number(values[row])), bare: false };
  if (arrow.DataType.isTimestamp(type)) {
    const digits = type.unit * 3;
    const zone = type.timezone ? 'Z' : '';
    return { text: (row) => `${momentText(BigInt(values[row] ?? 0), digits)}${zone}`, bare: false };
  }
  if (arrow.DataType.isTime(type)) {
    const digits = type.unit * 3;
    return { text: (row) => momentText(BigInt(values[row] ?? 0), digits).slice(11), bare: false };
  }
  if (arrow.DataType.isDuration(type)) return { text: (row) => String(values[row]), bare: true };
  if (arrow.DataType.isNull(type)) return { text: () => '', bare: false };
  throw new Error(`values of the Arrow type ${type.typeId} cannot be written as text`);
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** JSON knows neither NaN nor infinity: they are text in both formats. */
function floats(values: ArrayLike<number>): Leaf {
  return { text: (row) => String(values[row]), bare: Array.prototype.every.call(values, Number.isFinite) };
}

function decimalText(words: Uint32Array, row: number, scale: number): string {
  let value = 0n;
  for (let i = 3; i >= 0; i--) value = (value << 32n) | BigInt(words[row * 4 + i] as number);
  value = BigInt.asIntN(128, value);
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  return `${value < 0n ? '-' : ''}${whole}${scale > 0 ? `.${digits.slice(-scale)}` : ''}`;
}

const DAY_MS = 86_400_000;
const LARGEST_DATE_MS = 8.64e15;

function dateText(days: number): string {
  const ms = days * DAY_MS;
  // Beyond the years that Date knows, and for DuckDB's infinities.
  if (Math.abs(ms) > LARGEST_DATE_MS) return String(days);
  return new Date(ms).toISOString().split('T')[0] as string;
}

/** ISO 8601 without zone. @param digits of the second's fraction that a unit of `value` is */
function momentText(value: bigint, digits: number): string {
  const units = 10n ** BigInt(digits);
  const fraction = ((value % units) + units) % units;
  const ms = Number((value - fraction) / units) * 1000;
  if (Math.abs(ms) > LARGEST_DATE_MS) return String(value);
  const text = new Date(ms).toISOString().slice(0, -5);
  return digits === 0 ? text : `${text}.${fraction.toString().padStart(digits, '0')}`;
}
