#!/bin/sh
# Modbus RTU: uModbus 1.0.4's slave answers at ticks of half a second, whatever the speed of the line.
#
# A frame ends with a silence of 3.5 characters, 2 ms at 19200 baud, and RTUServer sets its port's timeout so. serve_forever() then
# sets it to its own poll_interval of 0.5 s, and serve_once() reads until 256 bytes have come or that time is over. So a request
# waits until the half second that began with the last answer is over: a master that asks on gets two answers a second, and one
# that waits 300 ms, as many do, mostly gives up before. serve_forever(poll_interval=0.01) answers in 10 ms, and so does modbus-tk.
#
# Needs Python on Linux. Seen, asked 0.1 s after each answer: 0.4 s each of five times; with poll_interval=0.01 below 0.3 s each.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q "uModbus==1.0.4" "pyserial==3.5"
cat >"$folder/slave.py" <<'PY'
import sys

import serial
from umodbus.server.serial import get_server
from umodbus.server.serial.rtu import RTUServer

server = get_server(RTUServer, serial.Serial(sys.argv[1], 19200, timeout=1))


@server.route(slave_ids=[17], function_codes=[3], addresses=list(range(10)))
def read(slave_id, function_code, address):
    return address


print("up", flush=True)
server.serve_forever(**({"poll_interval": float(sys.argv[2])} if len(sys.argv) > 2 else {}))
PY
cat >"$folder/show.py" <<'PY'
import os
import pty
import subprocess
import sys
import time
import tty

REQUEST = bytes.fromhex("110300050001969b")
for settings, name in (([], "serve_forever()"), (["0.01"], "serve_forever(poll_interval=0.01)")):
    master, line = pty.openpty()
    tty.setraw(line)
    slave = subprocess.Popen([sys.executable, sys.argv[1], os.ttyname(line), *settings], stdout=subprocess.PIPE)
    assert slave.stdout.readline() == b"up\n"
    time.sleep(1)
    took_s = []
    for _ in range(6):
        began_s = time.monotonic()
        os.write(master, REQUEST)
        answer = b""
        while len(answer) < 7:
            answer += os.read(master, 7)
        assert answer[:5].hex() == "1103020005"
        took_s.append(time.monotonic() - began_s)
        time.sleep(0.1)
    slave.kill()
    took_s = took_s[1:]  # the first comes at any time of a tick
    print(f"{name}: {sum(0.3 < one_s < 1 for one_s in took_s)} of 5 answers took 0.3 to 1 s (median {sorted(took_s)[2]:.1f} s)")
PY
seen=$("$folder/v/bin/python" "$folder/show.py" "$folder/slave.py" 2>/dev/null)
echo "$seen"
[ "$(echo "$seen" | sed 's/ (median.*//')" = 'serve_forever(): 5 of 5 answers took 0.3 to 1 s
serve_forever(poll_interval=0.01): 0 of 5 answers took 0.3 to 1 s' ]
