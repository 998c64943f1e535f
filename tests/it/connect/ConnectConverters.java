import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;

/**
 * What Kafka Connect's own converters write. Each line of the input is a record: the class, the settings as a=b,c=d or
 * nothing, and, in base64, the record as JsonConverter writes it with its schema. For each there is a line with the bytes
 * in hexadecimal, `null`, or `refused`.
 */
public class ConnectConverters {
    public static void main(String[] args) throws Exception {
        JsonConverter reader = new JsonConverter();
        reader.configure(Map.of("schemas.enable", "true"), false);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        Map<String, Converter> converters = new HashMap<>();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t", -1);
            Converter converter = converters.computeIfAbsent(words[0] + words[1], name -> converter(words));
            SchemaAndValue record = reader.toConnectData("t", Base64.getDecoder().decode(words[2]));
            Object value = ofJdbc(record.schema(), record.value());
            try {
                byte[] bytes = converter.fromConnectData("t", record.schema(), value);
                out.append(bytes == null ? "null" : HexFormat.of().formatHex(bytes)).append('\n');
            } catch (DataException | ClassCastException refused) {
                out.append("refused\n");
            }
        }
        System.out.print(out);
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
