#!/bin/sh
# OPC UA: with a deadband, Eclipse Milo 1.1.2's server never reports that a value has become NaN.
#
# OPC 10000-4 (1.04, 7.17.2) asks a server to look for NaN and to report it once when a floating-point value enters that state,
# with or without a deadband. Many drivers of sensors say "broken wire" with NaN. Milo compares |new - last| with the deadband, which no
# NaN exceeds: the subscriber keeps 20.5 as a good value, as long as the sensor is broken, and is told again only when it
# comes back outside the band around the last number. The same subscription without a filter reports NaN once, as it should, and a
# read shows it all the while.
#
# Needs Java 17, Maven and Python. Seen: "with a deadband: 20.5 50.0", "without: 20.5 nan 50.0", "read: nan".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q --disable-pip-version-check asyncua==2.1.0
mkdir -p "$folder/s/src/main/java"
cat >"$folder/s/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target></properties>
  <dependencies><dependency><groupId>org.eclipse.milo</groupId><artifactId>milo-sdk-server</artifactId><version>1.1.2</version></dependency></dependencies>
</project>
XML
cat >"$folder/s/src/main/java/Show.java" <<'JAVA'
import java.security.KeyPair;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Scanner;
import java.util.Set;
import org.eclipse.milo.opcua.sdk.core.Reference;
import org.eclipse.milo.opcua.sdk.server.*;
import org.eclipse.milo.opcua.sdk.server.identity.AnonymousIdentityValidator;
import org.eclipse.milo.opcua.sdk.server.items.*;
import org.eclipse.milo.opcua.sdk.server.nodes.UaVariableNode;
import org.eclipse.milo.opcua.sdk.server.util.SubscriptionModel;
import org.eclipse.milo.opcua.stack.core.NodeIds;
import org.eclipse.milo.opcua.stack.core.security.*;
import org.eclipse.milo.opcua.stack.core.transport.TransportProfile;
import org.eclipse.milo.opcua.stack.core.types.builtin.*;
import org.eclipse.milo.opcua.stack.core.types.enumerated.MessageSecurityMode;
import org.eclipse.milo.opcua.stack.core.util.*;
import org.eclipse.milo.opcua.stack.transport.server.tcp.*;

class Show extends ManagedNamespaceWithLifecycle {
  final SubscriptionModel model;
  UaVariableNode node;

  Show(OpcUaServer server) {
    super(server, "urn:oven");
    model = new SubscriptionModel(server, this);
    getLifecycleManager().addLifecycle(model);
    getLifecycleManager().addStartupTask(() -> {
      node = new UaVariableNode.UaVariableNodeBuilder(getNodeContext()).setNodeId(newNodeId("temperature"))
          .setBrowseName(newQualifiedName("temperature")).setDisplayName(LocalizedText.english("temperature"))
          .setDataType(NodeIds.Double).setTypeDefinition(NodeIds.BaseDataVariableType).build();
      set(20.5);
      getNodeManager().addNode(node);
      node.addReference(new Reference(node.getNodeId(), NodeIds.Organizes, NodeIds.ObjectsFolder.expanded(), false));
    });
  }

  void set(double value) { node.setValue(new DataValue(Variant.of(value))); }
  public void onDataItemsCreated(List<DataItem> items) { model.onDataItemsCreated(items); }
  public void onDataItemsModified(List<DataItem> items) { model.onDataItemsModified(items); }
  public void onDataItemsDeleted(List<DataItem> items) { model.onDataItemsDeleted(items); }
  public void onMonitoringModeChanged(List<MonitoredItem> items) { model.onMonitoringModeChanged(items); }

  public static void main(String[] arguments) throws Exception {
    KeyPair keys = SelfSignedCertificateGenerator.generateRsaKeyPair(2048);
    X509Certificate own = new SelfSignedCertificateBuilder(keys).setApplicationUri("urn:oven").addIpAddress("127.0.0.1").build();
    DefaultApplicationGroup group = DefaultApplicationGroup.createAndInitialize(new MemoryTrustListManager(),
        new MemoryCertificateStore(), new RsaSha256CertificateFactory() {
          protected KeyPair createRsaSha256KeyPair() { return keys; }
          protected X509Certificate[] createRsaSha256CertificateChain(KeyPair pair) { return new X509Certificate[] {own}; }
        }, new CertificateValidator.InsecureCertificateValidator());
    EndpointConfig endpoint = EndpointConfig.newBuilder().setTransportProfile(TransportProfile.TCP_UASC_UABINARY)
        .setBindAddress("127.0.0.1").setHostname("127.0.0.1").setBindPort(Integer.parseInt(arguments[0])).setPath("/")
        .setCertificate(own).addTokenPolicies(OpcUaServerConfig.USER_TOKEN_POLICY_ANONYMOUS)
        .setSecurityPolicy(SecurityPolicy.None).setSecurityMode(MessageSecurityMode.None).build();
    OpcUaServer server = new OpcUaServer(OpcUaServerConfig.builder().setApplicationUri("urn:oven").setProductUri("urn:oven")
        .setApplicationName(LocalizedText.english("oven")).setEndpoints(Set.of(endpoint))
        .setCertificateManager(new DefaultCertificateManager(new MemoryCertificateQuarantine(), group))
        .setIdentityValidator(AnonymousIdentityValidator.INSTANCE).build(),
        profile -> new OpcTcpServerTransport(OpcTcpServerTransportConfig.newBuilder().build()));
    Show show = new Show(server);
    show.startup();
    server.startup().get();
    System.out.println("up");
    for (Scanner lines = new Scanner(System.in); lines.hasNext();) {
      show.set(Double.parseDouble(lines.next()));
      System.out.println("done");
    }
  }
}
JAVA
(cd "$folder/s" && mvn -q -B compile dependency:copy-dependencies >/dev/null 2>&1)
cat >"$folder/show.py" <<'PY'
import asyncio
import socket
import subprocess
import sys

from asyncua import Client, ua

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
there = sys.argv[1] + "/s/target"
server = subprocess.Popen(
    ["java", "-cp", f"{there}/classes:{there}/dependency/*", "Show", str(port)],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
)


class Seen:
    def __init__(self):
        self.values, self.more = [], asyncio.Event()

    def datachange_notification(self, node, value, data):
        self.values.append(value)
        self.more.set()

    async def until(self, value):
        while value not in map(str, self.values):
            self.more.clear()
            await asyncio.wait_for(self.more.wait(), 30)


async def main():
    async with Client(f"opc.tcp://127.0.0.1:{port}/") as client:
        node = client.get_node(ua.NodeId("temperature", await client.get_namespace_index("urn:oven")))
        seen = {"with a deadband:": Seen(), "without:": Seen()}
        await (await client.create_subscription(50, seen["with a deadband:"])).deadband_monitor(node, 1.0)
        await (await client.create_subscription(50, seen["without:"])).subscribe_data_change(node, queuesize=9, sampling_interval=50)
        for one in seen.values():
            await one.until("20.5")
        print("NaN", file=server.stdin, flush=True)
        await seen["without:"].until("nan")
        for _ in range(20):  # a second of samples, time enough for the other one too
            await asyncio.sleep(0.05)
            read = await node.read_value()
        print("50", file=server.stdin, flush=True)
        for one in seen.values():
            await one.until("50.0")
        for name, one in seen.items():
            print(name, *one.values)
        print("read:", read)


try:
    while server.stdout.readline().strip() != "up":
        pass
    asyncio.run(main())
finally:
    server.kill()
PY
seen=$("$folder/v/bin/python" "$folder/show.py" "$folder" 2>/dev/null)
echo "$seen"
[ "$seen" = 'with a deadband: 20.5 50.0
without: 20.5 nan 50.0
read: nan' ]
