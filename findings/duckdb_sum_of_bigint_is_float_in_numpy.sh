#!/bin/sh
# DuckDB 2.0.1 with NumPy 2.4.6: an exact sum of BIGINT arrives in NumPy and pandas as float64 and is rounded.
#
# sum() of a BIGINT column has the type HUGEINT (128 bits), so that it cannot overflow. NumPy has no such type, and
# fetchnumpy() and df() convert to float64 silently: sums above 2^53 lose their last digits, although each would fit
# int64. fetchall() and Arrow give the exact number. The remedy is a cast in the query: sum(x)::BIGINT.
#
# Seen: HUGEINT; fetchall 9007199254740993; fetchnumpy float64 9007199254740992; with a cast int64 9007199254740993.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check duckdb==2.0.1 numpy==2.4.6
cat >"$folder/show.py" <<'PY'
import duckdb

duckdb.sql("CREATE TABLE facts AS SELECT unnest([9007199254740992, 1])::BIGINT AS ideal_us")
exact = duckdb.sql("SELECT sum(ideal_us) AS s FROM facts")
print(exact.types[0])
print("fetchall", exact.fetchall()[0][0])
column = duckdb.sql("SELECT sum(ideal_us) AS s FROM facts").fetchnumpy()["s"]
print("fetchnumpy", column.dtype, int(column[0]))
column = duckdb.sql("SELECT sum(ideal_us)::BIGINT AS s FROM facts").fetchnumpy()["s"]
print("with a cast", column.dtype, int(column[0]))
PY
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
[ "$seen" = "HUGEINT
fetchall 9007199254740993
fetchnumpy float64 9007199254740992
with a cast int64 9007199254740993" ]
