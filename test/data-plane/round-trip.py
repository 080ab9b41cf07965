"""Writes tables with every type as Parquet and Arrow IPC, and compares what came back with them.

write FOLDER            types.parquet, types.arrow, types.csv
check FOLDER NAME FILE  FILE holds the table NAME, as Parquet (.parquet) or as an Arrow stream (.arrows)
"""

import datetime
import decimal
import sys

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet

ROWS = 5_000


def column(of, type_):
    """Every seventh value is null."""
    return pa.array([None if i % 7 == 3 else of(i) for i in range(ROWS)], type_)


def tables():
    decimals = decimal.Decimal
    day = datetime.date(1969, 12, 1)
    names = ["BDL", "PVD", "a name that is longer than twelve bytes: é", ""]
    flat = {
        "int8": column(lambda i: i % 256 - 128, pa.int8()),
        "uint8": column(lambda i: i % 256, pa.uint8()),
        "int16": column(lambda i: -i, pa.int16()),
        "uint16": column(lambda i: i * 13, pa.uint16()),
        "int32": column(lambda i: -i * 400_000, pa.int32()),
        "uint32": column(lambda i: i * 800_000, pa.uint32()),
        "int64": column(lambda i: -(2**63) + i, pa.int64()),
        "uint64": column(lambda i: 2**64 - 1 - i, pa.uint64()),
        "float32": column(lambda i: i / 8, pa.float32()),
        "float64": column(lambda i: i / 3, pa.float64()),
        "bool": column(lambda i: i % 2 == 0, pa.bool_()),
        "string": column(lambda i: names[i % 4] + str(i % 3), pa.string()),
        "binary": column(lambda i: bytes([i % 256, 0, 255]), pa.binary()),
        "fixed_binary": column(lambda i: i.to_bytes(16, "big"), pa.binary(16)),
        "decimal4": column(lambda i: decimals(i - 2500).scaleb(-2), pa.decimal128(4, 2)),
        "decimal9": column(lambda i: decimals(i - 2500).scaleb(-2), pa.decimal128(9, 2)),
        "decimal18": column(lambda i: decimals(i * 10**13 - 10**16).scaleb(-4), pa.decimal128(18, 4)),
        "decimal38": column(lambda i: decimals(-(10**37) + i).scaleb(-10), pa.decimal128(38, 10)),
        "date": column(lambda i: day + datetime.timedelta(days=i), pa.date32()),
        "time_ms": column(lambda i: i * 17_000, pa.time32("ms")),
        "time_us": column(lambda i: i * 17_000_001, pa.time64("us")),
        "stamp_ms": column(lambda i: i * 86_400_001 - 10**11, pa.timestamp("ms")),
        "stamp_us": column(lambda i: i * 86_400_001 - 10**11, pa.timestamp("us")),
        "stamp_ns": column(lambda i: i * 86_400_001 - 10**11, pa.timestamp("ns")),
        "stamp_s": column(lambda i: i * 86_401 - 10**8, pa.timestamp("s")),
        "utc_ms": column(lambda i: i * 86_400_001, pa.timestamp("ms", "UTC")),
        "berlin_us": column(lambda i: i * 86_400_001, pa.timestamp("us", "Europe/Berlin")),
        "duration": column(lambda i: i * 1_000, pa.duration("us")),
        "null": pa.nulls(ROWS),
    }
    nested = {
        "list": column(lambda i: [None if k == 1 else k for k in range(i % 5)], pa.list_(pa.int32())),
        "strings": column(lambda i: [names[(i + k) % 4] for k in range(i % 4)], pa.list_(pa.string())),
        "pair": column(lambda i: [i, -i], pa.list_(pa.int64(), 2)),
        "struct": column(
            lambda i: {"a": i, "b": None if i % 5 == 0 else names[i % 4], "c": {"d": i / 2}},
            pa.struct([("a", pa.int64()), ("b", pa.string()), ("c", pa.struct([("d", pa.float64())]))]),
        ),
        "map": column(lambda i: [(names[k % 3], k) for k in range(i % 3)], pa.map_(pa.string(), pa.int32())),
        "list_of_structs": column(
            lambda i: [{"at": i + k, "price": decimals(i).scaleb(-2)} for k in range(i % 3)],
            pa.list_(pa.struct([("at", pa.timestamp("ms")), ("price", pa.decimal128(9, 2))])),
        ),
        "list_of_lists": column(lambda i: [[k] * (k % 3) for k in range(i % 4)], pa.list_(pa.list_(pa.int16()))),
    }
    dictionary = {"dictionary": column(lambda i: names[i % 4], pa.string()).dictionary_encode()}
    return {"types": pa.table(flat | nested | dictionary), "empty": pa.table(flat | nested | dictionary).slice(0, 0)}


def nanoseconds():
    """Of all but the first, the engine would cut the nanoseconds off."""
    zoned = pa.array([981173106789012345, None], pa.timestamp("ns", "UTC"))
    return pa.table(
        {
            "stamp": pa.array([981173106789012345, None], pa.timestamp("ns")),
            "zoned": zoned,
            "time": pa.array([14706000000007, None], pa.time64("ns")),
            "list": pa.ListArray.from_arrays([0, 1, 2], zoned),
            "struct": pa.StructArray.from_arrays([zoned], ["at"]),
        }
    )


def plain(type_):
    """The type without what Parquet and Arrow name differently: a list's item, whether a map's value may be null."""
    if pa.types.is_map(type_):
        return ("map", plain(type_.key_type), plain(type_.item_type))
    if pa.types.is_fixed_size_list(type_):
        return ("fixed", type_.list_size, plain(type_.value_type))
    if pa.types.is_list(type_):
        return ("list", plain(type_.value_type))
    if pa.types.is_struct(type_):
        return ("struct", tuple((field.name, plain(field.type)) for field in type_))
    return str(type_)


def listed(values):
    """Python's own times have no nanoseconds."""
    return (values.cast(pa.int64()) if values.type == pa.timestamp("ns") else values).to_pylist()


def main():
    command, folder, *rest = sys.argv[1:]
    if command == "write":
        for name, table in tables().items():
            pa.parquet.write_table(table, f"{folder}/{name}.parquet", row_group_size=2_000)
            pa.feather.write_feather(table, f"{folder}/{name}.arrow", compression="uncompressed", chunksize=2_000)
        pa.parquet.write_table(nanoseconds(), f"{folder}/nanoseconds.parquet")
        return
    name, path = rest
    wanted = tables()[name]
    if path.endswith(".parquet"):
        found = pa.parquet.read_table(path)
    else:
        with open(path, "rb") as file:
            found = pa.ipc.open_stream(file).read_all()
    found.validate(full=True)
    assert found.column_names == wanted.column_names, found.column_names
    problems = []
    for field in wanted.schema:
        other = found.schema.field(field.name)
        wanted_type = field.type
        if (path.endswith(".parquet") or "-arrow." in path) and wanted_type == pa.timestamp("s"):
            wanted_type = pa.timestamp("ms")  # Parquet has no seconds, and Arrow files are read through a Parquet copy.
        if plain(wanted_type) != plain(other.type):
            problems.append(f"{field.name}: {other.type} instead of {field.type}")
        elif listed(found.column(field.name)) != listed(wanted.column(field.name)):
            problems.append(f"{field.name}: other values")
    if problems:
        sys.exit("\n".join(problems))


main()
