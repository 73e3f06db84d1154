#!/bin/sh
# OPC UA: gopcua 0.8.0's server lists no endpoint to a client that spells its address otherwise.
#
# OPC 10000-4 (1.04, 5.4.4): a client sends the URL by which it came; a server that does not know the host name in it should return a
# suitable default. Behind a NAT, a forwarded port, or a name in DNS, that is the usual case. gopcua compares the whole text with its
# own: by name instead of number, or with a slash at the end, the answer is Good with an empty list, and a client that looks for an
# endpoint with its security policy says that the server offers none.
#
# Needs Go and Python. Seen: 1 endpoint for opc.tcp://127.0.0.1:PORT, 0 with a slash, 0 for localhost.
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
    for text in (f"127.0.0.1:{port}", f"127.0.0.1:{port}/", f"localhost:{port}"):
        found = await Client(f"opc.tcp://{text}", timeout=20).connect_and_get_server_endpoints()
        print(text.replace(str(port), "PORT"), len(found))


asyncio.run(main())
PY
seen=$("$folder/v/bin/python" "$folder/show.py" "$folder/server" 2>/dev/null)
echo "$seen"
[ "$seen" = '127.0.0.1:PORT 1
127.0.0.1:PORT/ 0
localhost:PORT 0' ]
