#!/bin/sh
# MQTT 5: paho-mqtt 2.2.0 and mqtt.js 5.16.0 do not look at a broker's Receive Maximum, and gmqtt 0.8.0 takes 1 for 65535.
#
# MQTT 5 (3.2.2.3.3, 4.9, MQTT-3.3.4-7): a client must not have more QoS 1 and 2 messages without an acknowledgement than the CONNACK says;
# a broker may end the connection of one that does (0x93, receive maximum exceeded). Here 50 are published at once to a broker
# that acknowledges none of them yet. paho sends 20, its own max_inflight_messages, whatever is announced; mqtt.js all of
# them; gmqtt keeps to 5 by raising OverflowError (after four), but calls 1, that is one at a time, invalid in its log, and sends
# all. So with few messages all works, and after an outage, when much waits, a strict broker throws the client out; it comes back,
# sends the same again, and is thrown out again. With paho max_inflight_messages_set() by hand is the remedy.
#
# Needs Node.js and Python. Seen, for a Receive Maximum of 5 and of 1: paho 20 and 20, mqtt.js 50 and 50, gmqtt 4 and 50.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q --disable-pip-version-check paho-mqtt==2.2.0 gmqtt==0.8.0
(cd "$folder" && npm init -y >/dev/null && npm install --silent --no-fund --no-audit mqtt@5.16.0 >/dev/null)
cat >"$folder/publish.js" <<'JS'
const client = require("mqtt").connect(`mqtt://127.0.0.1:${process.argv[2]}`, { protocolVersion: 5, reconnectPeriod: 0 });

client.on("connect", () => {
  for (let number = 0; number < 50; number++) client.publish("line", "piece", { qos: 1 });
  client.publish("over", "");
});
client.on("close", () => process.exit(0));
JS
cat >"$folder/show.py" <<'PY'
import asyncio
import logging
import socket
import subprocess
import sys
import threading

import paho.mqtt.client as mqtt
from gmqtt import Client

folder = sys.argv[1]
logging.disable()


class Broker:
    """Announces a Receive Maximum and acknowledges nothing; counts until the publish of QoS 0 that comes last."""

    def __init__(self, receive_maximum):
        self.receive_maximum = receive_maximum
        self.count = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.over = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rb") as stream:
            self.packet(stream)
            connection.sendall(b"\x20\x06\x00\x00\x03\x21" + self.receive_maximum.to_bytes(2))
            while (head := self.packet(stream)) & 0xF6 != 0x30:
                self.count += head >> 4 == 3
        self.over.set()

    @staticmethod
    def packet(stream):
        head = stream.read(1)[0]
        length = shift = 0
        while True:
            byte = stream.read(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                stream.read(length)
                return head


def by_paho(broker):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "c", protocol=mqtt.MQTTv5)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    connected.wait(30)
    for _ in range(50):
        client.publish("line", b"piece", qos=1)
    client.publish("over", b"", qos=0)
    broker.over.wait(30)
    client.loop_stop()


def by_gmqtt(broker):
    async def go():
        client = Client("c")
        await client.connect("127.0.0.1", broker.port)
        try:
            for _ in range(50):
                client.publish("line", b"piece", qos=1)
        except OverflowError:
            pass
        client.publish("over", b"", qos=0)
        await asyncio.to_thread(broker.over.wait, 30)

    asyncio.run(go())


def by_mqtt_js(broker):
    subprocess.run(["node", f"{folder}/publish.js", str(broker.port)], timeout=60, check=True)


for publish in (by_paho, by_mqtt_js, by_gmqtt):
    counts = []
    for receive_maximum in (5, 1):
        broker = Broker(receive_maximum)
        publish(broker)
        broker.over.wait(30)
        counts.append(broker.count)
    print(f"{publish.__name__}: of 5 allowed {counts[0]}, of 1 allowed {counts[1]}")
PY
seen=$("$folder/v/bin/python" "$folder/show.py" "$folder" 2>/dev/null)
echo "$seen"
[ "$seen" = 'by_paho: of 5 allowed 20, of 1 allowed 20
by_mqtt_js: of 5 allowed 50, of 1 allowed 50
by_gmqtt: of 5 allowed 4, of 1 allowed 50' ]
