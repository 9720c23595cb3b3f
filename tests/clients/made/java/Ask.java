import com.google.gson.Gson;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import page_traffic.v1.PageTrafficClient;
import page_traffic.v1.PageTrafficKey;

/**
 * Makes single calls by the client that `cargo murmur clients` has made for page-traffic.
 *
 * <pre>
 * Ask URL one [CA]      makes one call with a token; prints how it ended; CA is a file of authorities
 * Ask URL brief         the same with a deadline of a second
 * Ask URL watch         prints the views in two replies, each when it comes
 * Ask URL absence=MS    watches, and asks for a server that is away for so many milliseconds; prints how that ended
 * Ask URL renew         watches with another token each time; prints how that ended
 * Ask URL unfit         tries tokens that are none; prints what is said of them
 * Ask URL fine          asks about half a microsecond, then about one and a half; prints what is said of the first
 * Ask URL given         closes a client over a channel that it was given; prints how a call of another one over it ended
 * </pre>
 */
final class Ask {
  /** Long, as a machine that is busy is no reason to fail. */
  private static final Duration PATIENCE = Duration.ofSeconds(300);

  /** The number of gRPC's code. */
  private static int code(Runnable call) {
    try {
      call.run();
      return Status.Code.OK.value();
    } catch (StatusRuntimeException error) {
      return error.getStatus().getCode().value();
    }
  }

  /** All that an error says. */
  private static String said(Runnable call) {
    try {
      call.run();
      return "";
    } catch (IllegalArgumentException | StatusRuntimeException error) {
      var written = new StringWriter();
      error.printStackTrace(new PrintWriter(written));
      return written.toString();
    }
  }

  private static PageTrafficKey key(String page) {
    return PageTrafficKey.newBuilder().setPageId(page).build();
  }

  public static void main(String[] arguments) throws java.io.IOException {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    var builder = PageTrafficClient.builder(arguments[0]).timeout(PATIENCE);
    if (arguments.length > 2) {
      builder.credentials(TlsChannelCredentials.newBuilder().trustManager(new File(arguments[2])).build());
    }
    if (arguments[1].equals("watch")) {
      try (var client = PageTrafficClient.of(arguments[0]); var watching = client.watch(key("/home"))) {
        for (int count = 0; count < 2; count++) {
          out.println(new Gson().toJson(Long.toUnsignedString(watching.next().getValue().getViews())));
        }
      }
      return;
    }
    if (arguments[1].startsWith("absence=")) {
      builder.absence(Duration.ofMillis(Long.parseLong(arguments[1].substring("absence=".length()))));
      // As it is read from a file.
      try (var client = builder.token("secret\n").build(); var watching = client.watch(key(""))) {
        out.println(code(watching::next));
      }
      return;
    }
    if (arguments[1].equals("renew")) {
      var tokens = List.of("first", "second", "third").iterator();
      try (var client = builder.token(tokens::next).build(); var watching = client.watch(key(""))) {
        out.println(code(watching::next));
      }
      return;
    }
    if (arguments[1].equals("unfit")) {
      String token = "two\ns3cr\u00e9ts";
      out.println(said(() -> PageTrafficClient.builder(arguments[0]).token(token)));
      try (var client = builder.token(() -> token).build()) {
        out.println(said(() -> client.get(key(""))));
        out.println(said(() -> client.watch(key(""))));
      }
      return;
    }
    if (arguments[1].equals("fine")) {
      var start = Instant.EPOCH;
      try (var client = builder.build()) {
        out.println(said(() -> client.range(key(""), start, start.plusNanos(500))));
        client.range(key(""), start, start.plusNanos(1500));
      }
      return;
    }
    if (arguments[1].equals("given")) {
      var address = URI.create(arguments[0]);
      var channel = ManagedChannelBuilder.forAddress(address.getHost(), address.getPort()).usePlaintext().build();
      PageTrafficClient.builder(arguments[0]).channel(channel).build().close();
      builder.channel(channel).build().withTimeout(PATIENCE).close();
      try (var client = builder.channel(channel).build()) {
        out.println(code(() -> client.get(key(""))));
      }
      channel.shutdownNow();
      return;
    }
    if (arguments[1].equals("brief")) builder.timeout(Duration.ofSeconds(1));
    else if (!arguments[1].equals("one")) throw new IllegalArgumentException(arguments[1]);
    try (var client = builder.token(() -> "secret\n").build()) {
      out.println(code(() -> client.get(key("/home"))));
    }
  }
}
