import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * What Kafka Connect's own transforms make of records. Each line of the input is a chain as JSON, a list of maps of which
 * `type` is the class, the topic, and in base64 key and value as JsonConverter writes them with their schemas; a key of
 * `-` is none. For each there is a line with topic, key and value likewise, `dropped`, or `failed` and why.
 */
public class ConnectTransforms {
    private static final JsonConverter JSON = new JsonConverter();

    public static void main(String[] args) throws Exception {
        JSON.configure(Map.of("schemas.enable", "true"), false);
        ObjectMapper mapper = new ObjectMapper();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t", -1);
            List<Map<String, String>> chain =
                mapper.readValue(words[0], new TypeReference<List<Map<String, String>>>() { });
            try {
                out.append(applied(chain, words[1], words[2], words[3]));
            } catch (Exception failed) {
                out.append("failed ").append(String.valueOf(failed).replaceAll("\\s+", " "));
            }
            out.append('\n');
        }
        System.out.print(out);
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
            + written(record.valueSchema(), record.value());
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
