import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.io.PrintStream;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import page_traffic.v1.PageTrafficClient;
import page_traffic.v1.PageTrafficEntry;
import page_traffic.v1.PageTrafficKey;
import page_traffic.v1.PageTrafficServiceSetOperand;
import page_traffic.v1.murmur.Calendar;
import page_traffic.v1.murmur.CalendarStep;
import page_traffic.v1.murmur.ReadOptions;
import page_traffic.v1.murmur.SetOperation;

/**
 * Calls every method of the client that `cargo murmur clients` has made for page-traffic.
 *
 * <pre>
 * Ask URL QUESTION      prints a JSON object with all replies; QUESTION is one too
 * Ask URL one [CA]      makes one call with a token; prints how it ended; CA is a file of authorities
 * Ask URL brief         the same with a deadline of a second
 * Ask URL watch         prints the views in two replies, each when it comes
 * Ask URL absence=MS    watches, and asks for a server that is away for so many milliseconds; prints how that ended
 * </pre>
 */
final class Ask {
  /** Long, as a machine that is busy is no reason to fail. */
  private static final Duration PATIENCE = Duration.ofSeconds(300);

  private static String code(Runnable call) {
    try {
      call.run();
      return Status.Code.OK.name();
    } catch (StatusRuntimeException error) {
      return error.getStatus().getCode().name();
    }
  }

  private static JsonElement plain(MessageOrBuilder message) {
    try {
      return JsonParser.parseString(JsonFormat.printer().print(message));
    } catch (com.google.protobuf.InvalidProtocolBufferException error) {
      throw new IllegalStateException(error);
    }
  }

  private static Map<String, Object> entries(List<PageTrafficEntry> all) {
    List<JsonElement> out = new ArrayList<>();
    all.forEach(entry -> out.add(plain(entry)));
    return Map.of("entries", out);
  }

  private static PageTrafficKey key(String page) {
    return PageTrafficKey.newBuilder().setPageId(page).build();
  }

  private static List<PageTrafficKey> keys(JsonElement pages) {
    List<PageTrafficKey> out = new ArrayList<>();
    pages.getAsJsonArray().forEach(page -> out.add(key(page.getAsString())));
    return out;
  }

  private static Instant at(JsonElement seconds) {
    return Instant.ofEpochSecond(seconds.getAsLong());
  }

  public static void main(String[] arguments) throws java.io.IOException {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    var builder = PageTrafficClient.builder(arguments[0]).timeout(PATIENCE);
    if (arguments.length > 2) {
      builder.credentials(TlsChannelCredentials.newBuilder().trustManager(new File(arguments[2])).build());
    }
    if (arguments[1].equals("watch")) {
      try (var client = PageTrafficClient.of(arguments[0]); var watching = client.watch(key("/home"), null)) {
        for (int count = 0; count < 2; count++) {
          out.println(new Gson().toJson(Long.toUnsignedString(watching.next().getValue().getViews())));
        }
      }
      return;
    }
    if (arguments[1].startsWith("absence=")) {
      builder.absence(Duration.ofMillis(Long.parseLong(arguments[1].substring("absence=".length()))));
      try (var client = builder.build(); var watching = client.watch(key(""), null)) {
        out.println(new Gson().toJson(code(watching::next)));
      }
      return;
    }
    if (arguments[1].equals("brief")) builder.timeout(Duration.ofSeconds(1));
    if (arguments[1].equals("one") || arguments[1].equals("brief")) {
      try (var client = builder.token(() -> "secret").build()) {
        out.println(new Gson().toJson(code(() -> client.get(key("/home")))));
      }
      return;
    }
    JsonObject question = JsonParser.parseString(arguments[1]).getAsJsonObject();
    var pages = keys(question.get("pages"));
    var key = pages.get(0);
    var start = at(question.get("start"));
    var end = at(question.get("end"));
    var window = Duration.ofSeconds(question.get("window").getAsLong());
    var step = Duration.ofSeconds(question.get("step").getAsLong());
    var today = Calendar.newBuilder().setDays(1).setZone(question.get("zone").getAsString()).build();
    var days = CalendarStep.newBuilder().setDays(1).build();
    var explain = ReadOptions.newBuilder().setExplain(true).build();
    try (var client = builder.build();
        var explaining = PageTrafficClient.builder(arguments[0]).timeout(PATIENCE).options(explain).build();
        var watching = client.watch(key, null);
        var many = client.watchMany(pages, null)) {
      Map<String, Object> replies = new LinkedHashMap<>();
      replies.put("Get", plain(client.get(key)));
      replies.put("GetMany", entries(client.getMany(pages)));
      replies.put("GetWindow", plain(client.window(key, window, end)));
      replies.put("GetWindowMany", entries(client.windowMany(pages, window, end)));
      replies.put("GetRange", plain(client.range(key, start, end)));
      replies.put("GetRangeMany", entries(client.rangeMany(pages, start, end)));
      replies.put("Series", plain(client.series(key, start, end, step)));
      replies.put("Watch", plain(watching.next()));
      replies.put("WatchMany", entries(many.next().getEntriesList()));
      Map<String, String> presence = new LinkedHashMap<>();
      for (var of : question.get("presence").getAsJsonObject().entrySet()) {
        JsonObject asked = of.getValue().getAsJsonObject();
        var reply = client.range(key(asked.get("page").getAsString()), at(asked.get("start")), at(asked.get("end")));
        presence.put(of.getKey(), reply.getAnswer().getPresence().name());
      }
      var sets = List.of(
          PageTrafficServiceSetOperand.newBuilder().setKey(key).build(),
          PageTrafficServiceSetOperand.newBuilder().setKey(pages.get(1)).build());
      Map<String, Object> answers = new LinkedHashMap<>();
      answers.put("replies", replies);
      answers.put("today", List.of(
          plain(client.calendar(key, today, end)),
          plain(client.calendarMany(pages, today, end).get(0)),
          plain(client.calendarSeries(key, today, end, days).getPoints(0))));
      answers.put("edges", entries(client.getMany(keys(question.get("edges")))));
      answers.put("presence", presence);
      answers.put("explained", explaining.get(key).getAnswer().hasExplanation());
      answers.put("combined", code(() -> client.combineSets(sets, SetOperation.SET_OPERATION_UNION, "")));
      out.println(new Gson().toJson(answers));
    }
  }
}
