#!/bin/sh
# InfluxDB 1.8.10: InfluxQL divides by zero and calls it 0, which a mean takes for a real value, and a chart for the worst one.
#
# Neither null nor an error nor an infinity comes of it, for integers and for floats alike, and a remainder by zero is 0 too. A
# shift that was not planned, or an hour without a piece, is a ratio of nothing by nothing and has no value; here it is an OEE of 0 %,
# drawn among the others and counted by mean, min and alerts. Where the divisor is missing altogether the answer is null, so two
# gateways that say "nothing planned" in two ways (0, or no field) get two answers. Zero cannot be told from a real 0 afterwards.
#
# Needs Go, Python and some minutes to build. Seen: 30/60 is 0.5, 0/0 and 5/0 are 0, None without a divisor; the mean of the
# first three is 0.1667.
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
lines = ["m run=30,planned=60 1", "m run=0,planned=0 2", "m run=5,planned=0 3", "m run=5 4", "whole run=5i,planned=0i 1"]
ask("write", "\n".join(lines).encode(), db="d")


def column(question):
    [series] = json.loads(ask("query", db="d", q=question))["results"][0]["series"]
    return " ".join(str(row[1]) for row in series["values"])


print("each:", column("select run / planned from m"))
print("of integers:", column("select run / planned from whole"))
print("remainder:", column("select run % planned from whole"))
print("of sums:", column("select sum(run) / sum(planned) from whole"))
print("mean:", column("select mean(q) from (select run / planned as q from m where planned >= 0)"))
server.terminate()
server.wait()
PY
seen=$(python3 "$folder/show.py" "$folder")
echo "$seen"
[ "$seen" = 'each: 0.5 0 0 None
of integers: 0
remainder: 0
of sums: 0
mean: 0.16666666666666666' ]
