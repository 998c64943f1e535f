//! Connector files as a Kafka Connect user would write them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Stack, replication, unique};

/// A connector configuration on its way to a file.
pub struct Connector {
    pub name: String,
    pub keys: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl Connector {
    /// A connector of this JDBC URL with a name, a topic prefix and an offsets topic of its own, polling fast.
    pub fn new(jdbc_url: &str) -> Self {
        let stack = Stack::get();
        let name = unique("connector");
        let keys = [
            ("connector.class", "io.confluent.connect.jdbc.JdbcSourceConnector"),
            ("connection.url", jdbc_url),
            ("topic.prefix", &format!("{name}_")),
            ("poll.interval.ms", "50"),
            ("table.poll.interval.ms", "500"),
            ("bootstrap.servers", &stack.brokers),
            ("offset.storage.topic", "rowtide-test-offsets"),
            ("offset.storage.partitions", "5"),
            ("offset.storage.replication.factor", &replication().to_string()),
            ("value.converter", "io.confluent.connect.avro.AvroConverter"),
            ("value.converter.schema.registry.url", &stack.registry),
            ("key.converter", "io.confluent.connect.avro.AvroConverter"),
            ("key.converter.schema.registry.url", &stack.registry),
        ];
        let mut keys: BTreeMap<String, String> = keys.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        if jdbc_url.starts_with("jdbc:postgresql") {
            keys.insert("connection.user".into(), "postgres".into());
        } else if !jdbc_url.starts_with("jdbc:sqlite") {
            keys.insert("connection.user".into(), "root".into());
            // No other database of the server.
            let address = jdbc_url.split('?').next().unwrap_or_default();
            let database = address.rsplit_once('/').map_or("", |(_, database)| database);
            keys.insert("catalog.pattern".into(), database.into());
        }
        Self { name, keys, folder: tempfile::tempdir().expect("a folder") }
    }

    /// Sets a key.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.keys.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Removes a key.
    pub fn without(mut self, key: &str) -> Self {
        self.keys.remove(key);
        self
    }

    /// The W1 table in `timestamp+incrementing` mode, keyed by its primary key.
    pub fn of_test_table(jdbc_url: &str) -> Self {
        Self::new(jdbc_url)
            .set("mode", "timestamp+incrementing")
            .set("incrementing.column.name", "seq")
            .set("timestamp.column.name", "ts")
            .set("table.whitelist", "test_table")
            .set("key.mode", "primary_key")
    }

    /// An offsets topic of its own: a transaction that a killed connector leaves open holds up the
    /// others of a shared one until it times out.
    pub fn alone(self) -> Self {
        let topic = format!("{}_offsets", self.name);
        self.set("offset.storage.topic", &topic).set("offset.storage.partitions", "1")
    }

    /// The topic of a table.
    pub fn topic(&self, table: &str) -> String {
        format!("{}{table}", self.keys["topic.prefix"])
    }

    /// Writes `{"name": ..., "config": {...}}`.
    pub fn file(&self) -> PathBuf {
        let path = self.folder.path().join("connector.json");
        let document = serde_json::json!({"name": self.name, "config": self.keys});
        std::fs::write(&path, serde_json::to_string_pretty(&document).expect("JSON")).expect("write");
        path
    }
}
