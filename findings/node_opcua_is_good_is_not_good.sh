#!/bin/sh
# OPC UA: node-opcua 2.182.2's isGood() says no to Good values that carry a note, among them the one beside an overflow.
#
# OPC 10000-4 (1.04, 7.34.1): the two highest bits of a status are its severity; all that begins with 00 is Good. The lower 16 bits
# are notes: Overflow (values were lost before this one), Limit (the device stands at its end stop), Calculated and so on;
# and there are Good codes of their own, such as GoodClamped or GoodLocalOverride (set by hand). isGood() compares with 0 as a whole, so a
# client that keeps what isGood() throws away just the value after a gap, every value at a limit, and every one an operator has
# overridden, while isBad() says no to each of them as well; isNotGood() is true for all. isGoodish() is the one that looks at
# the severity, and its name does not tell. asyncua 2.1.0's is_good() does. Here the server's queue of two overflows.
#
# Needs Node.js. Seen: the value beside the gap has 0x480: isGood false, isBad false, isGoodish true; the others likewise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm init -y >/dev/null && npm install --silent --no-fund --no-audit node-opcua@2.182.2 >/dev/null)
cat >"$folder/show.js" <<'JS'
const { OPCUAServer, OPCUAClient, AttributeIds, ClientSubscription, ClientMonitoredItem, StatusCode, StatusCodes, TimestampsToReturn } = require("node-opcua");

const tell = (what, status) => console.log(`${what} 0x${status.value.toString(16)}: isGood ${status.isGood()}, isBad ${status.isBad()}, isGoodish ${status.isGoodish()}`);
const until = async (condition) => {
  while (!condition()) await new Promise((done) => setTimeout(done, 20));
};

(async () => {
  const server = new OPCUAServer({ port: 0, hostname: "127.0.0.1" });
  await server.initialize();
  const space = server.engine.addressSpace.getOwnNamespace();
  const counter = space.addVariable({ organizedBy: server.engine.addressSpace.rootFolder.objects, browseName: "pieces", nodeId: "s=pieces", dataType: "Int32", minimumSamplingInterval: 0 });
  counter.setValueFromSource({ dataType: "Int32", value: 0 });
  await server.start();
  const client = OPCUAClient.create({ endpointMustExist: false });
  await client.connect(`opc.tcp://127.0.0.1:${server.endpoints[0].port}`);
  const session = await client.createSession();
  const subscription = ClientSubscription.create(session, { requestedPublishingInterval: 2000, requestedMaxKeepAliveCount: 10, requestedLifetimeCount: 100, publishingEnabled: true });
  const item = ClientMonitoredItem.create(subscription, { nodeId: `ns=${space.index};s=pieces`, attributeId: AttributeIds.Value }, { samplingInterval: 0, queueSize: 2, discardOldest: true }, TimestampsToReturn.Both);
  const seen = [];
  item.on("changed", (value) => seen.push(value));
  await until(() => seen.length > 0);
  for (let piece = 1; piece <= 20; piece++) {
    counter.setValueFromSource({ dataType: "Int32", value: piece });
    await new Promise((done) => setTimeout(done, 20));
  }
  await until(() => seen.some((value) => value.statusCode.hasOverflowBit));
  tell("beside the gap", seen.find((value) => value.statusCode.hasOverflowBit).statusCode);
  tell("at the upper limit", StatusCode.makeStatusCode(StatusCodes.Good, "LimitHigh | InfoTypeDataValue"));
  tell("set by hand", StatusCodes.GoodLocalOverride);
  tell("clamped", StatusCodes.GoodClamped);
  process.exit(0);
})();
JS
seen=$(cd "$folder" && timeout 120 node show.js 2>/dev/null | grep isGood)
echo "$seen"
[ "$seen" = 'beside the gap 0x480: isGood false, isBad false, isGoodish true
at the upper limit 0x600: isGood false, isBad false, isGoodish true
set by hand 0x960000: isGood false, isBad false, isGoodish true
clamped 0x300000: isGood false, isBad false, isGoodish true' ]
