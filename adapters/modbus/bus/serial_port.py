"""A serial port of this machine as a channel."""

import asyncio
import contextlib
import errno
import termios

import serial
from serial.rs485 import RS485Settings

from adapters.contract import DeviceMisconfigured, NotConnected
from adapters.modbus.bus.channel import Channel
from adapters.modbus.model import ModbusRtuDevice

_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


def open_serial(device: ModbusRtuDevice) -> Channel:
    """A channel through a port of this machine, opened exclusively. Raises `NotConnected`, `DeviceMisconfigured`."""
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
            raise _forbidden(device.port) from error
        raise NotConnected(f"{device.port}: {_reason(error)}") from error
    except (termios.error, ValueError) as error:
        settings = f"{device.baud} baud, parity {device.parity}, {device.stop_bits} stop bits"
        raise DeviceMisconfigured(f"{device.port} cannot do {settings} ({error})") from error
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
        raise DeviceMisconfigured(
            f"{device.port}: this port cannot switch RS-485 itself; leave out rs485 ({error})"
        ) from error


def _forbidden(port: str) -> DeviceMisconfigured:
    return DeviceMisconfigured(
        f"{port}: no permission; add the user to the group that owns it (dialout)", elsewhere=True
    )


def _reason(error: serial.SerialException) -> str:
    if error.errno == errno.ENOENT:
        return "there is no such port; is the adapter plugged in? (ls /dev/serial/by-id)"
    if "exclusively lock" in str(error):
        return "another program uses this port"
    return str(error)


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
            self._channel.connection_lost(error)
