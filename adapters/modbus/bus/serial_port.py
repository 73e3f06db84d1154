"""A serial port of this machine as a channel."""

import asyncio
import contextlib
import errno
import termios

import serial
from serial.rs485 import RS485Settings

from adapters.modbus.bus.channel import Channel
from adapters.modbus.bus.faults import LostLine, PortUnusable
from adapters.modbus.model import ModbusRtuDevice

_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


def open_serial(device: ModbusRtuDevice) -> Channel:
    """A channel through a port of this machine, opened exclusively. Raises `LostLine`, `PortUnusable`."""
    try:
        port = serial.Serial(
            device.port,
            device.baud,
            parity=_PARITY[device.parity],
            stopbits=device.stop_bits,
            timeout=0,
            exclusive=True,
        )
    except serial.SerialException as error:
        if error.errno == errno.EACCES:
            cure = "cannot be opened: no permission; add the user to the group that owns it (dialout)"
            raise PortUnusable(device.port, cure, "serial_forbidden", elsewhere=True) from error
        raise LostLine(device.port, *_reason(error)) from error
    except (termios.error, ValueError) as error:
        settings = f"{device.baud} baud, parity {device.parity}, {device.stop_bits} stop bits"
        raise PortUnusable(device.port, f"cannot do {settings} ({error})", "serial_settings") from error
    try:
        _set_rs485(port, device)
        channel = Channel()
        channel.connection_made(_Reader(port, channel))
    except BaseException:
        port.close()
        raise
    return channel


def _set_rs485(port: serial.Serial, device: ModbusRtuDevice) -> None:
    rs485 = device.rs485
    if rs485 is None:
        return
    try:
        port.rs485_mode = RS485Settings(
            rts_level_for_tx=rs485.rts_while_sending,
            rts_level_for_rx=not rs485.rts_while_sending,
            delay_before_tx=rs485.delay_before_send or None,
            delay_before_rx=rs485.delay_after_send or None,
        )
    except (OSError, ValueError) as error:
        reason = f"cannot switch RS-485 itself; leave out rs485 ({error})"
        raise PortUnusable(device.port, reason, "serial_rs485") from error


def _reason(error: serial.SerialException) -> tuple[str, str]:
    """Why a port cannot be opened, as text and as a code of the message catalogue."""
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return "there is no such port; is the adapter plugged in? (ls /dev/serial/by-id)", "no_serial_port"
    if error.errno in {errno.EWOULDBLOCK, errno.EBUSY}:  # of the exclusive lock
        return "another program uses this port", "serial_busy"
    return str(error), "serial_lost"


class _Reader:
    """Passes the bytes that a port receives to a channel, and writes to it: the channel's transport."""

    def __init__(self, port: serial.Serial, channel: Channel) -> None:
        self._port, self._channel = port, channel
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(port.fileno(), self._readable)

    def write(self, data: bytes) -> None:
        """Writes a request; its eight bytes always fit into the driver's buffer."""
        self._port.write(data)

    def abort(self) -> None:
        """Frees the port."""
        if self._port.is_open:
            self._loop.remove_reader(self._port.fileno())
            with contextlib.suppress(OSError, termios.error):
                self._port.reset_output_buffer()
            with contextlib.suppress(OSError):
                self._port.close()

    def _readable(self) -> None:
        try:
            self._channel.data_received(self._port.read(4096))
        except OSError as error:  # the adapter was unplugged
            self.abort()
            self._channel.connection_lost(error, "serial_lost")
