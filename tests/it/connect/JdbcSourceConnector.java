// A stand-in for the JDBC source connector, for a real Kafka Connect worker that has no such plugin: it has the name, the
// version and some keys, makes the task configurations that the real one makes, and delivers one record.
package io.confluent.connect.jdbc;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.Importance;
import org.apache.kafka.common.config.ConfigDef.Type;
import org.apache.kafka.common.config.ConfigDef.Width;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.source.ExactlyOnceSupport;
import org.apache.kafka.connect.source.SourceConnector;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTask;

public class JdbcSourceConnector extends SourceConnector {
    static final ConfigDef CONFIG = new ConfigDef()
        .define("connection.url", Type.STRING, ConfigDef.NO_DEFAULT_VALUE, Importance.HIGH, "Where the database is.",
            "Database", 1, Width.LONG, "JDBC URL", List.of("table.whitelist"))
        .define("connection.user", Type.STRING, null, Importance.HIGH, "The user.", "Database", 2, Width.LONG, "JDBC User")
        .define("connection.password", Type.PASSWORD, null, Importance.HIGH, "The password.", "Database", 3, Width.SHORT,
            "JDBC Password")
        .define("table.whitelist", Type.LIST, "", Importance.MEDIUM, "The tables.", "Database", 4, Width.LONG, "Table Whitelist")
        .define("mode", Type.STRING, "", ConfigDef.ValidString.in("", "bulk", "timestamp", "incrementing", "timestamp+incrementing"),
            Importance.HIGH, "The mode.", "Mode", 1, Width.MEDIUM, "Table Loading Mode")
        .define("incrementing.column.name", Type.STRING, "", Importance.MEDIUM, "The id.", "Mode", 2, Width.MEDIUM,
            "Incrementing Column Name")
        .define("timestamp.column.name", Type.LIST, "", Importance.MEDIUM, "The times.", "Mode", 3, Width.MEDIUM,
            "Timestamp Column Name")
        .define("poll.interval.ms", Type.INT, 5000, Importance.HIGH, "The pause.", "Connector", 1, Width.SHORT, "Poll Interval (ms)")
        .define("topic.prefix", Type.STRING, ConfigDef.NO_DEFAULT_VALUE, Importance.HIGH, "The prefix.", "Connector", 2,
            Width.MEDIUM, "Topic Prefix");

    private Map<String, String> properties;

    @Override public String version() { return "10.8.4"; }
    @Override public ConfigDef config() { return CONFIG; }
    @Override public Class<? extends Task> taskClass() { return JdbcSourceTask.class; }
    @Override public void start(Map<String, String> given) { properties = given; }
    @Override public void stop() { }
    @Override public ExactlyOnceSupport exactlyOnceSupport(Map<String, String> given) { return ExactlyOnceSupport.SUPPORTED; }

    @Override public List<Map<String, String>> taskConfigs(int most) {
        Map<String, String> task = new HashMap<>(properties);
        task.put("tables", "\"public\".\"" + properties.getOrDefault("table.whitelist", "t") + "\"");
        task.put("tables.fetched", "true");
        return List.of(task);
    }

    public static class JdbcSourceTask extends SourceTask {
        private Map<String, String> properties;
        private boolean done;

        @Override public String version() { return "10.8.4"; }
        @Override public void start(Map<String, String> given) {
            properties = given;
            if (given.get("connection.url").contains("fails")) throw new IllegalStateException("it cannot start");
        }
        @Override public void stop() { }

        @Override public List<SourceRecord> poll() throws InterruptedException {
            Thread.sleep(50);
            if (done) return null;
            done = true;
            String table = properties.get("table.whitelist");
            return List.of(new SourceRecord(Map.of("protocol", "1", "table", "public." + table), Map.of("incrementing", 1L),
                properties.get("topic.prefix") + table, Schema.STRING_SCHEMA, "row"));
        }
    }
}
