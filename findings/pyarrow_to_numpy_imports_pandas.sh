#!/bin/sh
# pyarrow 26.0.1 with pandas 3.1.1 installed: handing one column of numbers to NumPy imports pandas, and so does making one.
#
# Array.to_numpy and numpy.asarray of an Array go through the code that converts to pandas, which loads pandas if it can be
# found, even for a column of integers without nulls that NumPy could have without a copy; pyarrow.array of a list of
# integers looks for it too. A program that
# reads Parquet into NumPy and never names pandas so takes some tens of megabytes and some hundred milliseconds more on a
# computer where somebody installed pandas for something else, and a check of its memory or start on a lean computer does not
# show it. numpy.from_dlpack gives the same column, without a copy and without pandas. (It has no truth values, which are bits
# in Arrow: cast them to uint8.)
#
# Needs Python. Seen (megabytes vary):
#   array of a list: pandas is imported, some tens of megabytes more
#   to_numpy: pandas is imported, some tens of megabytes more
#   asarray: pandas is imported, some tens of megabytes more
#   from_dlpack: pandas is not imported
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
cat >"$folder/show.py" <<'PY'
import resource
import sys

import numpy as np
import pyarrow as pa


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


WAYS = {
    "array of a list": lambda _: np.array([pa.array([1, 2, 3], pa.int64())[place].as_py() for place in range(3)]),
    "to_numpy": lambda column: column.to_numpy(zero_copy_only=True),
    "asarray": np.asarray,
    "from_dlpack": np.from_dlpack,
}
name = sys.argv[1]
column = pa.Array.from_buffers(pa.int64(), 3, [None, pa.py_buffer(np.array([1, 2, 3], np.int64).tobytes())])
before = megabytes()
assert "pandas" not in sys.modules
assert WAYS[name](column).tolist() == [1, 2, 3]
if "pandas" in sys.modules:
    more = megabytes() - before
    assert 10 < more < 200, more
    print(f"{name}: pandas is imported, some tens of megabytes more")
else:
    print(f"{name}: pandas is not imported")
PY
for way in "array of a list" to_numpy asarray from_dlpack; do "$folder/venv/bin/python" "$folder/show.py" "$way"; done >"$folder/seen"
cat "$folder/seen"
cat >"$folder/expected" <<'TEXT'
array of a list: pandas is imported, some tens of megabytes more
to_numpy: pandas is imported, some tens of megabytes more
asarray: pandas is imported, some tens of megabytes more
from_dlpack: pandas is not imported
TEXT
diff "$folder/expected" "$folder/seen"
