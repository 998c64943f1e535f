import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * What Kafka Connect's own classes make of records. The records stand in the lines of the input, in base64 as JsonConverter
 * writes them with their schemas; for each line there is one of the output.
 *
 * converters: a line is a class, its settings as a=b,c=d or nothing, and a record. The answer is its bytes in hexadecimal,
 * `null`, or `refused`.
 * transforms: a line is a chain as JSON, a list of maps of which `type` is the class, the topic, the key (`-` is none) and the
 * value. The answer is topic, key and value likewise and the headers, `dropped`, or `failed` and why.
 */
public class ConnectRecords {
    private static final JsonConverter JSON = new JsonConverter();
    private static final SimpleHeaderConverter HEADERS = new SimpleHeaderConverter();
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final Map<String, Converter> CONVERTERS = new HashMap<>();

    public static void main(String[] args) throws Exception {
        JSON.configure(Map.of("schemas.enable", "true"), false);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t", -1);
            out.append(args[0].equals("converters") ? converted(words) : transformed(words)).append('\n');
        }
        System.out.print(out);
    }

    private static String converted(String[] words) {
        Converter converter = CONVERTERS.computeIfAbsent(words[0] + words[1], name -> converter(words));
        SchemaAndValue record = read(words[2]);
        try {
            byte[] bytes = converter.fromConnectData("t", record.schema(), record.value());
            return bytes == null ? "null" : HexFormat.of().formatHex(bytes);
        } catch (DataException | ClassCastException refused) {
            return "refused";
        }
    }

    private static Converter converter(String[] words) {
        try {
            Converter converter = (Converter) Class.forName(words[0]).getDeclaredConstructor().newInstance();
            Map<String, String> settings = new HashMap<>();
            for (String setting : words[1].isEmpty() ? new String[0] : words[1].split(",")) {
                settings.put(setting.split("=")[0], setting.split("=")[1]);
            }
            converter.configure(settings, false);
            return converter;
        } catch (ReflectiveOperationException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static String transformed(String[] words) {
        try {
            return applied(MAPPER.readValue(words[0], new TypeReference<>() { }), words[1], words[2], words[3]);
        } catch (Exception failed) {
            return "failed " + String.valueOf(failed).replaceAll("\\s+", " ");
        }
    }

    private static String applied(List<Map<String, String>> chain, String topic, String key, String value)
        throws Exception {
        SchemaAndValue keyed = key.equals("-") ? SchemaAndValue.NULL : read(key);
        SchemaAndValue valued = read(value);
        SourceRecord record = new SourceRecord(Map.of(), Map.of(), topic, null, keyed.schema(), keyed.value(),
            valued.schema(), valued.value());
        for (Map<String, String> settings : chain) {
            @SuppressWarnings("unchecked")
            Transformation<SourceRecord> transform = (Transformation<SourceRecord>)
                Class.forName(settings.get("type")).getDeclaredConstructor().newInstance();
            transform.configure(settings);
            record = transform.apply(record);
            if (record == null) {
                return "dropped";
            }
        }
        return record.topic() + "\t" + written(record.keySchema(), record.key()) + "\t"
            + written(record.valueSchema(), record.value()) + "\t" + headers(record);
    }

    private static String headers(SourceRecord record) {
        StringBuilder text = new StringBuilder();
        for (Header header : record.headers()) {
            byte[] bytes = HEADERS.fromConnectHeader(record.topic(), header.key(), header.schema(), header.value());
            text.append(header.key()).append('=').append(bytes == null ? "null" : HexFormat.of().formatHex(bytes)).append(';');
        }
        return text.toString();
    }

    private static SchemaAndValue read(String text) {
        SchemaAndValue read = JSON.toConnectData("t", Base64.getDecoder().decode(text));
        return new SchemaAndValue(read.schema(), ofJdbc(read.schema(), read.value()));
    }

    private static String written(Schema schema, Object value) {
        byte[] bytes = JSON.fromConnectData("t", schema, value);
        return bytes == null ? "-" : Base64.getEncoder().encodeToString(bytes);
    }

    /** The objects that a JDBC source hands over. */
    private static Object ofJdbc(Schema schema, Object value) {
        if (value instanceof Struct) {
            Struct struct = new Struct(schema);
            for (Field field : schema.fields()) {
                struct.put(field, ofJdbc(field.schema(), ((Struct) value).get(field)));
            }
            return struct;
        }
        if (!(value instanceof java.util.Date)) {
            return value;
        }
        long millis = ((java.util.Date) value).getTime();
        if (schema.name().endsWith(".Timestamp")) {
            return new java.sql.Timestamp(millis);
        }
        return schema.name().endsWith(".Date") ? new java.sql.Date(millis) : new java.sql.Time(millis);
    }
}
