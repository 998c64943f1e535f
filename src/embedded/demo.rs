//! The script of the quick start, as data: the statements of an application, each with the sentence that is shown for
//! it. A step that follows a poll is read as a change of its own; steps are what the connector can tell apart.

/// Name of the demo's connector.
pub const CONNECTOR: &str = "load-test-table";

/// The demo's table.
pub const TABLE: &str = "test_table";

/// The demo's topic: prefix `db_` and the table's name.
pub const TOPIC: &str = "db_test_table";

/// Statements that are committed together, then polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The sentence that the user reads before they are run.
    pub sentence: &'static str,
    /// The statements, one transaction.
    pub statements: &'static [&'static str],
    /// The number of records it makes in the topic.
    pub records: usize,
}

/// The steps before the connector runs, and while it catches up.
pub const STEPS: &[Step] = &[
    Step {
        sentence: "Two rows are in the table.",
        statements: &[
            "insert into test_table (item, price, category) values ('apple', 400, 'fruit')",
            "insert into test_table (item, price, category) values ('banana', 160, 'fruit')",
        ],
        records: 2,
    },
    Step {
        sentence: "Row 2 is changed: the trigger moves its ts, so it comes again, with the same key.",
        statements: &["update test_table set item = 'orange', price = 100 where seq = 2"],
        records: 1,
    },
    Step {
        sentence: "A row is added.",
        statements: &["insert into test_table (item, price, category) values ('banana', 200, 'fruit')"],
        records: 1,
    },
    Step {
        sentence: "Two more, in one transaction.",
        statements: &[
            "insert into test_table (item, price, category) values ('pork', 400, 'meet')",
            "insert into test_table (item, price, category) values ('beef', 800, 'meet')",
        ],
        records: 2,
    },
];

/// The steps while the connector runs, after the user has seen the records of [`STEPS`].
pub const LATER: &[Step] = &[
    Step {
        sentence: "The connector is running. The price of row 5 changes,",
        statements: &["update test_table set price = 850 where seq = 5"],
        records: 1,
    },
    Step {
        sentence: "and a row is added.",
        statements: &["insert into test_table (item, price, category) values ('cherry', 950, 'fruit')"],
        records: 1,
    },
    Step {
        sentence: "Row 2 is flagged as deleted (delete.mode=soft): its record is a tombstone, a key without a value.",
        statements: &["update test_table set category = 'deleted' where seq = 2"],
        records: 1,
    },
];

/// The connector's configuration as Kafka Connect takes it; everything but the URL is fixed.
pub fn connector_config(connection_url: &str) -> serde_json::Value {
    serde_json::json!({
        "name": CONNECTOR,
        "config": {
            "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector",
            "connection.url": connection_url,
            "mode": "timestamp+incrementing",
            "incrementing.column.name": "seq",
            "timestamp.column.name": "ts",
            "table.whitelist": TABLE,
            "topic.prefix": "db_",
            "tasks.max": "1",
            "key.mode": "primary_key",
            "delete.mode": "soft",
            "delete.column": "category=deleted",
            "poll.interval.ms": "100",
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::DemoDatabase;

    #[tokio::test]
    async fn every_step_changes_as_many_rows_as_it_promises_records() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = DemoDatabase::create(&folder.path().join("demo.db")).await.unwrap();
        for step in STEPS.iter().chain(LATER) {
            assert_eq!(database.write(step.statements).await.unwrap(), step.records as u64, "{}", step.sentence);
        }
        assert_eq!(STEPS.iter().map(|step| step.records).sum::<usize>(), 6);
        let config = connector_config(&database.url());
        assert_eq!(config["config"]["topic.prefix"].as_str().map(|prefix| format!("{prefix}{TABLE}")).unwrap(), TOPIC);
    }
}
