#!/bin/sh
# Sparkplug B: sparkplug-payload 1.0.3 (npm) reads a negative Int64 as 1.8e19 once another package brings another version of `long`.
#
# Int64 travels in an unsigned Protobuf field, and sparkplug-payload turns it back with toSigned(), but only where the value is an
# instance of the class Long that it knows itself (long 4). protobufjs makes the value with the Long that lies nearest to its own
# helper @protobufjs/inquire, that is at the top of node_modules. Alone there is one Long, and all is well. Beside node-opcua 2.182.2,
# whose date-time module needs long 5, as in any gateway from OPC UA to Sparkplug, there are two: the test fails, and the unsigned
# value is handed out. -6 becomes 18446744073709551610 with no error, and a UInt32 becomes an object instead of a number. Which
# of both happens is decided by the layout of node_modules, so an unrelated package, added or removed later, changes the numbers.
#
# Needs Node.js. Seen: alone Int64 -6, UInt32 a number; beside node-opcua Int64 18446744073709551610, UInt32 an object.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/show.js" <<'JS'
const { encodePayload, decodePayload } = require("sparkplug-payload").get("spBv1.0");

const bytes = encodePayload({ timestamp: 1764460800000, seq: 0, metrics: [{ name: "position", type: "Int64", value: -6 }, { name: "pieces", type: "UInt32", value: 12 }] });
for (const { name, type, value } of decodePayload(bytes).metrics) console.log(`${name} ${type} ${value} ${typeof value}`);
JS
read_with() {
  mkdir "$folder/$1"
  cp "$folder/show.js" "$folder/$1"
  shown=$1
  shift
  (cd "$folder/$shown" && npm init -y >/dev/null && npm install --silent --no-fund --no-audit "$@" >/dev/null && node show.js)
}
seen=$(read_with alone sparkplug-payload@1.0.3; read_with beside sparkplug-payload@1.0.3 node-opcua@2.182.2)
echo "$seen"
[ "$seen" = 'position Int64 -6 object
pieces UInt32 12 number
position Int64 18446744073709551610 object
pieces UInt32 12 object' ]
