#!/bin/sh
# Modbus: pymodbus 3.16.1's server refuses a function that it does not know as function 0x80, whatever was asked.
#
# Modbus Application Protocol 1.1b3 (7): the exception response has the function code of the request with its highest bit set, so
# a refusal of function 100 (of those free for users, 5) begins with 0xE4. pymodbus answers `80 01` to 9, 65, 100 and 110 alike:
# function 0 was refused, which nobody asked. A client that matches a refusal with its request, as it must on a serial line, takes
# it for no answer, and waits. modbus-tk 1.1.5, uModbus 1.0.4 and pyModbusTCP 0.3.1 answer rightly: E4 01.
#
# Needs Python. Seen: asked 9, 65, 100, 110; answered 80 01 each time; functions that it knows are refused rightly (83 02).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q "pymodbus==3.16.1"
cat >"$folder/show.py" <<'PY'
import asyncio
import struct

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


async def main():
    device = SimDevice(1, simdata=[SimData(0, values=[1, 2, 3], datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.transport.sockets[0].getsockname()[1])
    requests = [bytes([3]) + struct.pack(">HH", 500, 1), *(bytes([function, 0]) for function in (9, 65, 100, 110))]
    for number, pdu in enumerate(requests, 1):
        writer.write(struct.pack(">HHHB", number, 0, len(pdu) + 1, 1) + pdu)
        transaction, _, length, _ = struct.unpack(">HHHB", await reader.readexactly(7))
        assert transaction == number
        print(f"asked {pdu[0]}, answered {(await reader.readexactly(length - 1)).hex(' ')}")
    writer.close()
    await server.shutdown()


asyncio.run(main())
PY
seen=$("$folder/v/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
[ "$seen" = 'asked 3, answered 83 02
asked 9, answered 80 01
asked 65, answered 80 01
asked 100, answered 80 01
asked 110, answered 80 01' ]
