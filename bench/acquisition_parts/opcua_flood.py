"""An OPC UA server that reports 500 changes forty times a second, cheap enough never to be the bottleneck.

    opcua_flood.py PORT RATE_PER_S

asyncua's server handles the session until a subscription exists; then publications encoded once, two sets of
values alternating, are sent whenever they are due and the client has requested them. Ended by SIGTERM it prints JSON:
notifications sent, and the largest lag in publications in the first and in the last third: a client that cannot keep
up requests too rarely, and the lag grows.
"""

import asyncio
import json
import logging
import signal
import struct
import sys
import time
from datetime import UTC, datetime

from asyncua import Server, ua
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_to_binary

ITEMS = 500
URI = "urn:nhip:bench"
HANDLE_AT = 12  # of a response: its type (4 bytes) and a time (8) come first
SETTLE_S = 3.0


def publication(subscription, number):
    """A response with a value for each item."""
    now = datetime.now(UTC)
    items = [
        ua.MonitoredItemNotification(item, ua.DataValue(ua.Variant(item + number / 7), SourceTimestamp=now))
        for item in range(ITEMS)
    ]
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = subscription
    response.Parameters.NotificationMessage.SequenceNumber = number + 1
    response.Parameters.NotificationMessage.NotificationData = [ua.DataChangeNotification(items)]
    return bytearray(struct_to_binary(response))


class Flood:
    """The subscribed client and what was sent to it. behind: (seconds since the start, publications)."""

    def __init__(self, rate_per_s):
        self.rate_per_s, self.sent, self.behind = rate_per_s, 0, []
        self.processor = self.subscription = None
        self.subscribed = asyncio.Event()

    async def run(self):
        await self.subscribed.wait()
        await asyncio.sleep(SETTLE_S)
        ready = [publication(self.subscription, number) for number in (0, 1)]
        began_s = time.monotonic()
        while True:
            await asyncio.sleep(0.002)
            due = int((time.monotonic() - began_s) * self.rate_per_s / ITEMS)
            self.behind.append((time.monotonic() - began_s, due - self.sent))
            while self.sent < due and self.processor._publish_requests:
                request = self.processor._publish_requests.popleft()
                body = ready[self.sent % 2]
                struct.pack_into("<I", body, HANDLE_AT, request.requesthdr.RequestHandle)
                data = self.processor._connection.message_to_binary(
                    bytes(body), message_type=ua.MessageType.SecureMessage, request_id=request.seqhdr.RequestId
                )
                self.processor._transport.write(data)
                self.sent += 1

    def report(self):
        end_s = self.behind[-1][0] if self.behind else 0.0
        thirds = [[lag for at_s, lag in self.behind if low <= at_s / end_s < high]
                  for low, high in ((0.0, 1 / 3), (2 / 3, 1.0))] if end_s else [[0], [0]]  # fmt: skip
        return {
            "notifications_per_s": round(self.sent * ITEMS / end_s) if end_s else 0,
            "behind_first_third": max(thirds[0]),
            "behind_last_third": max(thirds[1]),
        }


async def main(port, rate_per_s):
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    flood = Flood(rate_per_s)
    ask = UaProcessor.get_publish_request

    def seen(self, subscription):
        flood.processor, flood.subscription = self, subscription
        flood.subscribed.set()
        return ask(self, subscription)

    UaProcessor.get_publish_request = seen
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(URI)
    machine = await server.nodes.objects.add_object(index, "M")
    for item in range(ITEMS):
        await machine.add_variable(ua.NodeId(f"v{item}", index), f"v{item}", float(item))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with server:
        print("up", flush=True)
        task = asyncio.create_task(flood.run())
        await ended.wait()
        task.cancel()
    print(json.dumps(flood.report()), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
