#!/bin/sh
# OPC UA: with a deadband, asyncua 2.1.0's server never reports a slow drift, nor that a sensor fails.
#
# OPC 10000-4 (1.04, 7.17.2): AbsoluteDeadband reports where the value differs by more than the deadband from the last one that was
# put into the queue, and a change of status is reported in any case (trigger Status/Value). asyncua compares each value with
# the one written just before it, whether that was reported or not. So a temperature that creeps from 20 to 60 in steps of 0.5
# under a deadband of 1 stays 20 at the subscriber, and so does a counter of pieces under a deadband of 1, for ever; a sudden jump alone
# arrives. A sensor that is cut (status Bad) is not reported either, and nor is the first good value after that: the comparison fails
# on the missing number inside the server, which writes that to its log. The subscriber keeps the last value as good. Read shows
# what is right all the while, and the same subscription without a filter reports all of it.
#
# Needs Python. Seen: with the deadband "20.0 200.0"; without it 20.0 and 79 more up to 60.0, Bad, 100.0, 200.0.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q --disable-pip-version-check asyncua==2.1.0
cat >"$folder/show.py" <<'PY'
import asyncio
import socket

from asyncua import Client, Server, ua

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    url = f"opc.tcp://127.0.0.1:{probe.getsockname()[1]}"


class Seen:
    def __init__(self):
        self.values = []
        self.jump = asyncio.Event()

    def datachange_notification(self, node, value, data):
        item = data.monitored_item.Value
        self.values.append(str(item.Value.Value) if item.StatusCode.is_good() else "Bad")
        if item.Value.Value == 200:
            self.jump.set()


async def main():
    server = Server()
    await server.init()
    server.set_endpoint(url)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace("urn:oven")
    node = await server.nodes.objects.add_variable(space, "temperature", 20.0)
    async with server, Client(url) as client:
        seen = {"with": Seen(), "without": Seen()}
        there = client.get_node(node.nodeid)
        await (await client.create_subscription(50, seen["with"])).deadband_monitor(there, 1.0)
        await (await client.create_subscription(50, seen["without"])).subscribe_data_change(there, queuesize=0)
        for step in range(1, 81):
            await node.write_value(20 + step * 0.5)
        cut = ua.DataValue(ua.Variant(60.0), ua.StatusCode(ua.StatusCodes.BadSensorFailure))
        for value in (cut, 100.0, 200.0):
            await node.write_value(value)
        for one in seen.values():
            await asyncio.wait_for(one.jump.wait(), 30)
        print("with a deadband of 1:", *seen["with"].values)
        values = seen["without"].values
        print("without:", values[0], f"and {len(values) - 5} more to", *values[-4:])


asyncio.run(main())
PY
seen=$("$folder/v/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
[ "$seen" = 'with a deadband of 1: 20.0 200.0
without: 20.0 and 79 more to 60.0 Bad 100.0 200.0' ]
