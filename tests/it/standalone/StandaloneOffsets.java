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
import org.apache.kafka.connect.runtime.standalone.StandaloneConfig;
import org.apache.kafka.connect.storage.FileOffsetBackingStore;
import org.apache.kafka.connect.storage.OffsetStorageReaderImpl;
import org.apache.kafka.connect.storage.OffsetStorageWriter;

/**
 * What a standalone worker does with the file of its offsets, by its own classes.
 *
 * read FILE (CONNECTOR PARTITION)...: one line for each, the offset or null
 * write FILE (CONNECTOR PARTITION OFFSET)...: stores them; an offset may be null
 * map FILE COUNT SEED: a plain map of byte arrays, its entries in hexadecimal, one a line
 */
public class StandaloneOffsets {
    private static final ObjectMapper JSON =
        new ObjectMapper().enable(DeserializationFeature.USE_LONG_FOR_INTS);

    public static void main(String[] args) throws Exception {
        if (args[0].equals("map")) {
            map(args[1], Integer.parseInt(args[2]), Long.parseLong(args[3]));
            return;
        }
        JsonConverter keys = converter(true);
        JsonConverter values = converter(false);
        FileOffsetBackingStore store = new FileOffsetBackingStore(keys);
        store.configure(new StandaloneConfig(Map.of(
            "bootstrap.servers", "127.0.0.1:1",
            "key.converter", "org.apache.kafka.connect.json.JsonConverter",
            "value.converter", "org.apache.kafka.connect.json.JsonConverter",
            "offset.storage.file.filename", args[1])));
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
    }

    private static JsonConverter converter(boolean isKey) {
        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", "false"), isKey);
        return converter;
    }

    /** As connectors make them: a HashMap, whose order is Java's. */
    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(String json) throws Exception {
        Map<String, Object> parsed = JSON.readValue(json, Map.class);
        return parsed == null ? null : new HashMap<>(parsed);
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
