#!/bin/sh
# MQTT: mochi-mqtt 2.7.9 closes the connection at packets above its limit, a limit that it never tells.
#
# MQTT 5 (3.2.2.3.6): a server that takes no packet above a size says so in CONNACK as Maximum Packet Size; without it there is no
# limit beyond the protocol's, and a client may send what it has. A mochi broker with MaximumPacketSize 1000 names its Receive
# Maximum only, and ends the connection at a larger publish, without PUBACK and without DISCONNECT and its reason (0x95, packet too
# large). A client that repeats what was not acknowledged then repeats it for ever, and sees a bad line where there is a limit.
#
# Needs Go. Seen: CONNACK with Receive Maximum alone; 900 bytes are acknowledged (40 02 00 01); at 2000 the connection ends.
set -eu
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cat >"$folder/main.go" <<'GO'
package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

func connect(address string) (net.Conn, []byte) {
	connection, _ := net.Dial("tcp", address)
	connection.SetDeadline(time.Now().Add(20 * time.Second))
	connection.Write([]byte{0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0, 1, 'c'})
	head := make([]byte, 2)
	io.ReadFull(connection, head)
	rest := make([]byte, head[1])
	io.ReadFull(connection, rest)
	return connection, rest
}

func publish(bytes int) []byte {
	payload := []byte(strings.Repeat("x", bytes))
	body := append([]byte{0, 1, 't', 0, 1, 0}, payload...)
	return append([]byte{0x32, byte(len(body)&127 | 128), byte(len(body) >> 7)}, body...)
}

func main() {
	limits := mqtt.NewDefaultServerCapabilities()
	limits.MaximumPacketSize = 1000
	server := mqtt.New(&mqtt.Options{Capabilities: limits, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	server.AddHook(new(auth.AllowHook), nil)
	listener := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
	server.AddListener(listener)
	go server.Serve()
	time.Sleep(time.Second)
	connection, answer := connect(listener.Address())
	names := map[byte]string{0x11: "Session Expiry Interval", 0x12: "Assigned Client Identifier", 0x13: "Server Keep Alive", 0x21: "Receive Maximum", 0x22: "Topic Alias Maximum", 0x24: "Maximum QoS", 0x25: "Retain Available", 0x27: "Maximum Packet Size", 0x28: "Wildcard", 0x29: "Subscription Identifiers", 0x2a: "Shared"}
	told, at := []string{}, 3
	for at < len(answer) {
		id := answer[at]
		told = append(told, names[id])
		switch id {
		case 0x11, 0x27:
			at += 5
		case 0x13, 0x21, 0x22:
			at += 3
		default:
			at += 2
		}
	}
	fmt.Printf("CONNACK %d names: %s\n", answer[1], strings.Join(told, ", "))
	for _, bytes := range []int{900, 2000} {
		connection.Write(publish(bytes))
		got, _ := io.ReadAll(io.LimitReader(connection, 4))
		text := fmt.Sprintf("% x", got)
		if len(got) == 0 {
			text = "closed"
		}
		fmt.Printf("PUBLISH of %d bytes of payload: %s\n", bytes, text)
	}
}
GO
cd "$folder"
go mod init findings/mochi >/dev/null 2>&1
go get github.com/mochi-mqtt/server/v2@v2.7.9 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
seen=$(go run . 2>/dev/null)
echo "$seen"
[ "$seen" = 'CONNACK 0 names: Receive Maximum
PUBLISH of 900 bytes of payload: 40 02 00 01
PUBLISH of 2000 bytes of payload: closed' ]
