import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Flink SQL in one process. The argument is a file of statements; each SELECT is read to its end. Its changes go to the
 * output line by line, behind the number of the query, counted from 0: the kind (+I, -U, +U, -D), then the values, with
 * tabs between.
 */
public class FlinkReaders {
    public static void main(String[] words) throws Exception {
        TableEnvironment flink = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        flink.getConfig().set("parallelism.default", "1");
        flink.getConfig().set("table.local-time-zone", "UTC");
        int query = 0;
        for (String statement : Files.readString(Path.of(words[0])).split(";\\s*\\n")) {
            String text = statement.replaceAll("(?m)^--.*$", "").strip();
            if (text.isEmpty()) {
                continue;
            }
            if (text.toUpperCase().startsWith("SET ")) {
                String[] parts = text.substring(4).split("=", 2);
                flink.getConfig().set(unquoted(parts[0]), unquoted(parts[1]));
            } else if (text.toUpperCase().startsWith("SELECT")) {
                try (CloseableIterator<Row> rows = flink.executeSql(text).collect()) {
                    while (rows.hasNext()) {
                        print(query, rows.next());
                    }
                }
                query++;
            } else {
                flink.executeSql(text);
            }
        }
        System.exit(0);
    }

    private static void print(int query, Row row) {
        StringBuilder line = new StringBuilder().append(query).append('\t').append(row.getKind().shortString());
        for (int column = 0; column < row.getArity(); column++) {
            line.append('\t').append(row.getField(column));
        }
        System.out.println(line);
    }

    private static String unquoted(String text) {
        return text.strip().replaceAll("^'|'$", "");
    }
}
