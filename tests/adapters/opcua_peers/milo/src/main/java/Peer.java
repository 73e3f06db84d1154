// An OPC UA server of Eclipse Milo, to be started as a child process: Peer PORT FOLDER.
//
// Prints "up" when it listens. Reads commands from standard input, one a line, and answers "done": `set NAME VALUE`.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.security.KeyPair;
import java.security.cert.X509Certificate;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.eclipse.milo.opcua.sdk.core.Reference;
import org.eclipse.milo.opcua.sdk.server.EndpointConfig;
import org.eclipse.milo.opcua.sdk.server.ManagedNamespaceWithLifecycle;
import org.eclipse.milo.opcua.sdk.server.OpcUaServer;
import org.eclipse.milo.opcua.sdk.server.OpcUaServerConfig;
import org.eclipse.milo.opcua.sdk.server.identity.AnonymousIdentityValidator;
import org.eclipse.milo.opcua.sdk.server.items.DataItem;
import org.eclipse.milo.opcua.sdk.server.items.MonitoredItem;
import org.eclipse.milo.opcua.sdk.server.nodes.UaFolderNode;
import org.eclipse.milo.opcua.sdk.server.nodes.UaVariableNode;
import org.eclipse.milo.opcua.sdk.server.util.SubscriptionModel;
import org.eclipse.milo.opcua.stack.core.NodeIds;
import org.eclipse.milo.opcua.stack.core.security.CertificateValidator;
import org.eclipse.milo.opcua.stack.core.security.DefaultApplicationGroup;
import org.eclipse.milo.opcua.stack.core.security.DefaultCertificateManager;
import org.eclipse.milo.opcua.stack.core.security.MemoryCertificateQuarantine;
import org.eclipse.milo.opcua.stack.core.security.MemoryCertificateStore;
import org.eclipse.milo.opcua.stack.core.security.MemoryTrustListManager;
import org.eclipse.milo.opcua.stack.core.security.RsaSha256CertificateFactory;
import org.eclipse.milo.opcua.stack.core.security.SecurityPolicy;
import org.eclipse.milo.opcua.stack.core.transport.TransportProfile;
import org.eclipse.milo.opcua.stack.core.types.builtin.DataValue;
import org.eclipse.milo.opcua.stack.core.types.builtin.DateTime;
import org.eclipse.milo.opcua.stack.core.types.builtin.LocalizedText;
import org.eclipse.milo.opcua.stack.core.types.builtin.NodeId;
import org.eclipse.milo.opcua.stack.core.types.builtin.Variant;
import org.eclipse.milo.opcua.stack.core.types.builtin.unsigned.UInteger;
import org.eclipse.milo.opcua.stack.core.types.enumerated.MessageSecurityMode;
import org.eclipse.milo.opcua.stack.core.types.structured.BuildInfo;
import org.eclipse.milo.opcua.stack.core.util.SelfSignedCertificateBuilder;
import org.eclipse.milo.opcua.stack.core.util.SelfSignedCertificateGenerator;
import org.eclipse.milo.opcua.stack.transport.server.tcp.OpcTcpServerTransport;
import org.eclipse.milo.opcua.stack.transport.server.tcp.OpcTcpServerTransportConfig;

public final class Peer {
  private static final String URI = "urn:nhip:test:milo";

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    KeyPair keys = SelfSignedCertificateGenerator.generateRsaKeyPair(2048);
    X509Certificate certificate = new SelfSignedCertificateBuilder(keys)
        .setCommonName("milo").setApplicationUri(URI).addIpAddress("127.0.0.1").build();
    OpcUaServer server = new OpcUaServer(
        config(port, keys, certificate),
        profile -> new OpcTcpServerTransport(OpcTcpServerTransportConfig.newBuilder().build()));
    Space space = new Space(server);
    space.startup();
    server.startup().get();
    System.out.println("up");
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] words = line.trim().split("\\s+");
      space.set(words[1], words[2]);
      System.out.println("done");
    }
  }

  private static OpcUaServerConfig config(int port, KeyPair keys, X509Certificate certificate) throws Exception {
    RsaSha256CertificateFactory factory = new RsaSha256CertificateFactory() {
      @Override
      protected KeyPair createRsaSha256KeyPair() {
        return keys;
      }

      @Override
      protected X509Certificate[] createRsaSha256CertificateChain(KeyPair pair) {
        return new X509Certificate[] {certificate};
      }
    };
    DefaultApplicationGroup group = DefaultApplicationGroup.createAndInitialize(
        new MemoryTrustListManager(), new MemoryCertificateStore(), factory,
        new CertificateValidator.InsecureCertificateValidator());
    EndpointConfig.Builder endpoint = EndpointConfig.newBuilder()
        .setTransportProfile(TransportProfile.TCP_UASC_UABINARY)
        .setBindAddress("127.0.0.1").setHostname("127.0.0.1").setBindPort(port).setPath("/")
        .setCertificate(certificate)
        .addTokenPolicies(OpcUaServerConfig.USER_TOKEN_POLICY_ANONYMOUS);
    Set<EndpointConfig> endpoints = new LinkedHashSet<>();
    endpoints.add(endpoint.copy().setSecurityPolicy(SecurityPolicy.None)
        .setSecurityMode(MessageSecurityMode.None).build());
    endpoints.add(endpoint.copy().setSecurityPolicy(SecurityPolicy.Basic256Sha256)
        .setSecurityMode(MessageSecurityMode.SignAndEncrypt).build());
    return OpcUaServerConfig.builder()
        .setApplicationUri(URI).setProductUri(URI).setApplicationName(LocalizedText.english("milo"))
        .setEndpoints(endpoints)
        .setBuildInfo(new BuildInfo(URI, "", "", OpcUaServer.SDK_VERSION, "", DateTime.now()))
        .setCertificateManager(new DefaultCertificateManager(new MemoryCertificateQuarantine(), group))
        .setIdentityValidator(AnonymousIdentityValidator.INSTANCE)
        .build();
  }

  private static final class Space extends ManagedNamespaceWithLifecycle {
    private final Map<String, UaVariableNode> nodes = new HashMap<>();
    private final SubscriptionModel subscriptions;

    Space(OpcUaServer server) {
      super(server, "urn:nhip:test");
      subscriptions = new SubscriptionModel(server, this);
      getLifecycleManager().addLifecycle(subscriptions);
      getLifecycleManager().addStartupTask(this::addNodes);
    }

    private void addNodes() {
      UaFolderNode machine = new UaFolderNode(
          getNodeContext(), newNodeId("M"), newQualifiedName("M"), LocalizedText.english("M"));
      getNodeManager().addNode(machine);
      machine.addReference(new Reference(
          machine.getNodeId(), NodeIds.Organizes, NodeIds.ObjectsFolder.expanded(), false));
      add(machine, "count", NodeIds.Int32, 0);
      add(machine, "running", NodeIds.Boolean, false);
      add(machine, "temperature", NodeIds.Double, 20.5);
      add(machine, "recipe", NodeIds.String, "A");
      add(machine, "list", NodeIds.Int32, new Integer[] {11, 22, 33});
      for (int number = 0; number < 300; number++) add(machine, "n" + number, NodeIds.Int32, number);
    }

    private void add(UaFolderNode machine, String name, NodeId type, Object value) {
      UaVariableNode node = new UaVariableNode.UaVariableNodeBuilder(getNodeContext())
          .setNodeId(newNodeId(name)).setBrowseName(newQualifiedName(name))
          .setDisplayName(LocalizedText.english(name)).setDataType(type)
          .setValueRank(value instanceof Integer[] ? 1 : -1)
          .setArrayDimensions(value instanceof Integer[] ? new UInteger[] {UInteger.valueOf(0)} : null)
          .setTypeDefinition(NodeIds.BaseDataVariableType).build();
      node.setValue(new DataValue(Variant.of(value)));
      getNodeManager().addNode(node);
      machine.addOrganizes(node);
      nodes.put(name, node);
    }

    void set(String name, String text) {
      UaVariableNode node = nodes.get(name);
      Object old = node.getValue().getValue().getValue();
      Object value = old instanceof Boolean ? (Object) Boolean.valueOf(text)
          : old instanceof Integer ? Integer.valueOf(text) : old instanceof Double ? Double.valueOf(text) : text;
      node.setValue(new DataValue(Variant.of(value)));
    }

    @Override
    public void onDataItemsCreated(List<DataItem> items) {
      subscriptions.onDataItemsCreated(items);
    }

    @Override
    public void onDataItemsModified(List<DataItem> items) {
      subscriptions.onDataItemsModified(items);
    }

    @Override
    public void onDataItemsDeleted(List<DataItem> items) {
      subscriptions.onDataItemsDeleted(items);
    }

    @Override
    public void onMonitoringModeChanged(List<MonitoredItem> items) {
      subscriptions.onMonitoringModeChanged(items);
    }
  }
}
