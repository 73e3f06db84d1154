#!/bin/sh
# OPC UA: asyncua 2.1.0's server drops values from a full queue without the overflow bit, and always the oldest ones.
#
# OPC 10000-4 (1.04, 5.12.1.5): where a queue of more than one value overflows, the status of the value next to the gap carries
# the Overflow bit (0x480), so that a client knows that it has not seen everything, and DiscardOldest says which end is given up. Here
# ten values are written between two publishings into queues of three. asyncua delivers three of them with status 0 each, and with
# DiscardOldest False, by which an alarm's first value is kept, it delivers the last three all the same. So a client that counts cycles
# or reads a batch number for each piece misses seven of ten, and looking at the status, as one should, finds nothing.
# The server grants the queue size that was asked for, so that tells nothing either. node-opcua 2.182.2 sets the bit and obeys.
#
# Needs Python. Seen: for both ways 8, 9, 10 with status 0 (right: 8 with 0x480, 9, 10; and 1, 2, 10 with 0x480).
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
        self.first, self.last = asyncio.Event(), asyncio.Event()

    def datachange_notification(self, node, value, data):
        self.values.append(f"{value} ({data.monitored_item.Value.StatusCode.value:#x})")
        self.first.set()
        if value == 10:
            self.last.set()


async def main():
    server = Server()
    await server.init()
    server.set_endpoint(url)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace("urn:press")
    node = await server.nodes.objects.add_variable(space, "batch", 0)
    async with server, Client(url) as client:
        seen = {True: Seen(), False: Seen()}
        for discard_oldest, one in seen.items():
            subscription = await client.create_subscription(3000, one)
            request = ua.MonitoredItemCreateRequest()
            request.ItemToMonitor.NodeId = node.nodeid
            request.ItemToMonitor.AttributeId = ua.AttributeIds.Value
            request.MonitoringMode = ua.MonitoringMode.Reporting
            request.RequestedParameters.ClientHandle = 1
            request.RequestedParameters.QueueSize = 3
            request.RequestedParameters.DiscardOldest = discard_oldest
            await subscription.create_monitored_items([request])
        for one in seen.values():
            await asyncio.wait_for(one.first.wait(), 30)
        for value in range(1, 11):
            await node.write_value(value)
        for discard_oldest, one in seen.items():
            await asyncio.wait_for(one.last.wait(), 30)
            print(f"DiscardOldest {discard_oldest}:", *one.values[1:])


asyncio.run(main())
PY
seen=$("$folder/v/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
[ "$seen" = 'DiscardOldest True: 8 (0x0) 9 (0x0) 10 (0x0)
DiscardOldest False: 8 (0x0) 9 (0x0) 10 (0x0)' ]
