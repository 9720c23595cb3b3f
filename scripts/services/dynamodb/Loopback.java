import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer;
import java.lang.reflect.Field;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * DynamoDB Local, listening on 127.0.0.1.
 *
 * <p>Its own main class listens on every interface and has no option for an address. This one takes the same
 * arguments, and sets the address on the HTTP server inside before that is started.
 */
public final class Loopback {
  public static void main(String[] arguments) throws Exception {
    DynamoDBProxyServer service = ServerRunner.createServerFromCommandLineArgs(arguments);
    for (Connector connector : httpServer(service).getConnectors()) {
      ((ServerConnector) connector).setHost("127.0.0.1");
    }
    service.start();
    service.join();
  }

  /** The HTTP server, which the service keeps in a private field. */
  private static Server httpServer(DynamoDBProxyServer service) throws ReflectiveOperationException {
    Field field = DynamoDBProxyServer.class.getDeclaredField("server");
    field.setAccessible(true);
    return (Server) field.get(service);
  }
}
