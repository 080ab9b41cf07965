"""Reads a table with the unmodified delta-sharing client, and prints what came as JSON.

read.py PROFILE tables        every table that the profile names
read.py PROFILE rows [LIMIT]  the rows of the first table: columns, types, values
read.py PROFILE error         the error that the client raises, as a person would see it
"""

import json
import sys

import delta_sharing


def main(profile, command, limit=None):
    client = delta_sharing.SharingClient(profile)
    try:
        tables = client.list_all_tables()
    except Exception as error:
        if command == "error":
            return [type(error).__name__, str(error)]
        raise
    if command == "tables":
        schemas = [schema for share in client.list_shares() for schema in client.list_schemas(share)]
        inside = [table for schema in schemas for table in client.list_tables(schema)]
        assert inside == list(tables)
        return [[table.share, table.schema, table.name] for table in tables]
    first = tables[0]
    url = f"{profile}#{first.share}.{first.schema}.{first.name}"
    if command == "error":
        try:
            delta_sharing.load_as_pandas(url)
        except Exception as error:  # whatever it is, a person reads its text
            return [type(error).__name__, str(error)]
        return None
    version = delta_sharing.get_table_version(url)
    metadata = delta_sharing.get_table_metadata(url)
    frame = delta_sharing.load_as_pandas(url, limit=None if limit is None else int(limit))
    return {
        "version": version,
        "schema": json.loads(metadata.schema_string),
        "types": {name: str(kind) for name, kind in frame.dtypes.items()},
        "rows": [[None if value is None else str(value) for value in row] for row in frame.values.tolist()],
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
