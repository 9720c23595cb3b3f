import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.Timestamp;
import com.google.protobuf.util.JsonFormat;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import page_traffic.v1.PageTrafficClient;
import page_traffic.v1.PageTrafficServiceCombineSetsRequest;
import page_traffic.v1.PageTrafficServiceGetManyRequest;
import page_traffic.v1.PageTrafficServiceGetManyResponse;
import page_traffic.v1.PageTrafficServiceGetRangeManyRequest;
import page_traffic.v1.PageTrafficServiceGetRangeManyResponse;
import page_traffic.v1.PageTrafficServiceGetRangeRequest;
import page_traffic.v1.PageTrafficServiceGetRequest;
import page_traffic.v1.PageTrafficServiceGetWindowManyRequest;
import page_traffic.v1.PageTrafficServiceGetWindowManyResponse;
import page_traffic.v1.PageTrafficServiceGetWindowRequest;
import page_traffic.v1.PageTrafficServiceSeriesRequest;
import page_traffic.v1.PageTrafficServiceWatchManyRequest;
import page_traffic.v1.PageTrafficServiceWatchRequest;

/**
 * Asks a list of questions by the client that `cargo murmur clients` has made for page-traffic, or for another program, whose
 * names stand here then.
 *
 * <pre>
 * Questions URL FILE      FILE has a JSON array of {"method": .., "request": ..}; prints one of {"reply": ..} and
 *                         {"error": {"code": .., "message": ..}}, with the number of gRPC's code
 * </pre>
 */
final class Questions {
  /** Long, as a machine that is busy is no reason to fail. */
  private static final java.time.Duration PATIENCE = java.time.Duration.ofSeconds(300);

  private final String url;
  private final PageTrafficClient client;

  private Questions(String url, PageTrafficClient client) {
    this.url = url;
    this.client = client;
  }

  private static PageTrafficClient.Builder builder(String url) {
    return PageTrafficClient.builder(url).timeout(PATIENCE);
  }

  private static <B extends Message.Builder> B read(JsonElement request, B into) {
    try {
      JsonFormat.parser().merge(request.toString(), into);
      return into;
    } catch (InvalidProtocolBufferException error) {
      throw new IllegalArgumentException(error);
    }
  }

  private static JsonElement plain(MessageOrBuilder message) {
    try {
      return JsonParser.parseString(JsonFormat.printer().print(message));
    } catch (InvalidProtocolBufferException error) {
      throw new IllegalStateException(error);
    }
  }

  private static Instant at(Timestamp instant) {
    return Instant.ofEpochSecond(instant.getSeconds(), instant.getNanos());
  }

  private static java.time.Duration span(Duration length) {
    return java.time.Duration.ofSeconds(length.getSeconds(), length.getNanos());
  }

  private MessageOrBuilder answer(String method, JsonElement request) {
    switch (method) {
      case "Get": {
        var of = read(request, PageTrafficServiceGetRequest.newBuilder());
        if (!of.hasOptions()) return client.get(of.getKey());
        try (var reading = builder(url).options(of.getOptions()).build()) {
          return reading.get(of.getKey());
        }
      }
      case "GetMany": {
        var of = read(request, PageTrafficServiceGetManyRequest.newBuilder());
        var entries = client.getMany(of.getKeysList());
        return PageTrafficServiceGetManyResponse.newBuilder().addAllEntries(entries);
      }
      case "GetWindow": {
        var of = read(request, PageTrafficServiceGetWindowRequest.newBuilder());
        var end = of.hasEnd() ? at(of.getEnd()) : null;
        if (of.hasCalendar()) return client.calendar(of.getKey(), of.getCalendar(), end);
        return client.window(of.getKey(), span(of.getWindow()), end);
      }
      case "GetWindowMany": {
        var of = read(request, PageTrafficServiceGetWindowManyRequest.newBuilder());
        var end = of.hasEnd() ? at(of.getEnd()) : null;
        var entries =
            of.hasCalendar()
                ? client.calendarMany(of.getKeysList(), of.getCalendar(), end)
                : client.windowMany(of.getKeysList(), span(of.getWindow()), end);
        return PageTrafficServiceGetWindowManyResponse.newBuilder().addAllEntries(entries);
      }
      case "GetRange": {
        var of = read(request, PageTrafficServiceGetRangeRequest.newBuilder());
        return client.range(of.getKey(), at(of.getStart()), at(of.getEnd()));
      }
      case "GetRangeMany": {
        var of = read(request, PageTrafficServiceGetRangeManyRequest.newBuilder());
        var entries = client.rangeMany(of.getKeysList(), at(of.getStart()), at(of.getEnd()));
        return PageTrafficServiceGetRangeManyResponse.newBuilder().addAllEntries(entries);
      }
      case "Series": {
        var of = read(request, PageTrafficServiceSeriesRequest.newBuilder());
        var end = of.hasEnd() ? at(of.getEnd()) : null;
        if (of.hasCalendar()) {
          var step = of.hasCalendarStep() ? of.getCalendarStep() : null;
          return client.calendarSeries(of.getKey(), of.getCalendar(), end, step);
        }
        return client.series(of.getKey(), at(of.getStart()), end, of.hasStep() ? span(of.getStep()) : null);
      }
      case "CombineSets": {
        var of = read(request, PageTrafficServiceCombineSetsRequest.newBuilder());
        return client.combineSets(of.getSetsList(), of.getOperation(), of.getField());
      }
      case "Watch": {
        var of = read(request, PageTrafficServiceWatchRequest.newBuilder());
        var window = of.hasWindow() ? span(of.getWindow()) : null;
        try (var watching = of.hasCalendar() ? client.watch(of.build()) : client.watch(of.getKey(), window)) {
          return watching.next();
        }
      }
      case "WatchMany": {
        var of = read(request, PageTrafficServiceWatchManyRequest.newBuilder());
        var window = of.hasWindow() ? span(of.getWindow()) : null;
        try (var watching =
            of.hasCalendar() ? client.watchMany(of.build()) : client.watchMany(of.getKeysList(), window)) {
          return watching.next();
        }
      }
      default:
        throw new IllegalArgumentException("there is no method `" + method + "`");
    }
  }

  private JsonObject ended(JsonObject question) {
    JsonObject ended = new JsonObject();
    try {
      ended.add("reply", plain(answer(question.get("method").getAsString(), question.get("request"))));
    } catch (StatusRuntimeException error) {
      JsonObject said = new JsonObject();
      said.addProperty("code", error.getStatus().getCode().value());
      said.addProperty("message", error.getStatus().getDescription());
      ended.add("error", said);
    }
    return ended;
  }

  public static void main(String[] arguments) throws IOException {
    var questions = JsonParser.parseString(Files.readString(Path.of(arguments[1]))).getAsJsonArray();
    JsonArray answers = new JsonArray();
    try (var client = builder(arguments[0]).build()) {
      var asking = new Questions(arguments[0], client);
      questions.forEach(question -> answers.add(asking.ended(question.getAsJsonObject())));
    }
    new PrintStream(System.out, true, StandardCharsets.UTF_8).println(new Gson().toJson(answers));
  }
}
