import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;

/**
 * A topic of rows as Kafka Streams reads it: as a KTable and as a GlobalKTable, each joined with a stream of clicks on the keys.
 *
 * Arguments: brokers, the topic of the rows (keys and values are text), how many rows are in the table, and the keys that are
 * clicked on. The clicks go through Java's own producer, so that a join finds its row only if both producers partition alike.
 * Lines: `table|global`, `row|join`, key, value (`null` where a join finds none), by tabulators.
 */
public class StreamsTables {
    private static final Consumed<String, String> TEXTS = Consumed.with(Serdes.String(), Serdes.String());

    public static void main(String[] args) throws Exception {
        String brokers = args[0];
        String rows = args[1];
        int count = Integer.parseInt(args[2]);
        List<String> keys = List.of(args).subList(3, args.length);
        String clicks = rows + "_clicks";
        int partitions;
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", brokers))) {
            partitions = admin.describeTopics(List.of(rows)).allTopicNames().get().get(rows).partitions().size();
            admin.createTopics(List.of(new NewTopic(clicks, partitions, (short) 1))).all().get();
        }
        Map<String, String> joinedByTable = new ConcurrentHashMap<>();
        Map<String, String> joinedByGlobal = new ConcurrentHashMap<>();
        StreamsBuilder withTable = new StreamsBuilder();
        KTable<String, String> table = withTable.table(rows, TEXTS, Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as("rows"));
        withTable.stream(clicks, TEXTS)
            .leftJoin(table, (click, row) -> String.valueOf(row), Joined.with(Serdes.String(), Serdes.String(), Serdes.String()))
            .foreach(joinedByTable::put);
        StreamsBuilder withGlobal = new StreamsBuilder();
        GlobalKTable<String, String> global =
            withGlobal.globalTable(rows, TEXTS, Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as("rows"));
        withGlobal.stream(clicks, TEXTS)
            .leftJoin(global, (key, click) -> key, (click, row) -> String.valueOf(row))
            .foreach(joinedByGlobal::put);
        try (KafkaStreams first = started(withTable, brokers, clicks + "_table");
             KafkaStreams second = started(withGlobal, brokers, clicks + "_global")) {
            await("the tables", () -> rowsOf(first).size() == count && rowsOf(second).size() == count);
            Map<String, Object> settings = Map.of("bootstrap.servers", brokers);
            try (KafkaProducer<String, String> producer =
                     new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
                for (String key : keys) {
                    producer.send(new ProducerRecord<>(clicks, key, "click"));
                }
            }
            await("the joins", () -> joinedByTable.size() == keys.size() && joinedByGlobal.size() == keys.size());
            print("table\trow", rowsOf(first));
            print("table\tjoin", joinedByTable);
            print("global\trow", rowsOf(second));
            print("global\tjoin", joinedByGlobal);
        }
    }

    private static KafkaStreams started(StreamsBuilder builder, String brokers, String id) throws Exception {
        Properties settings = new Properties();
        settings.put("application.id", id);
        settings.put("bootstrap.servers", brokers);
        settings.put("state.dir", Files.createTempDirectory("streams").toString());
        settings.put("default.key.serde", Serdes.StringSerde.class);
        settings.put("default.value.serde", Serdes.StringSerde.class);
        settings.put("consumer.isolation.level", "read_committed");
        settings.put("global.consumer.isolation.level", "read_committed");
        settings.put("restore.consumer.isolation.level", "read_committed");
        settings.put("consumer.auto.offset.reset", "earliest");
        settings.put("commit.interval.ms", "100");
        settings.put("statestore.cache.max.bytes", "0");
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.start();
        return streams;
    }

    private static Map<String, String> rowsOf(KafkaStreams streams) {
        Map<String, String> rows = new TreeMap<>();
        if (streams.state() != KafkaStreams.State.RUNNING) {
            return rows;
        }
        ReadOnlyKeyValueStore<String, String> store =
            streams.store(StoreQueryParameters.fromNameAndType("rows", QueryableStoreTypes.keyValueStore()));
        try (var all = store.all()) {
            all.forEachRemaining(row -> rows.put(row.key, row.value));
        }
        return rows;
    }

    private static void await(String what, BooleanSupplier isThere) throws InterruptedException {
        long deadline = System.nanoTime() + 90_000_000_000L;
        while (!isThere.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("timed out waiting for " + what);
            }
            Thread.sleep(50);
        }
    }

    private static void print(String what, Map<String, String> rows) {
        new TreeMap<>(rows).forEach((key, value) -> System.out.println(what + "\t" + key + "\t" + value));
    }
}
