"""Modbus servers of other makes, as processes of their own: `modbus_makes.py MAKE PORT FILE`. PORT: a TCP port of this machine,
or the path of a serial port for RTU at 19200 8N1.

FILE holds one cell in each line, `UNIT TABLE ADDRESS VALUE`, where the table is holding, input, coil or discrete, or `fails`: a
read that touches this holding register is refused with the exception VALUE. Prints `up` when it listens; then takes lines of the
same form on standard input, and prints `done` for each. Each make serves what its own documentation shows to serve.
"""

import asyncio
import sys
import threading
from collections import defaultdict
from pathlib import Path

TABLES = ("coil", "discrete", "holding", "input")


class Cells(dict):
    """(unit, table) to address to value."""

    def __missing__(self, key):
        self[key] = {}
        return self[key]

    def put(self, line):
        unit, table, address, value = line.split()
        self[int(unit), table][int(address)] = int(value)

    def units(self):
        return sorted({unit for unit, _ in self})

    def runs(self, unit, table):
        """Addresses side by side, as (first address, values)."""
        found = []
        for address, value in sorted(self[unit, table].items()):
            if found and found[-1][0] + len(found[-1][1]) == address:
                found[-1][1].append(value)
            else:
                found.append((address, [value]))
        return found

    def refusal(self, unit, start, count):
        """The exception of a read of holding registers, 0 for none."""
        fails = self[unit, "fails"]
        return next((fails[at] for at in range(start, start + count) if at in fails), 0) if fails else 0


def on_lines(changed):
    """Calls with each line of standard input, until it ends."""
    for line in sys.stdin:
        changed(line)
        print("done", flush=True)


def serial_port(path):
    import serial

    return serial.Serial(path, 19200, timeout=1)


def pymodbus(port, cells):
    from pymodbus.constants import ExcCodes
    from pymodbus.server import ModbusSerialServer, ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    def device(unit):
        async def action(function, _start, address, count, _registers, _values):
            code = cells.refusal(unit, address, count) if function == 3 else 0
            return ExcCodes(code) if code else None

        def blocks(table):
            if table in {"coil", "discrete"}:
                return [SimData(at, values=[bool(bit) for bit in bits], datatype=DataType.BITS)
                        for at, bits in cells.runs(unit, table)]  # fmt: skip
            return [SimData(at, values=values, datatype=DataType.REGISTERS) for at, values in cells.runs(unit, table)]

        return SimDevice(unit, simdata=tuple(map(blocks, TABLES)), action=action)

    async def main():
        devices = [device(unit) for unit in cells.units()]
        if isinstance(port, str):
            server = ModbusSerialServer(devices, port=port, baudrate=19200)
        else:
            server = ModbusTcpServer(devices, address=("127.0.0.1", port))
        await server.serve_forever(background=True)
        print("up", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            unit, table, address, value = line.split()
            assert table == "holding"
            await server.context.async_setValues(int(unit), 16, int(address), [int(value)])
            print("done", flush=True)

    asyncio.run(main())


def modbus_tk(port, cells):
    import modbus_tk.defines as cst
    from modbus_tk import hooks, modbus_rtu, modbus_tcp
    from modbus_tk.exceptions import ModbusError

    kinds = {
        "coil": cst.COILS,
        "discrete": cst.DISCRETE_INPUTS,
        "holding": cst.HOLDING_REGISTERS,
        "input": cst.ANALOG_INPUTS,
    }
    if isinstance(port, str):
        server = modbus_rtu.RtuServer(serial_port(port))
    else:
        server = modbus_tcp.TcpServer(port, address="127.0.0.1")
    slaves = {unit: server.add_slave(unit) for unit in cells.units()}
    names = defaultdict(dict)
    for unit, slave in slaves.items():
        for table, kind in kinds.items():
            for at, values in cells.runs(unit, table):
                slave.add_block(f"{table}{at}", kind, at, len(values))
                slave.set_values(f"{table}{at}", at, values)
                names[unit, table] |= dict.fromkeys(range(at, at + len(values)), f"{table}{at}")
    units = {slave: unit for unit, slave in slaves.items()}

    def refuse(given):
        slave, pdu = given
        code = cells.refusal(units[slave], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))
        if code:
            raise ModbusError(code)

    hooks.install_hook("modbus.Slave.handle_read_holding_registers_request", refuse)
    server.start()
    print("up", flush=True)

    def changed(line):
        unit, table, address, value = line.split()
        name = names[int(unit), table][int(address)]
        slaves[int(unit)].set_values(name, int(address), int(value))

    on_lines(changed)


def umodbus(port, cells):
    from socketserver import ThreadingTCPServer

    from umodbus import conf
    from umodbus.exceptions import error_code_to_exception_map
    from umodbus.server.serial import get_server as get_serial_server
    from umodbus.server.serial.rtu import RTUServer
    from umodbus.server.tcp import RequestHandler, get_server

    conf.SIGNED_VALUES = False
    ThreadingTCPServer.allow_reuse_address = ThreadingTCPServer.daemon_threads = True
    if isinstance(port, str):
        server = get_serial_server(RTUServer, serial_port(port))
    else:
        server = get_server(ThreadingTCPServer, ("127.0.0.1", port), RequestHandler)

    def serve(unit, table, function):
        there = {**cells[unit, table], **(cells[unit, "fails"] if table == "holding" else {})}

        @server.route(slave_ids=[unit], function_codes=[function], addresses=set(there))
        def read(slave_id, function_code, address):
            code = cells.refusal(unit, address, 1) if table == "holding" else 0
            if code:
                raise error_code_to_exception_map[code]
            return cells[unit, table][address]

    for unit in cells.units():
        for function, table in enumerate(TABLES, 1):
            serve(unit, table, function)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("up", flush=True)
    on_lines(cells.put)


def pymodbustcp(port, cells):
    """It has one memory for all units, and answers for each of them."""
    from pyModbusTCP.server import DataBank, DataHandler, ModbusServer

    (unit,) = cells.units()

    class Refusing(DataHandler):
        def read_h_regs(self, address, count, srv_info):
            code = cells.refusal(unit, address, count)
            return DataHandler.Return(exp_code=code) if code else super().read_h_regs(address, count, srv_info)

    size = {table: 1 + max((*cells[unit, table], *cells[unit, "fails"]), default=0) for table in TABLES}
    bank = DataBank(size["coil"], 0, size["discrete"], 0, size["holding"], 0, size["input"], 0)
    put = {"coil": bank.set_coils, "discrete": bank.set_discrete_inputs,
           "holding": bank.set_holding_registers, "input": bank.set_input_registers}  # fmt: skip
    for table, store in put.items():
        for at, values in cells.runs(unit, table):
            store(at, [bool(value) for value in values] if table in {"coil", "discrete"} else values)
    server = ModbusServer("127.0.0.1", port, no_block=True, data_hdl=Refusing(bank))
    server.start()
    print("up", flush=True)

    def changed(line):
        _, table, address, value = line.split()
        put[table](int(address), [int(value)])

    on_lines(changed)


if __name__ == "__main__":
    make, port, file = sys.argv[1:]
    filled = Cells()
    for text in Path(file).read_text(encoding="utf-8").splitlines():
        filled.put(text)
    {"pymodbus": pymodbus, "modbus-tk": modbus_tk, "uModbus": umodbus, "pyModbusTCP": pymodbustcp}[make](
        port if "/" in port else int(port), filled
    )
