#!/bin/sh
# Modbus: jsmodbus 5.0.0's server answers a read past its last register with what is left, and does not answer unknown functions at all.
#
# Modbus Application Protocol 1.1b3 (6.3, 7): a read that ends behind the last register is refused with exception 2, an unknown function
# with exception 1. Of a server with 100 registers five from 98 on come back as two and one from 100 as none, both as success, "03 00".
# pymodbus 3.16.1's client takes that: no error, a list that is shorter than asked, so a program that unpacks it stops, and one that
# reads to the end by trying addresses, as a scan for a device's size does, never meets an end. A write past the end is refused
# rightly. Functions 22 (mask write), 23 (read/write) and 24 get neither an answer nor an exception, so a client that asks whether a
# device knows them waits for its timeout and reports a broken line. This is the server in which devices are simulated in Node.js.
#
# Needs Node.js and Python. Seen: five at 98: 1098 1099; one at 100: none, no error; write at 98 refused (2); 22, 23, 24: silence.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q --disable-pip-version-check pymodbus==3.16.1
(cd "$folder" && npm init -y >/dev/null && npm install --silent --no-fund --no-audit jsmodbus@5.0.0 >/dev/null)
cat >"$folder/server.js" <<'JS'
const net = require("net");
const { server } = require("jsmodbus");

const listener = new net.Server();
const device = new server.TCP(listener, { holding: Buffer.alloc(200) });
for (let register = 0; register < 100; register++) device.holding.writeUInt16BE(1000 + register, register * 2);
listener.listen(0, "127.0.0.1", () => console.log(listener.address().port));
JS
cat >"$folder/show.py" <<'PY'
import asyncio
import struct
import subprocess
import sys

from pymodbus.client import AsyncModbusTcpClient


async def raw(port, *pdu):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(struct.pack(">HHHB", 1, 0, len(pdu) + 1, 1) + bytes(pdu))
    try:
        return (await asyncio.wait_for(reader.read(300), 3))[7:].hex(" ")
    except TimeoutError:
        return "silence"
    finally:
        writer.close()


async def show(port):
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    for address, count in ((98, 2), (98, 5), (100, 1), (5000, 4)):
        answer = await client.read_holding_registers(address, count=count)
        print(f"read {count} at {address}: error {answer.isError()}, {answer.registers}")
    answer = await client.write_registers(98, [1, 2, 3])
    print("write 3 at 98: exception", answer.exception_code)
    client.close()
    for name, pdu in (("22", (22, 0, 5, 0, 0xF2, 0, 0x25)), ("23", (23, 0, 5, 0, 1, 0, 5, 0, 1, 2, 0, 9)), ("24", (24, 0, 5)), ("43", (43, 14, 1, 0))):
        print(f"function {name}:", await raw(port, *pdu))


server = subprocess.Popen(["node", f"{sys.argv[1]}/server.js"], stdout=subprocess.PIPE, text=True)
try:
    asyncio.run(show(int(server.stdout.readline())))
finally:
    server.kill()
PY
seen=$("$folder/v/bin/python" "$folder/show.py" "$folder" 2>/dev/null)
echo "$seen"
[ "$seen" = 'read 2 at 98: error False, [1098, 1099]
read 5 at 98: error False, [1098, 1099]
read 1 at 100: error False, []
read 4 at 5000: error False, []
write 3 at 98: exception 2
function 22: silence
function 23: silence
function 24: silence
function 43: ab 0e 01' ]
