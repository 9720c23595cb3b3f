import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.Timestamp;
import com.google.protobuf.util.Durations;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Timestamps;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.text.ParseException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import murmur_tests.v1.ByMeterClient;
import murmur_tests.v1.ByMeterKey;
import murmur_tests.v1.ByMeterServiceCombineSetsResponse;
import murmur_tests.v1.ByMeterServiceSetOperand;
import murmur_tests.v1.murmur.SetOperation;

/**
 * Asks by the client that `cargo murmur clients` has made for meters, whose key has a field of each type.
 *
 * <pre>
 * Meters URL QUESTION      prints a JSON object with all replies; QUESTION is one too
 * </pre>
 */
final class Meters {
  /** Long, as a machine that is busy is no reason to fail. */
  private static final Duration PATIENCE = Duration.ofSeconds(300);

  private static Timestamp instant(JsonElement text) {
    try {
      return Timestamps.parse(text.getAsString());
    } catch (ParseException error) {
      throw new IllegalArgumentException(error);
    }
  }

  private static ByMeterKey key(JsonArray fields) {
    return ByMeterKey.newBuilder()
        .setSerial(Long.parseUnsignedLong(fields.get(0).getAsString()))
        .setFloor(Long.parseLong(fields.get(1).getAsString()))
        .setIndoors(fields.get(2).getAsBoolean())
        .setSince(instant(fields.get(3)))
        .setPlace(fields.get(4).getAsString())
        .build();
  }

  private static List<JsonElement> plain(List<? extends MessageOrBuilder> messages) {
    List<JsonElement> out = new ArrayList<>();
    for (var message : messages) {
      try {
        out.add(JsonParser.parseString(JsonFormat.printer().print(message)));
      } catch (InvalidProtocolBufferException error) {
        throw new IllegalStateException(error);
      }
    }
    return out;
  }

  private static ByMeterServiceCombineSetsResponse combined(ByMeterClient client, List<ByMeterKey> keys, JsonObject asked) {
    List<ByMeterServiceSetOperand> sets = new ArrayList<>();
    for (var element : asked.getAsJsonArray("sets")) {
      JsonObject of = element.getAsJsonObject();
      var set = ByMeterServiceSetOperand.newBuilder().setKey(keys.get(of.get("key").getAsInt()));
      if (of.has("window")) set.setWindow(Durations.fromSeconds(of.get("window").getAsLong()));
      if (of.has("start")) set.setStart(instant(of.get("start"))).setEnd(instant(of.get("end")));
      sets.add(set.build());
    }
    return client.combineSets(
        sets, SetOperation.valueOf(asked.get("operation").getAsString()), asked.get("field").getAsString());
  }

  public static void main(String[] arguments) {
    JsonObject question = JsonParser.parseString(arguments[1]).getAsJsonObject();
    List<ByMeterKey> keys = new ArrayList<>();
    question.getAsJsonArray("keys").forEach(fields -> keys.add(key(fields.getAsJsonArray())));
    try (var client = ByMeterClient.builder(arguments[0]).timeout(PATIENCE).build();
        var watching = client.watchMany(keys, null)) {
      var watched = watching.next().getEntriesList();
      List<MessageOrBuilder> one = new ArrayList<>();
      keys.forEach(key -> one.add(client.get(key)));
      List<MessageOrBuilder> sets = new ArrayList<>();
      question.getAsJsonArray("sets").forEach(asked -> sets.add(combined(client, keys, asked.getAsJsonObject())));
      var answers = Map.of(
          "one", plain(one),
          "many", plain(client.getMany(keys)),
          "watched", plain(watched),
          "sets", plain(sets));
      new PrintStream(System.out, true, StandardCharsets.UTF_8).println(new Gson().toJson(answers));
    }
  }
}
