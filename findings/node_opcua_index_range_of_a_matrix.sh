#!/bin/sh
# OPC UA: node-opcua 2.182.2 answers an IndexRange that lies outside of a matrix with Good and a value of another element.
#
# OPC 10000-4 (7.27, NumericRange): a range that selects no data gives Bad_IndexRangeNoData. Of a matrix of Int32 with two
# rows of three columns, "0,3" (first row, fourth column) comes back Good with 4, the first column of the second row;
# "1,9" and "9,1", which lie outside of all six numbers, come back Good with 0. So an address with one column too many
# reads a neighbour's counter, and one far off reads zero, and nothing tells. In an array the same is refused rightly.
# The range "1" on the matrix, which names too few dimensions, comes back Good too, as the second of all six numbers.
#
# Needs Node.js. Seen: array "1" Good [20], "3" BadIndexRangeNoData; matrix "1,2" Good [6], "0,3" Good [4], "1,9" and "9,1"
# Good [0], "1" Good [2].
set -eu
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
(cd "$folder" && npm init -y >/dev/null && npm install --silent --no-fund --no-audit node-opcua@2.182.2 >/dev/null)
cat >"$folder/show.js" <<'JS'
const { OPCUAServer, OPCUAClient, AttributeIds, DataType, VariantArrayType, Variant, NumericRange } = require("node-opcua");

(async () => {
  const server = new OPCUAServer({ port: 0, hostname: "127.0.0.1", skipOwnNamespace: false });
  await server.initialize();
  const space = server.engine.addressSpace.getOwnNamespace();
  const organizedBy = server.engine.addressSpace.rootFolder.objects;
  const put = (name, value, rank, dimensions) =>
    space.addVariable({ organizedBy, browseName: name, nodeId: `s=${name}`, dataType: "Int32", valueRank: rank, arrayDimensions: dimensions, value: { get: () => value } });
  put("array", new Variant({ dataType: DataType.Int32, arrayType: VariantArrayType.Array, value: Int32Array.from([10, 20, 30]) }), 1, [3]);
  put("matrix", new Variant({ dataType: DataType.Int32, arrayType: VariantArrayType.Matrix, dimensions: [2, 3], value: Int32Array.from([1, 2, 3, 4, 5, 6]) }), 2, [2, 3]);
  await server.start();
  const client = OPCUAClient.create({ endpointMustExist: false });
  await client.connect(`opc.tcp://127.0.0.1:${server.endpoints[0].port}`);
  const session = await client.createSession();
  for (const [name, range] of [["array", "1"], ["array", "3"], ["matrix", "1,2"], ["matrix", "0,3"], ["matrix", "1,9"], ["matrix", "9,1"], ["matrix", "1"]]) {
    const answer = await session.read({ nodeId: `ns=${space.index};s=${name}`, attributeId: AttributeIds.Value, indexRange: new NumericRange(range) });
    const value = answer.value && answer.value.value !== null && answer.value.value !== undefined ? ` [${[].concat(...[answer.value.value].map((item) => (item.length === undefined ? [item] : Array.from(item)))).join(" ")}]` : "";
    console.log(`${name} "${range}" ${answer.statusCode.name}${answer.statusCode.name === "Good" ? value : ""}`);
  }
  await session.close();
  await client.disconnect();
  await server.shutdown();
  process.exit(0);
})();
JS
seen=$(cd "$folder" && node show.js 2>/dev/null | grep -E '^(array|matrix)')
echo "$seen"
[ "$seen" = 'array "1" Good [20]
array "3" BadIndexRangeNoData
matrix "1,2" Good [6]
matrix "0,3" Good [4]
matrix "1,9" Good [0]
matrix "9,1" Good [0]
matrix "1" Good [2]' ]
