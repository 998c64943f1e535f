import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileOutputStream;
import java.io.ObjectOutputStream;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.runtime.distributed.DistributedConfig;
import org.apache.kafka.connect.runtime.standalone.StandaloneConfig;
import org.apache.kafka.connect.storage.FileOffsetBackingStore;
import org.apache.kafka.connect.storage.KafkaOffsetBackingStore;
import org.apache.kafka.connect.storage.OffsetBackingStore;
import org.apache.kafka.connect.storage.OffsetStorageReaderImpl;
import org.apache.kafka.connect.storage.OffsetStorageWriter;
import org.apache.kafka.connect.util.TopicAdmin;

/**
 * What a worker of Kafka Connect does with offsets, by its own classes. A PLACE is the file of a standalone
 * worker, or BOOTSTRAP/TOPIC of a distributed one.
 *
 * read PLACE (CONNECTOR PARTITION)...: one line for each, the offset or null
 * write PLACE (CONNECTOR PARTITION OFFSET)...: stores them; an offset may be null
 * map FILE COUNT SEED: a plain map of byte arrays, its entries in hexadecimal, one a line
 */
public class ConnectOffsets {
    private static final ObjectMapper JSON =
        new ObjectMapper().enable(DeserializationFeature.USE_LONG_FOR_INTS);

    public static void main(String[] args) throws Exception {
        if (args[0].equals("map")) {
            map(args[1], Integer.parseInt(args[2]), Long.parseLong(args[3]));
            return;
        }
        JsonConverter keys = converter(true);
        JsonConverter values = converter(false);
        OffsetBackingStore store = args[1].startsWith("/") ? file(args[1], keys) : topic(args[1].split("/"), keys);
        store.start();
        if (args[0].equals("read")) {
            for (int i = 2; i < args.length; i += 2) {
                Map<String, Object> offset =
                    new OffsetStorageReaderImpl(store, args[i], keys, values).offset(object(args[i + 1]));
                System.out.println(JSON.writeValueAsString(offset));
            }
        } else {
            for (int i = 2; i < args.length; i += 3) {
                OffsetStorageWriter writer = new OffsetStorageWriter(store, args[i], keys, values);
                writer.offset(object(args[i + 1]), object(args[i + 2]));
                writer.beginFlush();
                writer.doFlush((error, ignored) -> { }).get(10, TimeUnit.SECONDS);
            }
        }
        store.stop();
        // What a client still does in the background is of no interest.
        System.exit(0);
    }

    private static Map<String, String> worker(String bootstrap) {
        Map<String, String> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("key.converter", JsonConverter.class.getName());
        config.put("value.converter", JsonConverter.class.getName());
        return config;
    }

    private static OffsetBackingStore file(String file, JsonConverter keys) {
        Map<String, String> config = worker("127.0.0.1:1");
        config.put("offset.storage.file.filename", file);
        OffsetBackingStore store = new FileOffsetBackingStore(keys);
        store.configure(new StandaloneConfig(config));
        return store;
    }

    private static OffsetBackingStore topic(String[] place, JsonConverter keys) {
        Map<String, String> config = worker(place[0]);
        config.put("group.id", "worker");
        config.put("offset.storage.topic", place[1]);
        config.put("offset.storage.replication.factor", "1");
        config.put("config.storage.topic", "unused");
        config.put("status.storage.topic", "unused");
        TopicAdmin admin = new TopicAdmin(Map.of("bootstrap.servers", place[0]));
        OffsetBackingStore store = new KafkaOffsetBackingStore(() -> admin, () -> "worker", keys);
        store.configure(new DistributedConfig(config));
        return store;
    }

    private static JsonConverter converter(boolean isKey) {
        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", "false"), isKey);
        return converter;
    }

    /** As connectors make them: a HashMap of the default capacity, filled one by one; its order follows from that. */
    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(String json) throws Exception {
        Map<String, Object> parsed = JSON.readValue(json, Map.class);
        if (parsed == null) {
            return null;
        }
        Map<String, Object> map = new HashMap<>();
        parsed.forEach(map::put);
        return map;
    }

    private static void map(String file, int count, long seed) throws Exception {
        Random random = new Random(seed);
        Map<byte[], byte[]> map = new HashMap<>();
        for (int i = 0; i < count; i++) {
            map.put(bytes(random), random.nextInt(5) == 0 ? null : bytes(random));
        }
        try (ObjectOutputStream out = new ObjectOutputStream(new FileOutputStream(file))) {
            out.writeObject(map);
        }
        HexFormat hex = HexFormat.of();
        map.forEach((key, value) ->
            System.out.println(hex.formatHex(key) + "=" + (value == null ? "null" : hex.formatHex(value))));
    }

    private static byte[] bytes(Random random) {
        byte[] bytes = new byte[random.nextInt(4) == 0 ? random.nextInt(70_000) : random.nextInt(300)];
        random.nextBytes(bytes);
        return bytes;
    }
}
