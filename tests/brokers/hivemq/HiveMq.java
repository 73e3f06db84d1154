import com.hivemq.embedded.EmbeddedHiveMQ;
import java.nio.file.Files;
import java.nio.file.Path;

/** HiveMQ CE on loopback, open to everybody. Arguments: the port, a folder for its files. */
public final class HiveMq {
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[1]);
        for (String name : new String[] {"config", "data", "extensions"}) {
            Files.createDirectories(folder.resolve(name));
        }
        Files.writeString(
                folder.resolve("config/config.xml"),
                "<hivemq><listeners><tcp-listener><port>" + arguments[0]
                        + "</port><bind-address>127.0.0.1</bind-address></tcp-listener></listeners></hivemq>");
        EmbeddedHiveMQ broker = EmbeddedHiveMQ.builder()
                .withConfigurationFolder(folder.resolve("config"))
                .withDataFolder(folder.resolve("data"))
                .withExtensionsFolder(folder.resolve("extensions"))
                .build();
        broker.start().join();
        Thread.currentThread().join();
    }
}
