#!/bin/sh
# InfluxDB 1.8.10: the mean of integers is made from a sum of 64 bits that wraps, the median from floats that round.
#
# Integer fields hold 64 bits, and InfluxQL documents mean and median as floats. Nanosecond times, as many devices send them
# beside their values, are integers of 1.8e18: the mean of five of them is right, that of six is negative, since their sum passes
# 2^63 before it is divided. No error, no null, no warning; GROUP BY hides it in some buckets only (those with many points).
# median takes floats first, so of two neighbours above 2^53 it gives a number below both; min, max and percentile stay exact.
#
# Needs Go, Python and some minutes to build. Seen: mean of five 1800000000000000000, of six -1274457345618258700, median
# of 9007199254740993 and 9007199254740995: 9007199254740992, percentile 100: 9007199254740995.
set -eu
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
(cd / && GOBIN=$folder GOFLAGS=-mod=mod go install github.com/influxdata/influxdb/cmd/influxd@v1.8.10 >/dev/null 2>&1)
cat >"$folder/show.py" <<'PY'
import json
import socket
import subprocess
import sys
import time
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

folder = sys.argv[1]
web = build_opener(ProxyHandler({}))


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


port = free()
with open(f"{folder}/conf", "w") as file:
    file.write(
        f'bind-address = "127.0.0.1:{free()}"\nreporting-disabled = true\n[meta]\ndir = "{folder}/meta"\n[data]\n'
        f'dir = "{folder}/data"\nwal-dir = "{folder}/wal"\n[http]\nbind-address = "127.0.0.1:{port}"\n[monitor]\nstore-enabled = false\n'
    )
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
server = subprocess.Popen([f"{folder}/influxd", "-config", f"{folder}/conf"], **quiet)


def ask(path, data=None, **parameters):
    with web.open(Request(f"http://127.0.0.1:{port}/{path}?{urlencode(parameters)}", data)) as answer:
        return answer.read()


def value(question):
    [series] = json.loads(ask("query", db="d", q=question))["results"][0]["series"]
    return series["values"][0][1]


for _ in range(200):
    try:
        ask("ping")
        break
    except OSError:
        time.sleep(0.1)
ask("query", b"", q="create database d")
times = "\n".join(f"five t=1800000000000000001i {at}" for at in range(5)) + "\n"
times += "\n".join(f"six t=1800000000000000001i {at}" for at in range(6)) + "\n"
ask("write", (times + "two n=9007199254740993i 1\ntwo n=9007199254740995i 2").encode(), db="d")
print("mean of five:", value("select mean(t) from five"))
print("mean of six:", value("select mean(t) from six"))
print("max of six:", value("select max(t) from six"))
print("median:", int(value("select median(n) from two")))
print("percentile 100:", value("select percentile(n, 100) from two"))
server.terminate()
server.wait()
PY
seen=$(python3 "$folder/show.py" "$folder")
echo "$seen"
[ "$seen" = 'mean of five: 1800000000000000000
mean of six: -1274457345618258700
max of six: 1800000000000000001
median: 9007199254740992
percentile 100: 9007199254740995' ]
