#!/bin/sh
# MQTT 5: mochi-mqtt 2.7.9 sends what it kept for an absent client under a topic alias of the connection that is gone.
#
# MQTT 5 (3.3.2.3.4): an alias holds for one network connection; a new one begins without any. mochi replaces the topic by the alias
# when a message goes into a session's queue, also while its client is away, by the aliases of its last connection. After the
# reconnection (Clean Start 0, Session Present 1) each message on a topic that was seen before arrives with an empty topic and an
# alias that this connection has never heard of; the name of its topic is nowhere. A client has to end the connection as a protocol
# error, and the same happens again at the next; one that is less strict has a value without a topic. So it hits just those who
# asked for both, few bytes (Topic Alias Maximum) and nothing lost (Session Expiry Interval), at the first gap in the network.
# Without Topic Alias Maximum the same message comes with its topic.
#
# Needs Go and Python. Seen: online "line/1/count" alias 1; kept while away and delivered "" alias 1; without aliases "line/1/count".
set -eu
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cat >"$folder/main.go" <<'GO'
package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(new(auth.AllowHook), nil); err != nil {
		panic(err)
	}
	if err := server.AddListener(listeners.NewNet("tcp", listener)); err != nil {
		panic(err)
	}
	if err := server.Serve(); err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	os.Stdin.Read(make([]byte, 1))
}
GO
(cd "$folder" && go mod init findings/mochi && go get github.com/mochi-mqtt/server/v2@v2.7.9 && go mod tidy && go build -o broker .) >/dev/null 2>&1
cat >"$folder/show.py" <<'PY'
import socket
import subprocess
import sys

broker = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
port = int(broker.stdout.readline())
MESSAGE_EXPIRY, TOPIC_ALIAS = 0x02, 0x23


def text(word):
    return len(word).to_bytes(2) + word.encode()


class Client:
    def __init__(self, name, clean, aliases=0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.stream = self.socket.makefile("rb")
        properties = b"\x11" + (3600).to_bytes(4) + (b"\x22" + aliases.to_bytes(2) if aliases else b"")
        self.send(0x10, text("MQTT") + bytes([5, 2 * clean, 0, 60, len(properties)]) + properties + text(name))
        self.present = self.packet(0x20)[0]

    def send(self, head, body):
        self.socket.sendall(bytes([head, len(body)]) + body)

    def packet(self, kind):
        while True:
            head = self.stream.read(1)[0]
            body = self.stream.read(self.stream.read(1)[0])
            if head & 0xF0 == kind:
                return body

    def subscribe(self, topic):
        self.send(0x82, b"\x00\x01\x00" + text(topic) + b"\x01")
        self.packet(0x90)

    def publish(self, topic, payload):
        self.send(0x32, text(topic) + b"\x00\x01\x00" + payload)
        self.packet(0x40)

    def receive(self):
        """The topic and the alias of the next message, which is acknowledged."""
        body = self.packet(0x30)
        topic, rest = body[2 : 2 + int.from_bytes(body[:2])].decode(), body[2 + int.from_bytes(body[:2]) :]
        self.send(0x40, rest[:2])
        properties, payload, alias = rest[3 : 3 + rest[2]], rest[3 + rest[2] :], 0
        while properties:
            size = {MESSAGE_EXPIRY: 4, TOPIC_ALIAS: 2}[properties[0]]
            if properties[0] == TOPIC_ALIAS:
                alias = int.from_bytes(properties[1:3])
            properties = properties[1 + size :]
        return f"{payload.decode()}: topic {topic!r}, alias {alias}"

    def leave(self):
        self.send(0xE0, b"")
        assert self.stream.read() == b""  # the broker has seen it
        self.socket.close()


line = Client("line", 1)
for aliases in (10, 0):
    name = f"reader{aliases}"
    reader = Client(name, 1, aliases)
    reader.subscribe("line/#")
    line.publish("line/1/count", b"online")
    print(f"aliases {aliases}:", reader.receive())
    reader.leave()
    line.publish("line/1/count", b"away")
    reader = Client(name, 0, aliases)
    print(f"aliases {aliases}, session present {reader.present}:", reader.receive())
    reader.leave()
broker.kill()
PY
seen=$(python3 "$folder/show.py" "$folder/broker")
echo "$seen"
[ "$seen" = "aliases 10: online: topic 'line/1/count', alias 1
aliases 10, session present 1: away: topic '', alias 1
aliases 0: online: topic 'line/1/count', alias 0
aliases 0, session present 1: away: topic 'line/1/count', alias 0" ]
