#!/bin/sh
# OPC UA: asked again for a notification that it no longer has, asyncua 2.1.0's server answers Good with an empty one.
#
# OPC 10000-4 (1.04, 5.13.5): Republish brings a notification that was lost on the way; where the server no longer has it, the answer is
# Bad_MessageNotAvailable, and for an unknown subscription Bad_SubscriptionIdInvalid. By that refusal a client knows that values are
# missing, and after a reconnection (6.7) that it has caught up. asyncua answers Good in each case, with sequence number 0 and no data:
# for a notification that was never sent, for one that was acknowledged long ago, and for a subscription that does not
# exist. So a client that fills its gaps takes the gap for filled, one whose subscription has expired meanwhile is not told that
# it is gone, and one that asks on until it is refused is never refused.
#
# Needs Python. Seen: never sent: Good, sequence number 0, 0 data; acknowledged: the same; unknown subscription: the same.
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
        self.values = asyncio.Queue()

    def datachange_notification(self, node, value, data):
        self.values.put_nowait(value)


async def main():
    server = Server()
    await server.init()
    server.set_endpoint(url)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace("urn:press")
    node = await server.nodes.objects.add_variable(space, "pieces", 0)
    async with server, Client(url) as client:
        seen = Seen()
        subscription = await client.create_subscription(50, seen)
        await subscription.subscribe_data_change(client.get_node(node.nodeid))
        for pieces in (1, 2, 3):  # each notification is acknowledged with the request for the next
            await asyncio.wait_for(seen.values.get(), 30)
            await node.write_value(pieces)
        await asyncio.wait_for(seen.values.get(), 30)
        for what, subscription_id, number in (
            ("never sent", subscription.subscription_id, 9999),
            ("acknowledged", subscription.subscription_id, 1),
            ("unknown subscription", 424242, 1),
        ):
            try:
                message = await subscription.server.republish(subscription_id, number)
            except ua.UaStatusCodeError as error:
                print(f"{what}: {type(error).__name__}")
            else:
                print(f"{what}: Good, sequence number {message.SequenceNumber}, {len(message.NotificationData)} data")


asyncio.run(main())
PY
seen=$("$folder/v/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
[ "$seen" = 'never sent: Good, sequence number 0, 0 data
acknowledged: Good, sequence number 0, 0 data
unknown subscription: Good, sequence number 0, 0 data' ]
