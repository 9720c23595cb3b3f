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

  private final PageTrafficClient client;

  private Questions(PageTrafficClient client) {
    this.client = client;
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
        return (of.hasOptions() ? client.withOptions(of.getOptions()) : client).get(of.getKey());
      }
      case "GetMany": {
        var of = read(request, PageTrafficServiceGetManyRequest.newBuilder());
        var entries = client.getMany(of.getKeysList());
        return PageTrafficServiceGetManyResponse.newBuilder().addAllEntries(entries);
      }
      case "GetWindow": {
        var of = read(request, PageTrafficServiceGetWindowRequest.newBuilder());
        var key = of.getKey();
        if (of.hasCalendar()) {
          var calendar = of.getCalendar();
          return of.hasEnd() ? client.calendar(key, calendar, at(of.getEnd())) : client.calendar(key, calendar);
        }
        var window = span(of.getWindow());
        return of.hasEnd() ? client.window(key, window, at(of.getEnd())) : client.window(key, window);
      }
      case "GetWindowMany": {
        var of = read(request, PageTrafficServiceGetWindowManyRequest.newBuilder());
        var keys = of.getKeysList();
        var reply = PageTrafficServiceGetWindowManyResponse.newBuilder();
        if (of.hasCalendar()) {
          var calendar = of.getCalendar();
          return reply.addAllEntries(
              of.hasEnd() ? client.calendarMany(keys, calendar, at(of.getEnd())) : client.calendarMany(keys, calendar));
        }
        var window = span(of.getWindow());
        return reply.addAllEntries(
            of.hasEnd() ? client.windowMany(keys, window, at(of.getEnd())) : client.windowMany(keys, window));
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
        return of.hasCalendar() ? calendarSeries(of) : series(of);
      }
      case "CombineSets": {
        var of = read(request, PageTrafficServiceCombineSetsRequest.newBuilder());
        return client.combineSets(of.getSetsList(), of.getOperation(), of.getField());
      }
      case "Watch": {
        var of = read(request, PageTrafficServiceWatchRequest.newBuilder());
        try (var watching =
            of.hasCalendar()
                ? client.watch(of.build())
                : of.hasWindow() ? client.watch(of.getKey(), span(of.getWindow())) : client.watch(of.getKey())) {
          return watching.next();
        }
      }
      case "WatchMany": {
        var of = read(request, PageTrafficServiceWatchManyRequest.newBuilder());
        var keys = of.getKeysList();
        try (var watching =
            of.hasCalendar()
                ? client.watchMany(of.build())
                : of.hasWindow() ? client.watchMany(keys, span(of.getWindow())) : client.watchMany(keys)) {
          return watching.next();
        }
      }
      default:
        throw new IllegalArgumentException("there is no method `" + method + "`");
    }
  }

  private MessageOrBuilder calendarSeries(PageTrafficServiceSeriesRequest.Builder of) {
    var key = of.getKey();
    var calendar = of.getCalendar();
    if (of.hasEnd() && of.hasCalendarStep()) {
      return client.calendarSeries(key, calendar, at(of.getEnd()), of.getCalendarStep());
    }
    if (of.hasEnd()) return client.calendarSeries(key, calendar, at(of.getEnd()));
    if (of.hasCalendarStep()) return client.calendarSeries(key, calendar, of.getCalendarStep());
    return client.calendarSeries(key, calendar);
  }

  private MessageOrBuilder series(PageTrafficServiceSeriesRequest.Builder of) {
    var key = of.getKey();
    var start = at(of.getStart());
    if (of.hasEnd() && of.hasStep()) return client.series(key, start, at(of.getEnd()), span(of.getStep()));
    if (of.hasEnd()) return client.series(key, start, at(of.getEnd()));
    if (of.hasStep()) return client.series(key, start, span(of.getStep()));
    return client.series(key, start);
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
    try (var client = PageTrafficClient.builder(arguments[0]).timeout(PATIENCE).build()) {
      var asking = new Questions(client);
      questions.forEach(question -> answers.add(asking.ended(question.getAsJsonObject())));
    }
    new PrintStream(System.out, true, StandardCharsets.UTF_8).println(new Gson().toJson(answers));
  }
}
