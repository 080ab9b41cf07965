import * as arrow from 'apache-arrow';
import { describe, expect, test } from 'vitest';
import { sparkSchema } from './spark-schema.ts';

const streamOf = (fields: arrow.Field[]): Uint8Array =>
  arrow.tableToIPC(new arrow.Table(new arrow.Schema(fields)), 'stream');
const typeOf = (type: arrow.DataType): unknown => {
  const schema = JSON.parse(sparkSchema(streamOf([new arrow.Field('a', type, true)]))) as {
    fields: { type: unknown }[];
  };
  return schema.fields[0]?.type;
};

describe('a schema for Delta clients', () => {
  test('names every type that Parquet and Arrow share as Spark knows it', () => {
    const list = new arrow.Field('item', new arrow.Int64(), true);
    const entries = new arrow.Struct<{ key: arrow.DataType; value: arrow.DataType }>([
      new arrow.Field('key', new arrow.Utf8(), false),
      new arrow.Field('value', new arrow.Float64(), true),
    ]);
    const cases: [arrow.DataType, unknown][] = [
      [new arrow.Int8(), 'byte'],
      [new arrow.Int16(), 'short'],
      [new arrow.Int32(), 'integer'],
      [new arrow.Int64(), 'long'],
      [new arrow.Uint8(), 'short'],
      [new arrow.Uint16(), 'integer'],
      [new arrow.Uint32(), 'long'],
      [new arrow.Uint64(), 'decimal(20,0)'],
      [new arrow.Float32(), 'float'],
      [new arrow.Float64(), 'double'],
      [new arrow.Bool(), 'boolean'],
      [new arrow.Utf8(), 'string'],
      [new arrow.Binary(), 'binary'],
      [new arrow.FixedSizeBinary(16), 'binary'],
      [new arrow.DateDay(), 'date'],
      [new arrow.TimestampMicrosecond('UTC'), 'timestamp'],
      [new arrow.TimestampMillisecond(), 'timestamp'],
      [new arrow.Decimal(2, 12, 128), 'decimal(12,2)'],
      [new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32()), 'string'],
      [new arrow.TimeMicrosecond(), 'string'],
      [new arrow.List(list), { type: 'array', elementType: 'long', containsNull: true }],
      [new arrow.FixedSizeList(3, list), { type: 'array', elementType: 'long', containsNull: true }],
      [
        new arrow.Struct([new arrow.Field('x', new arrow.Bool(), true)]),
        { type: 'struct', fields: [{ name: 'x', type: 'boolean', nullable: true, metadata: {} }] },
      ],
      [
        new arrow.Map_(new arrow.Field('entries', entries, false)),
        { type: 'map', keyType: 'string', valueType: 'double', valueContainsNull: true },
      ],
    ];
    for (const [type, expected] of cases) expect(typeOf(type)).toEqual(expected);
  });

  test('says of a masked column how it is masked', () => {
    const masked = new arrow.Field('tail', new arrow.Utf8(), true, new Map([['foedus.mask', 'hash']]));
    expect(JSON.parse(sparkSchema(streamOf([masked])))).toEqual({
      type: 'struct',
      fields: [{ name: 'tail', type: 'string', nullable: true, metadata: { comment: 'masked: hash' } }],
    });
  });
});
