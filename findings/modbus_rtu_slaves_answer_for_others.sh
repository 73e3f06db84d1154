#!/bin/sh
# Modbus RTU: the slaves of pymodbus 3.16.1 and uModbus 1.0.4 answer what is asked of other slaves on the line, and broadcasts.
#
# MODBUS over Serial Line 1.02 (2.1, 2.2): the slave whose address is in the request answers, the others stay silent, and nobody
# answers a broadcast. Slave 17 is asked here, then slave 40, which is not there, is asked, then a register is written by broadcast
# (unit 0). pymodbus answers for slave 40 with exception 4 and uModbus with exception 2, each in slave 40's name, and both refuse the
# broadcast in the name of unit 0. On a line with a real slave 40 two answers collide, and the master reads noise of slave 40.
# uModbus also answers slave 40's answer, as though it were a request; pymodbus stays silent to that, and to the next request to it.
# modbus-tk 1.1.5 does it rightly: silence, and the broadcast is obeyed. (pymodbus has an option ignore_missing_devices, off.)
#
# Needs Python on Linux. Seen, for slave 17, slave 40, an answer of slave 40, slave 17 again, broadcast:
# pymodbus 11 03 02 00 05, 28 83 04, nothing, nothing, 00 86 04; uModbus 11 03 02 00 05, 28 83 02, 28 83 04, 11 03 02 00 05, 00 86 02;
# modbus-tk 11 03 02 00 05, nothing, nothing, 11 03 02 00 05, nothing. (Checksums are left out.)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q "pymodbus==3.16.1" "uModbus==1.0.4" "modbus-tk==1.1.5" "pyserial==3.5"
cat >"$folder/slave.py" <<'PY'
import asyncio
import sys

make, path = sys.argv[1:]


def port():
    import serial

    return serial.Serial(path, 19200, timeout=1)


if make == "pymodbus":
    from pymodbus.server import ModbusSerialServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    async def main():
        device = SimDevice(17, simdata=[SimData(0, values=list(range(10)), datatype=DataType.REGISTERS)])
        server = ModbusSerialServer(device, port=path, baudrate=19200)
        await server.serve_forever(background=True)
        print("up", flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
elif make == "uModbus":
    from umodbus.server.serial import get_server
    from umodbus.server.serial.rtu import RTUServer

    server = get_server(RTUServer, port())

    @server.route(slave_ids=[17], function_codes=[3], addresses=list(range(10)))
    def read(slave_id, function_code, address):
        return address

    print("up", flush=True)
    server.serve_forever()
else:
    from modbus_tk import defines, modbus_rtu

    server = modbus_rtu.RtuServer(port())
    slave = server.add_slave(17)
    slave.add_block("h", defines.HOLDING_REGISTERS, 0, 10)
    slave.set_values("h", 0, list(range(10)))
    server.start()
    print("up", flush=True)
    asyncio.run(asyncio.Event().wait())
PY
cat >"$folder/show.py" <<'PY'
import os
import pty
import select
import struct
import subprocess
import sys
import time
import tty


def with_crc(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return data + crc.to_bytes(2, "little")


FRAMES = (struct.pack(">BBHH", 17, 3, 5, 1), struct.pack(">BBHH", 40, 3, 5, 1), bytes([40, 3, 2, 0, 5]),
          struct.pack(">BBHH", 17, 3, 5, 1), struct.pack(">BBHH", 0, 6, 9, 1))
for make in ("pymodbus", "uModbus", "modbus-tk"):
    master, line = pty.openpty()
    tty.setraw(line)
    slave = subprocess.Popen([sys.executable, sys.argv[1], make, os.ttyname(line)], stdout=subprocess.PIPE)
    assert slave.stdout.readline() == b"up\n"
    time.sleep(1)
    said = []
    for frame in FRAMES:
        os.write(master, with_crc(frame))
        answer, wait_s = b"", 4
        while select.select([master], [], [], wait_s)[0]:
            answer, wait_s = answer + os.read(master, 256), 0.5
        said.append(answer[:-2].hex(" ") or "nothing")
    print(f"{make}: {', '.join(said)}")
    slave.kill()
PY
seen=$("$folder/v/bin/python" "$folder/show.py" "$folder/slave.py" 2>/dev/null)
echo "$seen"
[ "$seen" = 'pymodbus: 11 03 02 00 05, 28 83 04, nothing, nothing, 00 86 04
uModbus: 11 03 02 00 05, 28 83 02, 28 83 04, 11 03 02 00 05, 00 86 02
modbus-tk: 11 03 02 00 05, nothing, nothing, 11 03 02 00 05, nothing' ]
