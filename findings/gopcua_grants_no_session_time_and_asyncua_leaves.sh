#!/bin/sh
# OPC UA: asyncua 2.1.0 leaves a gopcua 0.8.0 server after one second, because that server grants a session timeout of 0.
#
# OPC 10000-4 (1.04, 5.6.2): RevisedSessionTimeout is how long the server keeps a session open without activity; the server should come
# as near as it can to what the client asked for. gopcua answers 0 to whatever is asked, and keeps the session all the same.
# asyncua believes it: its watchdog reads the server's state and waits half a session timeout for the answer, that is 0 s, so the
# first look fails and the client ends a connection at which every read had been answered. Each library works with others.
#
# Needs Go and Python. Seen: asked 60000, granted 0; a read works at once; within some seconds "client is disconnected".
set -eu
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q "asyncua==2.1.0"
cat >"$folder/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/server"
	"github.com/gopcua/opcua/ua"
)

func main() {
	probe, _ := net.Listen("tcp", "127.0.0.1:0")
	port := probe.Addr().(*net.TCPAddr).Port
	probe.Close()
	s := server.New(server.EnableSecurity("None", ua.MessageSecurityModeNone), server.EnableAuthMode(ua.UserTokenTypeAnonymous), server.EndPoint("127.0.0.1", port))
	root, _ := s.Namespace(0)
	space := server.NewNodeNameSpace(s, "urn:x")
	root.Objects().AddRef(space.Objects(), id.HasComponent, true)
	node := space.AddNewVariableStringNode("there", int32(7))
	space.Objects().AddRef(node, id.HasComponent, true)
	if err := s.Start(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(port)
	os.Stdin.Read(make([]byte, 1))
}
GO
(cd "$folder" && go mod init findings/gopcua && go get github.com/gopcua/opcua@v0.8.0 && go mod tidy && go build -o server .) >/dev/null 2>&1
cat >"$folder/show.py" <<'PY'
import asyncio
import subprocess
import sys

from asyncua import Client


async def main():
    server = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        await show(int(server.stdout.readline()))
    finally:
        server.kill()


async def show(port):
    client = Client(f"opc.tcp://127.0.0.1:{port}", timeout=20)
    client.session_timeout = 60000
    await client.connect()
    print(f"asked for 60000 ms, granted {client.session_timeout:.0f}")
    node = client.get_node("ns=1;s=there")
    print("first read:", await node.read_value())
    for _ in range(20):
        await asyncio.sleep(0.5)
        try:
            await node.read_value()
        except ConnectionError as error:
            print("later:", error)
            return
    print("later: still connected")


asyncio.run(main())
PY
seen=$("$folder/v/bin/python" "$folder/show.py" "$folder/server" 2>/dev/null)
echo "$seen"
[ "$seen" = 'asked for 60000 ms, granted 0
first read: 7
later: client is disconnected' ]
