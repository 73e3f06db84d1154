#!/bin/sh
# InfluxDB 1.8.10: a quotient of integers is a float in a query and is cut to an integer as soon as another query reads it.
#
# InfluxQL divides integers as floats: 45 of 60 minutes are 0.75. Put into a subquery, to take the mean over shifts or merely to
# read it, the same quotient has the type of its fields and loses its fraction: 0.75 is 0, 1.5 is 1. The mean of the availabilities
# 0.5, 0.75 and 1.5 is 0.33 instead of 0.92, with no error and no warning; max says 1. Quotients below one, as all ratios of an
# OEE are, become 0 altogether. Fields written as floats are right, and so is the quotient times 1.0; multiplied outside, it is too late.
#
# Needs Go, Python and some minutes to build. Seen: alone 0.5 0.75 1.5, read again 0 0 1, mean 0.333, of floats 0.917,
# times 1.0 inside 0.917, outside 0.333.
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
minutes = (30, 45, 90)
lines = [f"m run={run}i,planned=60i,run_f={run},planned_f=60 {at}" for at, run in enumerate(minutes, 1)]
ask("write", "\n".join(lines).encode(), db="d")


def column(question):
    [series] = json.loads(ask("query", db="d", q=question))["results"][0]["series"]
    return " ".join(f"{row[1]:.3g}" for row in series["values"])


print("alone:", column("select run / planned as q from m"))
print("read again:", column("select q from (select run / planned as q from m)"))
print("mean of it:", column("select mean(q) from (select run / planned as q from m)"))
print("of ratios of sums:", column("select mean(q) from (select sum(run) / sum(planned) as q from m group by time(1ns) fill(none))"))
print("of floats:", column("select mean(q) from (select run_f / planned_f as q from m)"))
print("times 1.0 inside:", column("select mean(q) from (select 1.0 * run / planned as q from m)"))
print("times 1.0 outside:", column("select mean(r) from (select 1.0 * q as r from (select run / planned as q from m))"))
server.terminate()
server.wait()
PY
seen=$(python3 "$folder/show.py" "$folder")
echo "$seen"
[ "$seen" = 'alone: 0.5 0.75 1.5
read again: 0 0 1
mean of it: 0.333
of ratios of sums: 0.333
of floats: 0.917
times 1.0 inside: 0.917
times 1.0 outside: 0.333' ]
