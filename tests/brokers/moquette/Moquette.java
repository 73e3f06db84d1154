import io.moquette.broker.Server;
import io.moquette.broker.config.MemoryConfig;
import java.util.Properties;

/** moquette on loopback, open to everybody, without persistence. Argument: the port. */
public final class Moquette {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.setProperty("port", arguments[0]);
        settings.setProperty("host", "127.0.0.1");
        settings.setProperty("allow_anonymous", "true");
        settings.setProperty("persistence_enabled", "false");
        settings.setProperty("telemetry_enabled", "false");
        new Server().startServer(new MemoryConfig(settings));
        Thread.currentThread().join();
    }
}
