#!/bin/sh
# OPC UA: an asyncua 2.1.0 client that has loaded the structure of one server swaps the fields of another server's.
#
# load_data_type_definitions() makes a class for each structure that a server defines and keeps it under the NodeId of its
# encoding in one registry for the whole process. Two machines of one maker often define "the same" structure under the same
# NodeId with their fields in another order (another firmware). Whichever server is loaded first decides for both: the values
# of the second are read into the first one's fields, without any error. Here: 800 made and 9 rejected become 9 made
# and 800 rejected. A process for each server reads both right.
#
# Seen: "first made=500 rejected=7", "second alone made=800 rejected=9", "second after the first made=9 rejected=800".
set -eu
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check asyncua==2.1.0
cat >"$folder/serve.py" <<'PY'
import asyncio
import socket
import sys

from asyncua import Server, ua
from asyncua.common.structures104 import new_struct, new_struct_field


async def main(ready, names, values):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    space = await server.register_namespace("urn:example:machine")
    await new_struct(server, space, "Counters", [new_struct_field(name, ua.VariantType.Int32) for name in names])
    await server.load_data_type_definitions()
    value = ua.Counters()
    for name, number in zip(names, values, strict=True):
        setattr(value, name, number)
    variant = ua.Variant(value, ua.VariantType.ExtensionObject)
    await server.nodes.objects.add_variable(ua.NodeId("counters", space), "counters", variant)
    async with server:
        with open(ready, "w") as file:
            file.write(str(port))
        await asyncio.sleep(120)


names = sys.argv[2].split(",")
asyncio.run(main(sys.argv[1], names, [int(number) for number in sys.argv[3].split(",")]))
PY
cat >"$folder/read.py" <<'PY'
import asyncio
import logging
import sys

from asyncua import Client, ua

logging.disable(logging.CRITICAL)


async def main(ports):
    for port in ports:
        async with Client(f"opc.tcp://127.0.0.1:{port}/") as client:
            await client.load_data_type_definitions()
            space = await client.get_namespace_index("urn:example:machine")
            value = await client.get_node(ua.NodeId("counters", space)).read_value()
    print(f"made={value.made} rejected={value.rejected}")


asyncio.run(main(sys.argv[1:]))
PY
python="$folder/venv/bin/python"
"$python" "$folder/serve.py" "$folder/a" made,rejected 500,7 >/dev/null 2>&1 &
"$python" "$folder/serve.py" "$folder/b" rejected,made 9,800 >/dev/null 2>&1 &
tries=0
until [ -s "$folder/a" ] && [ -s "$folder/b" ]; do
    tries=$((tries + 1)); [ "$tries" -lt 120 ] || exit 1
    sleep 0.5
done
a=$(cat "$folder/a"); b=$(cat "$folder/b")
seen="first $("$python" "$folder/read.py" "$a")
second alone $("$python" "$folder/read.py" "$b")
second after the first $("$python" "$folder/read.py" "$a" "$b")"
echo "$seen"
[ "$seen" = "first made=500 rejected=7
second alone made=800 rejected=9
second after the first made=9 rejected=800" ]
