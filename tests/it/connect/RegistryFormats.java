import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.ByteString;
import com.google.protobuf.DescriptorProtos.DescriptorProto;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.OneofDescriptorProto;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.TimestampProto;
import com.google.protobuf.WrappersProto;
import com.google.protobuf.util.JsonFormat;
import com.google.type.DateProto;
import com.google.type.TimeOfDayProto;
import com.squareup.wire.schema.Location;
import com.squareup.wire.schema.internal.parser.FieldElement;
import com.squareup.wire.schema.internal.parser.MessageElement;
import com.squareup.wire.schema.internal.parser.ProtoFileElement;
import com.squareup.wire.schema.internal.parser.ProtoParser;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.Base64;
import java.util.Date;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;
import org.everit.json.schema.BooleanSchema;
import org.everit.json.schema.CombinedSchema;
import org.everit.json.schema.NullSchema;
import org.everit.json.schema.NumberSchema;
import org.everit.json.schema.ObjectSchema;
import org.everit.json.schema.StringSchema;

/**
 * What the libraries under Confluent's converters make of records, which stand in the lines of the input in base64 as
 * JsonConverter writes them with their schemas; for each line there is one of the output.
 *
 * json-schema: a line is whether objects are open, and a record. The answer is its schema as everit-json-schema prints it,
 * with the branches for null as they are put in.
 * protobuf: a line is a proto file in base64, and a record. The answer is the record's bytes in hexadecimal as protobuf-java
 * writes them by that file, and its JSON.
 */
public class RegistryFormats {
    private static final JsonConverter JSON = new JsonConverter();
    private static final ObjectMapper MAPPER = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        JSON.configure(Map.of("schemas.enable", "true"), false);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t", -1);
            byte[] bytes = Base64.getDecoder().decode(words[1]);
            SchemaAndValue record = JSON.toConnectData("t", bytes);
            out.append(args[0].equals("protobuf") ? protobuf(words[0], record)
                : jsonSchema(record.schema(), Boolean.parseBoolean(words[0]))).append('\n');
        }
        System.out.write(out.toString().getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    private static String jsonSchema(Schema schema, boolean isOpen) throws Exception {
        if (schema.type() != Schema.Type.STRUCT) {
            return printed(field(schema, null));
        }
        ObjectSchema.Builder object = ObjectSchema.builder();
        for (Field field : schema.fields()) {
            object.addPropertySchema(field.name(), field(field.schema(), field.index()));
        }
        if (!isOpen) {
            object.additionalProperties(false);
        }
        Map<String, Object> others = new HashMap<>();
        if (schema.version() != null) {
            others.put("connect.version", schema.version());
        }
        return printed(object.title(schema.name()).unprocessedProperties(others).build());
    }

    private static String printed(org.everit.json.schema.Schema schema) throws Exception {
        return MAPPER.writeValueAsString(MAPPER.readTree(schema.toString()));
    }

    private static org.everit.json.schema.Schema field(Schema schema, Integer index) {
        Map<String, Object> others = new HashMap<>();
        org.everit.json.schema.Schema.Builder<?> builder = typed(schema, others);
        if (schema.name() != null) {
            builder.title(schema.name());
        }
        if (schema.version() != null) {
            others.put("connect.version", schema.version());
        }
        if (schema.parameters() != null) {
            others.put("connect.parameters", new HashMap<>(schema.parameters()));
        }
        if (schema.isOptional()) {
            CombinedSchema.Builder either = CombinedSchema.builder().criterion(CombinedSchema.ONE_CRITERION)
                .subschema(NullSchema.INSTANCE).subschema(builder.unprocessedProperties(others).build());
            builder = either;
            others = new HashMap<>();
        }
        if (index != null) {
            others.put("connect.index", index);
        }
        return builder.unprocessedProperties(others).build();
    }

    private static org.everit.json.schema.Schema.Builder<?> typed(Schema schema, Map<String, Object> others) {
        switch (schema.type()) {
            case BOOLEAN:
                return BooleanSchema.builder();
            case STRING:
                return StringSchema.builder();
            case BYTES:
                others.put("connect.type", "bytes");
                return schema.name() == null ? StringSchema.builder() : NumberSchema.builder();
            default:
                others.put("connect.type", schema.type().getName());
                return NumberSchema.builder().requiresInteger(schema.type().getName().startsWith("int"));
        }
    }

    private static String protobuf(String file, SchemaAndValue record) throws Exception {
        Descriptor message = described(new String(Base64.getDecoder().decode(file), StandardCharsets.UTF_8));
        DynamicMessage.Builder builder = DynamicMessage.newBuilder(message);
        Struct struct = (Struct) record.value();
        for (Field field : record.schema().fields()) {
            Object value = struct.get(field);
            FieldDescriptor target = message.findFieldByNumber(field.index() + 1);
            if (value != null) {
                builder.setField(target, converted(target, value));
            }
        }
        DynamicMessage built = builder.build();
        String json = JsonFormat.printer().alwaysPrintFieldsWithNoPresence().omittingInsignificantWhitespace().print(built);
        return HexFormat.of().formatHex(built.toByteArray()) + "\t" + json;
    }

    /** The first message of a file, as another parser reads it. */
    private static Descriptor described(String text) throws Exception {
        ProtoFileElement parsed = ProtoParser.Companion.parse(Location.get("t.proto"), text);
        MessageElement message = (MessageElement) parsed.getTypes().get(0);
        DescriptorProto.Builder fields = DescriptorProto.newBuilder().setName(message.getName());
        for (FieldElement field : message.getFields()) {
            FieldDescriptorProto.Builder builder = FieldDescriptorProto.newBuilder().setName(field.getName())
                .setNumber(field.getTag());
            if (field.getType().contains(".")) {
                builder.setTypeName(field.getType());
            } else {
                builder.setType(FieldDescriptorProto.Type.valueOf("TYPE_" + field.getType().toUpperCase()));
            }
            if (field.getLabel() != null) {
                builder.setProto3Optional(true).setOneofIndex(fields.getOneofDeclCount());
                fields.addOneofDecl(OneofDescriptorProto.newBuilder().setName("_" + field.getName()));
            }
            fields.addField(builder);
        }
        FileDescriptorProto.Builder file = FileDescriptorProto.newBuilder().setName("t.proto").setSyntax("proto3")
            .setPackage(parsed.getPackageName() == null ? "" : parsed.getPackageName()).addMessageType(fields);
        FileDescriptor[] imports = new FileDescriptor[parsed.getImports().size()];
        for (int at = 0; at < imports.length; at++) {
            imports[at] = known(parsed.getImports().get(at));
            file.addDependency(imports[at].getName());
        }
        return FileDescriptor.buildFrom(file.build(), imports).getMessageTypes().get(0);
    }

    private static FileDescriptor known(String name) throws Exception {
        switch (name) {
            case "google/protobuf/timestamp.proto":
                return TimestampProto.getDescriptor();
            case "google/protobuf/wrappers.proto":
                return WrappersProto.getDescriptor();
            case "google/type/date.proto":
                return DateProto.getDescriptor();
            case "google/type/timeofday.proto":
                return TimeOfDayProto.getDescriptor();
            default:
                DescriptorProto.Builder decimal = DescriptorProto.newBuilder().setName("Decimal");
                String[] members = {"value", "precision", "scale"};
                FieldDescriptorProto.Type[] types = {FieldDescriptorProto.Type.TYPE_BYTES,
                    FieldDescriptorProto.Type.TYPE_UINT32, FieldDescriptorProto.Type.TYPE_INT32};
                for (int at = 0; at < members.length; at++) {
                    decimal.addField(FieldDescriptorProto.newBuilder().setName(members[at]).setNumber(at + 1)
                        .setType(types[at]));
                }
                return FileDescriptor.buildFrom(FileDescriptorProto.newBuilder().setName(name).setSyntax("proto3")
                    .setPackage("confluent.type").addMessageType(decimal).build(), new FileDescriptor[0]);
        }
    }

    /** A value as the field's type wants it: a scalar, or a message of one of the known types. */
    private static Object converted(FieldDescriptor field, Object value) {
        if (field.getJavaType() != FieldDescriptor.JavaType.MESSAGE) {
            return scalar(field, value);
        }
        Descriptor type = field.getMessageType();
        switch (type.getFullName()) {
            case "google.protobuf.Timestamp":
                Instant instant = ((Date) value).toInstant();
                return message(type, instant.getEpochSecond(), instant.getNano());
            case "google.type.Date":
                LocalDate date = ((Date) value).toInstant().atOffset(ZoneOffset.UTC).toLocalDate();
                return message(type, date.getYear(), date.getMonthValue(), date.getDayOfMonth());
            case "google.type.TimeOfDay":
                long millis = ((Date) value).getTime();
                return message(type, (int) (millis / 3600000), (int) (millis / 60000 % 60), (int) (millis / 1000 % 60),
                    (int) (millis % 1000 * 1000000));
            case "confluent.type.Decimal":
                BigDecimal decimal = (BigDecimal) value;
                return message(type, ByteString.copyFrom(decimal.unscaledValue().toByteArray()), decimal.precision(),
                    decimal.scale());
            default:
                return message(type, scalar(type.findFieldByNumber(1), value));
        }
    }

    private static DynamicMessage message(Descriptor type, Object... values) {
        DynamicMessage.Builder builder = DynamicMessage.newBuilder(type);
        for (int at = 0; at < values.length; at++) {
            builder.setField(type.findFieldByNumber(at + 1), values[at]);
        }
        return builder.build();
    }

    private static Object scalar(FieldDescriptor field, Object value) {
        switch (field.getJavaType()) {
            case INT:
                return ((Number) value).intValue();
            case BYTE_STRING:
                return ByteString.copyFrom(value instanceof byte[] ? ByteBuffer.wrap((byte[]) value) : (ByteBuffer) value);
            default:
                return value;
        }
    }
}
