import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Views per page and hour by Kafka Streams, from a topic whose messages are keyed by page.
 *
 * <p>Arguments: brokers, topic, number of events, at_least_once or exactly_once_v2, folder for state, file for the counts
 * (page, start of the hour in milliseconds and count, separated by tabs). Prints one JSON object: CPU and wall time from
 * the start of the JVM until everything is counted and committed, and the peak of resident memory.
 */
public final class HourlyViews {
  @JsonIgnoreProperties(ignoreUnknown = true)
  public static final class View {
    public String page_id;
    public long viewed_at;
  }

  public static void main(String[] args) throws Exception {
    String brokers = args[0], topic = args[1], guarantee = args[3], state = args[4];
    long events = Long.parseLong(args[2]);
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, topic + "-" + guarantee);
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    properties.put(StreamsConfig.STATE_DIR_CONFIG, state);
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee);
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    properties.put("auto.offset.reset", "earliest");

    ObjectReader reader = new ObjectMapper().readerFor(View.class);
    Serde<View> views = Serdes.serdeFrom((to, view) -> { throw new UnsupportedOperationException(); }, (from, bytes) -> {
      try {
        return reader.readValue(bytes);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    });
    AtomicLong seen = new AtomicLong();
    CountDownLatch all = new CountDownLatch(1);
    StreamsBuilder builder = new StreamsBuilder();
    builder
        .stream(topic, Consumed.with(Serdes.String(), views)
            .withTimestampExtractor((record, before) -> ((View) record.value()).viewed_at))
        .groupByKey(Grouped.with(Serdes.String(), views))
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofHours(1), Duration.ofHours(12)))
        .aggregate(() -> 0L, (page, view, count) -> {
          if (seen.incrementAndGet() == events) {
            all.countDown();
          }
          return count + 1;
        }, Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("hours")
            .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()).withRetention(Duration.ofHours(24)));

    KafkaStreams streams = new KafkaStreams(builder.build(), properties);
    streams.start();
    if (!all.await(600, TimeUnit.SECONDS)) {
      throw new IllegalStateException("only " + seen + " of " + events + " events came");
    }
    double counted = cpuSeconds();
    long countedAt = System.nanoTime();
    dump(streams, Path.of(args[5]));
    double dumped = cpuSeconds();
    long dumpedAt = System.nanoTime();
    streams.close(Duration.ofSeconds(60));
    double started = ManagementFactory.getRuntimeMXBean().getUptime() / 1e3;
    System.out.printf(Locale.ROOT, "{\"cpu_s\":%.3f,\"wall_s\":%.3f,\"rss_mib\":%d}%n",
        cpuSeconds() - (dumped - counted), started - (dumpedAt - countedAt) / 1e9, peakMebibytes());
    System.exit(0);
  }

  private static void dump(KafkaStreams streams, Path file) throws IOException {
    var store = streams.store(StoreQueryParameters.fromNameAndType("hours", QueryableStoreTypes.<String, Long>windowStore()));
    try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(file)); var rows = store.all()) {
      while (rows.hasNext()) {
        var row = rows.next();
        out.printf("%s\t%d\t%d%n", row.key.key(), row.key.window().start(), row.value);
      }
    }
  }

  private static double cpuSeconds() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
  }

  private static long peakMebibytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM")) {
        return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
      }
    }
    return 0;
  }
}
