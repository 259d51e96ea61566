"""Times DuckDB over the manifest and index of 650,000 clips that `cargo bench --bench manifest` leaves behind.

    .venv/bin/python tests/bench/group_by.py [target/tmp/manifest]

Prints the fastest of ten for each query, in seconds, one thread. Needs duckdb (tests/requirements.txt).
"""

import sys
import time

import duckdb

QUERIES = {
    "clips by split and status": "select split, status, count(*) from '{0}/clips.parquet' group by all",
    "clips by subcategory": "select category, subcategory, count(*), count(shard) from '{0}/clips.parquet' group by all",
    "frames by shard": "select shard, sum(frames) from '{0}/index.parquet' group by all",
}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "target/tmp/manifest"
    connection = duckdb.connect(config={"threads": 1})
    rows = connection.sql(f"select count(*) from '{folder}/clips.parquet'").fetchone()[0]
    print(f"{rows} rows")
    for name, query in QUERIES.items():
        seconds = []
        for _ in range(10):
            began = time.perf_counter()
            groups = len(connection.sql(query.format(folder)).fetchall())
            seconds.append(time.perf_counter() - began)
        print(f"{min(seconds):.3f} s  {name}: {groups} groups")


if __name__ == "__main__":
    main()
