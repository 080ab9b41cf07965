import { DataType, Precision, tableFromIPC, type Field } from 'apache-arrow';

type SparkType = string | { readonly type: string; readonly [part: string]: unknown };

/** The key that masked columns carry how they are masked under, in the metadata of Arrow's schema. */
const MASK_KEY = 'foedus.mask';

/**
 * The schema of a table as Delta clients want it (PROTOCOL.md of Delta Lake, Schema Serialization Format).
 *
 * Types that Spark does not have go by the nearest name that clients accept: unsigned whole numbers by the next larger
 * signed one, timestamps without a zone as `timestamp`, times and durations as `string` (the file has them as they
 * are, and pandas reads them so).
 *
 * @param described an Arrow IPC stream without rows
 * @throws what Arrow says of bytes that are no stream
 */
export function sparkSchema(described: Uint8Array): string {
  const { fields } = tableFromIPC(described).schema;
  return JSON.stringify({ type: 'struct', fields: fields.map(fieldOf) });
}

function fieldOf({ name, type, nullable, metadata }: Field): object {
  const mask = metadata.get(MASK_KEY);
  return {
    name,
    type: sparkType(type as DataType),
    nullable,
    metadata: mask === undefined ? {} : { comment: `masked: ${mask}` },
  };
}

function sparkType(type: DataType): SparkType {
  if (DataType.isDictionary(type)) return sparkType(type.dictionary as DataType);
  if (DataType.isInt(type)) return wholeNumber(type.bitWidth, type.isSigned);
  if (DataType.isFloat(type)) return type.precision === Precision.DOUBLE ? 'double' : 'float';
  if (DataType.isBool(type)) return 'boolean';
  if (DataType.isDecimal(type)) return `decimal(${type.precision},${type.scale})`;
  if (DataType.isDate(type)) return 'date';
  if (DataType.isTimestamp(type)) return 'timestamp';
  if (DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isFixedSizeBinary(type)) return 'binary';
  if (DataType.isStruct(type)) return { type: 'struct', fields: type.children.map(fieldOf) };
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    const [item] = type.children;
    return { type: 'array', elementType: sparkType(item?.type as DataType), containsNull: true };
  }
  if (DataType.isMap(type)) {
    const [key, value] = type.children[0]?.type.children ?? [];
    return {
      type: 'map',
      keyType: sparkType(key?.type as DataType),
      valueType: sparkType(value?.type as DataType),
      valueContainsNull: true,
    };
  }
  return 'string';
}

function wholeNumber(bits: number, signed: boolean): string {
  if (bits === 64) return signed ? 'long' : 'decimal(20,0)';
  const names: Record<number, readonly [signed: string, unsigned: string]> = {
    8: ['byte', 'short'],
    16: ['short', 'integer'],
    32: ['integer', 'long'],
  };
  return names[bits]?.[signed ? 0 : 1] ?? 'long';
}
