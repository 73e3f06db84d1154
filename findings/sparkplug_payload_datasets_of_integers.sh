#!/bin/sh
# Sparkplug B: sparkplug-payload 1.0.3 (npm) cannot read a DataSet of Int32 or DateTime, not even one that it has written.
#
# Encoding a DataSet follows the type of each column, whole numbers of up to 32 bits into int_value, times into long_value. Decoding
# knows six types only: UInt32, Int64, Float, Double, Boolean and String. For each of the eight others that the specification lists for
# columns (Int8, Int16, Int32, UInt8, UInt16, UInt64, DateTime, Text) it raises "Invalid DataSetValue", and with it the whole
# payload is lost, every other metric of that message included: a table of stops with its times or counts takes a machine's
# birth away. Parameters of a Template go the same way. A negative Int64 in a column comes back as 1.8e19, although the same
# value as a metric of its own is read rightly. The remedy is a sender that uses Double, Int64 and String in tables.
#
# Needs Node.js. Seen: read: Int64 UInt32 Float Double Boolean String; lost: the eight others; Int64 -5 is 18446744073709551611.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm init -y >/dev/null && npm install --silent --no-fund --no-audit sparkplug-payload@1.0.3 >/dev/null)
cat >"$folder/show.js" <<'JS'
const { encodePayload, decodePayload } = require("sparkplug-payload").get("spBv1.0");

const bytes = (...metrics) => encodePayload({ timestamp: 1764460800000, seq: 0, metrics });
const table = (type, value) => ({ name: "stops", type: "DataSet", value: { numOfColumns: 1, types: [type], columns: ["x"], rows: [[value]] } });
const parameter = (type, value) => ({ name: "recipe", type: "Template", value: { templateRef: "", isDefinition: true, metrics: [], parameters: [{ name: "x", type, value }] } });
const types = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float", "Double", "Boolean", "String", "DateTime", "Text"];
const valid = (type) => ({ Boolean: true, String: "jam", Text: "jam", DateTime: 1764460800123 })[type] ?? 5;

for (const [what, made] of [["DataSet", table], ["Template", parameter]]) {
  const read = [], lost = [];
  for (const type of types) {
    try {
      decodePayload(bytes({ name: "pieces", type: "Int32", value: 7 }, made(type, valid(type))));
      read.push(type);
    } catch (error) {
      lost.push(type);
    }
  }
  console.log(`${what} read: ${read.join(" ")}; lost: ${lost.join(" ")}`);
}
const [alone, column] = decodePayload(bytes({ name: "position", type: "Int64", value: -5 }, table("Int64", -5))).metrics;
console.log(`Int64 -5 as a metric: ${alone.value}, in a column: ${column.value.rows[0][0]}`);
JS
seen=$(cd "$folder" && node show.js)
echo "$seen"
[ "$seen" = 'DataSet read: Int64 UInt32 Float Double Boolean String; lost: Int8 Int16 Int32 UInt8 UInt16 UInt64 DateTime Text
Template read: Int64 UInt32 Float Double Boolean String; lost: Int8 Int16 Int32 UInt8 UInt16 UInt64 DateTime Text
Int64 -5 as a metric: -5, in a column: 18446744073709551611' ]
