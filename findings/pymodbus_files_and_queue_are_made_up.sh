#!/bin/sh
# Modbus: pymodbus 3.16.1's server answers for files and queues that it does not have, and acknowledges what it does not keep.
#
# Modbus Application Protocol 1.1b3: a server without functions 20 and 21 (file records, where devices keep recipes and event logs) or 24
# (FIFO queue) answers with exception 1, without that file or queue with exception 2. pymodbus's server holds registers and coils
# only, yet takes all three: a write of file records is echoed, which means done, and dropped; a read of an even number of registers,
# of whatever file and record, gives ten registers with a text of its own, and an odd number is refused; a queue holds
# 0, 1, 2, 3 at every address, also where no register exists (function 3 is refused there with exception 2). So a program tried
# against this server passes with numbers that nobody wrote, and a gateway built on it, before a device that has files,
# confirms recipes into nothing. modbus-tk 1.1.5, uModbus 1.0.4 and pyModbusTCP 0.3.1 refuse all three with exception 1.
#
# Needs Python. Seen: a write of two registers acknowledged; then ten are read, "SERVER DUMMY RECORD."; queue at 999: 0 1 2 3.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q --disable-pip-version-check pymodbus==3.16.1
cat >"$folder/show.py" <<'PY'
import asyncio
import struct

from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import ModbusTcpServer


async def main():
    devices = ModbusDeviceContext(hr=ModbusSequentialDataBlock(1, [7] * 10))
    server = ModbusTcpServer(ModbusServerContext(devices=devices, single=True), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(*pdu):
        writer.write(struct.pack(">HHHB", 1, 0, len(pdu) + 1, 1) + bytes(pdu))
        length = struct.unpack(">HHHB", await reader.readexactly(7))[2]
        return await reader.readexactly(length - 1)

    def registers(count, *data):
        """So many registers of file 4 from record 1 on."""
        return (7 + len(data), 6, 0, 4, 0, 1, 0, count, *data)

    write = (0x15, *registers(2, 0x12, 0x34, 0x56, 0x78))
    print("write acknowledged:", await ask(*write) == bytes(write))
    answer = await ask(0x14, *registers(2))
    print(f"read two registers: {(answer[2] - 1) // 2}: {answer[4:].decode()}")
    print("read one register:", (await ask(0x14, *registers(1))).hex(" "))
    print("read of register 999:", (await ask(3, 999 >> 8, 999 & 255, 0, 1)).hex(" "))
    answer = await ask(0x18, 999 >> 8, 999 & 255)
    print("queue at 999:", *struct.unpack(f">{(len(answer) - 5) // 2}H", answer[5:]))
    writer.close()
    await server.shutdown()


asyncio.run(asyncio.wait_for(main(), 60))
PY
seen=$("$folder/v/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
[ "$seen" = 'write acknowledged: True
read two registers: 10: SERVER DUMMY RECORD.
read one register: 80 01
read of register 999: 83 02
queue at 999: 0 1 2 3' ]
