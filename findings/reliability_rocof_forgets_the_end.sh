#!/bin/sh
# Statistics: reliability 0.9.0 (PyPI) reports a worse MTBF for a machine that ran on without failures after its last one.
#
# ROCOF() takes test_end where the watching went on after the last failure, as it does in any look at a running machine. Laplace's
# trend test uses it rightly. Where there is no trend, the rate of failures should be failures / time watched; but the function
# divides (failures + 1) by the time of the LAST FAILURE. Five failures at 900, 2100, 2900, 4100 and 5000 h: watched to 5000 h,
# 0.001 per h, MTBF 1000 h, right; watched to 6000 h without a further failure, 0.0012 per h and 833 h, where 5 / 6000 h, that
# is 1200 h, are right. The result is the same for any test_end that leaves no trend. With few failures, as after a week or a
# repair, it is far off: one failure after the first of 30 days gives an MTBF of half a day.
#
# Needs Python. Seen: until 5000 h 1000 h, until 5500 h and 6000 h 833 h each (right: 1100 and 1200 h).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q --disable-pip-version-check reliability==0.9.0
cat >"$folder/show.py" <<'PY'
from reliability.Repairable_systems import ROCOF

failures_h = [900.0, 2100.0, 2900.0, 4100.0, 5000.0]
for end_h in (None, 5500.0, 6000.0):
    result = ROCOF(failure_times=list(failures_h), test_end=end_h, show_plot=False, print_results=False)
    right = len(failures_h) / (end_h or failures_h[-1])
    print(f"watched until {end_h or failures_h[-1]:.0f} h: trend {result.trend}, MTBF {1 / result.ROCOF:.0f} h, right {1 / right:.0f} h")
PY
seen=$(MPLBACKEND=Agg "$folder/v/bin/python" "$folder/show.py")
echo "$seen"
[ "$seen" = 'watched until 5000 h: trend constant, MTBF 1000 h, right 1000 h
watched until 5500 h: trend constant, MTBF 833 h, right 1100 h
watched until 6000 h: trend constant, MTBF 833 h, right 1200 h' ]
