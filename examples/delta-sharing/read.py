"""Reads a table under an agreement with pandas: read.py PROFILE.SHARE [ROWS]"""

import sys

import delta_sharing


def main(profile, rows=None):
    for table in delta_sharing.SharingClient(profile).list_all_tables():
        url = f"{profile}#{table.share}.{table.schema}.{table.name}"
        frame = delta_sharing.load_as_pandas(url, limit=None if rows is None else int(rows))
        print(url, frame.dtypes.to_string(), frame.head(3).to_string(), f"{len(frame)} rows", sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
