#!/bin/sh
# MQTT: paho-mqtt 2.2.0 sends an unacknowledged publish again as a duplicate of a session that the broker has just refused to know.
#
# MQTT 5 (3.2.2.1.1, MQTT-3.2.2-5): a client that receives Session Present 0 must discard its session state; DUP 1 says that the
# same packet was sent before in this session. Here the client connects with Clean Start 1 and Session Expiry Interval 0 each
# time, loses the connection between PUBLISH and PUBACK, comes back, reads Session Present 0, and sends the old packet with DUP 1
# and its old packet identifier. A broker that follows duplicates by session meets one without an original; and whoever asked
# for a clean start, in order to decide for himself what to send again, sends it twice.
#
# Needs Python. Seen: the second connection gets DUP 1 and the first one's packet identifier.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q "paho-mqtt==2.2.0"
cat >"$folder/show.py" <<'PY'
import socket
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

listener = socket.create_server(("127.0.0.1", 0))
over = threading.Event()


def packet(stream):
    head = stream.read(1)[0]
    length, shift = 0, 0
    while True:
        byte = stream.read(1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return head, stream.read(length)


def broker():
    """Takes the publish of the first connection and ends it before its acknowledgement; begins a new session for the second."""
    for number in (1, 2):
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            _, connect = packet(stream)
            clean = connect[7] >> 1 & 1
            connection.sendall(b"\x20\x03\x00\x00\x00")  # CONNACK: Session Present 0, Success, no properties
            head, body = packet(stream)
            topic_bytes = int.from_bytes(body[:2])
            identifier = int.from_bytes(body[2 + topic_bytes : 4 + topic_bytes])
            print(f"connection {number}: Clean Start {clean}; PUBLISH, QoS {head >> 1 & 3}, DUP {head >> 3 & 1}, packet identifier {identifier}")
    over.set()


threading.Thread(target=broker, daemon=True).start()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "c", protocol=mqtt.MQTTv5)
client.reconnect_delay_set(1, 1)
expiry = Properties(PacketTypes.CONNECT)
expiry.SessionExpiryInterval = 0
client.connect("127.0.0.1", listener.getsockname()[1], clean_start=True, properties=expiry)
client.publish("t", b"x", qos=1)
client.loop_start()
over.wait(60)
client.loop_stop()
PY
seen=$("$folder/v/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
[ "$seen" = 'connection 1: Clean Start 1; PUBLISH, QoS 1, DUP 0, packet identifier 1
connection 2: Clean Start 1; PUBLISH, QoS 1, DUP 1, packet identifier 1' ]
