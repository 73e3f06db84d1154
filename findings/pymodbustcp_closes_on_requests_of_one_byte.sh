#!/bin/sh
# Modbus: pyModbusTCP 0.3.1's server closes the connection where a request consists of its function code alone.
#
# Modbus Application Protocol 1.1b3 has four such requests: 7 (read exception status), 11 and 12 (communication events) and 17
# (report server id), with which scanners and diagnostic tools ask who is there. A server without them answers with exception 1,
# as pyModbusTCP does for longer ones (8, 20, 43). Here a length of 2 in the header counts as damaged ("MBAP length must be between 2
# and 256", tested as 2 < length), and the connection ends without an answer. So asking a plant's devices for their names costs
# the connection, and the device looks as if it had no place for another client.
#
# Needs Python. Seen: 7, 11, 12, 17 closed; 8 answered 88 01; 3 answered.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q "pyModbusTCP==0.3.1"
cat >"$folder/show.py" <<'PY'
import socket
import struct

from pyModbusTCP.server import ModbusServer

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
server = ModbusServer("127.0.0.1", port, no_block=True)
server.start()
for pdu in (b"\x03\0\0\0\1", b"\x08\0\0\x12\x34", b"\x07", b"\x0b", b"\x0c", b"\x11"):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(struct.pack(">HHHB", 1, 0, len(pdu) + 1, 1) + pdu)
        try:
            answer = client.recv(260)
        except ConnectionResetError:
            answer = b""
        print(f"asked {pdu[0]}, {'answered ' + answer[7:].hex(' ') if answer else 'closed'}")
server.stop()
PY
seen=$("$folder/v/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
[ "$seen" = 'asked 3, answered 03 02 00 00
asked 8, answered 88 01
asked 7, closed
asked 11, closed
asked 12, closed
asked 17, closed' ]
