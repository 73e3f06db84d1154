#!/bin/sh
# Parquet: a duration goes from pandas to DuckDB 2.0.1 as a number without its unit, and back as twelve bytes without microseconds.
#
# Parquet has no type for an elapsed time. pyarrow 26.0.1 writes its duration as a plain 64-bit integer and keeps the type in metadata of
# its own, which DuckDB does not read: a stop of 5 minutes is a BIGINT there. Its unit is the writer's: pandas 2.3.3 writes
# nanoseconds, pandas 3.1.1 for the same line of code microseconds. Two years of stops, written before and after an update of
# pandas, are added up without complaint, and the older ones weigh a thousand times as much. The other way, DuckDB writes its INTERVAL
# as Parquet's INTERVAL, which ends at milliseconds: 1.9 ms of a cycle time become 1 ms, cut, not rounded, also where DuckDB
# itself reads the file; pyarrow and pandas get twelve bytes. Handed over in memory (Arrow) the same values pass unharmed. The
# remedy is a number with its unit in the name of the column.
#
# Needs Python. Seen: 300000000000 and 300000000 for 5 min; 0.0019 s reads as 0.001 s in DuckDB and 12 bytes in pandas.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 2.3.3 3.1.1; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install -q --disable-pip-version-check "pandas==$version" pyarrow==26.0.1 duckdb==2.0.1
  "$folder/$version/bin/python" - "$folder/stops-$version.parquet" <<'PY'
import sys

import pandas as pd

begin, end = pd.to_datetime(["2026-12-01 06:00"]), pd.to_datetime(["2026-12-01 06:05"])
pd.DataFrame({"stop": end - begin}).to_parquet(sys.argv[1])
PY
done
cat >"$folder/show.py" <<'PY'
import sys

import duckdb
import pandas as pd
import pyarrow as pa

folder = sys.argv[1]
base = duckdb.connect()
for version in ("2.3.3", "3.1.1"):
    path = f"{folder}/stops-{version}.parquet"
    value, kind = base.execute(f"select stop, typeof(stop) from '{path}'").fetchone()
    print(f"pandas {version}: {pd.read_parquet(path).stop[0]} in pandas, {value} {kind} in DuckDB")
print("both files added up:", base.execute(f"select sum(stop) from '{folder}/stops-*.parquet'").fetchone()[0])
cycle = pa.table({"cycle": pa.array([1900], pa.duration("us"))})
print("in memory:", *base.execute("select typeof(cycle), epoch(cycle) from cycle").fetchone(), "s")
base.execute(f"copy (select cycle from cycle) to '{folder}/cycle.parquet'")
print("from its own file:", *base.execute(f"select typeof(cycle), epoch(cycle) from '{folder}/cycle.parquet'").fetchone(), "s")
print("that file in pandas:", pd.read_parquet(f"{folder}/cycle.parquet").cycle[0].hex())
PY
seen=$("$folder/3.1.1/bin/python" "$folder/show.py" "$folder")
echo "$seen"
[ "$seen" = 'pandas 2.3.3: 0 days 00:05:00 in pandas, 300000000000 BIGINT in DuckDB
pandas 3.1.1: 0 days 00:05:00 in pandas, 300000000 BIGINT in DuckDB
both files added up: 300300000000
in memory: INTERVAL 0.0019 s
from its own file: INTERVAL 0.001 s
that file in pandas: 000000000000000001000000' ]
