#!/bin/sh
# DuckDB 2.0.1 (Linux): reading one's own open database file, for a copy or a checksum, releases its lock.
#
# DuckDB keeps other processes out of a file with a POSIX record lock. Such a lock belongs to the process, not to the
# handle: when the process closes ANY handle of that file, the lock is gone, silently. So a program that opens its own
# database file as plain bytes while it is connected (a backup, a size check that reads the header, a hash) lets a second
# process open the same file for writing, which DuckDB refused a moment before.
#
# Seen: "before: refused", "after: opened".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check duckdb==2.0.1
cat >"$folder/show.py" <<'PY'
import subprocess
import sys

import duckdb

path = sys.argv[1] + "/facts.duckdb"
SECOND = """
import sys, duckdb
try:
    duckdb.connect(sys.argv[1]).close()
    print("opened")
except duckdb.IOException as error:
    print("refused" if "Conflicting lock" in str(error) else error)
"""


def second():
    done = subprocess.run([sys.executable, "-c", SECOND, path], capture_output=True, text=True, check=True)
    return done.stdout.strip()


connection = duckdb.connect(path)
connection.execute("CREATE TABLE facts AS SELECT 1 AS pieces")
print("before:", second())
with open(path, "rb") as file:  # what a backup does
    file.read(4096)
print("after:", second())
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" "$folder")
echo "$seen"
[ "$seen" = "before: refused
after: opened" ]
