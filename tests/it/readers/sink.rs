//! A JDBC sink in a Kafka Connect worker (W3): a table of TiDB, through brokers and a registry that ask who it is, again in
//! PostgreSQL: inserts, updates, an added column, and deletes from tombstones.

use crate::secured::{grant, login, over_tls};
use crate::support::config::Connector;
use crate::support::connect::SinkWorker;
use crate::support::db::{MySqlFamily, Postgres};
use crate::support::https::{Server, basic};
use crate::support::process::{once, run};
use crate::support::{PATIENCE, Stack, address, eventually, unique};

const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";

/// The converters of the sink for a format of the source; none for Avro beside a registry that Apicurio's does not know.
fn readers_converter(format: &str) -> Option<Vec<(&'static str, String)>> {
    if format == JSON {
        return Some(vec![("", JSON.to_owned())]);
    }
    let registry = Stack::get().registry;
    let (base, _) = registry.split_once("/apis/")?;
    Some(vec![
        ("", "io.apicurio.registry.utils.converter.AvroConverter".to_owned()),
        (".apicurio.registry.url", format!("{base}/apis/registry/v2")),
        (".apicurio.registry.as-confluent", "true".to_owned()),
        (".apicurio.registry.use-id", "contentId".to_owned()),
    ])
}

/// A connector of TiDB for each format that the sink reads, with its name, by brokers and a registry that ask who it is.
fn connectors(source: &MySqlFamily, prefix: &str, registry: &Server) -> Vec<(String, Connector)> {
    let folder = address("ROWTIDE_TEST_KAFKA_TLS");
    let upstream = Stack::get().registry;
    let path = upstream.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let url = format!("https://localhost:{}/{path}", registry.port);
    let formats = [JSON, AVRO].into_iter().filter(|format| readers_converter(format).is_some());
    let connector = |format: &str| {
        let name = format.rsplit('.').next().expect("a class").to_lowercase();
        let mut connector = Connector::new(&source.jdbc_url())
            .set("mode", "timestamp+incrementing")
            .set("timestamp.column.name", "updated_at")
            .set("incrementing.column.name", "id")
            .set("key.mode", "primary_key")
            .set("delete.mode", "soft")
            .set("delete.column", "status=deleted")
            .set("topic.prefix", &format!("{prefix}.{name}."))
            .set("topic.creation.default.partitions", "2")
            .set("topic.creation.default.replication.factor", "1")
            .set("offset.storage.topic", &format!("{prefix}.offsets"))
            .set("group.id", prefix);
        for side in ["key.converter", "value.converter"] {
            connector = connector
                .set(side, format)
                .set(&format!("{side}.schema.registry.url"), &url)
                .set(&format!("{side}.basic.auth.user.info"), "key:secret")
                .set(&format!("{side}.schema.registry.ssl.truststore.location"), &format!("{folder}/ca.pem"));
        }
        (name, over_tls(connector, "PLAIN", &login("plain.PlainLoginModule", "limited-secret")))
    };
    formats.map(connector).collect()
}

/// The keys of the sinks: a table for each connector.
fn sinks(connectors: &[(String, Connector)], target: &Postgres) -> Vec<Vec<(String, String)>> {
    let sink = |(name, connector): &(String, Connector)| {
        let mut keys = vec![
            ("topics".to_owned(), connector.topic("orders")),
            ("connection.url".to_owned(), target.jdbc_url()),
            ("collection.name.format".to_owned(), format!("copied_{name}")),
        ];
        let converter = readers_converter(&connector.keys["value.converter"]).expect("a converter");
        for side in ["key.converter", "value.converter"] {
            keys.extend(converter.iter().map(|(key, value)| (format!("{side}{key}"), value.clone())));
        }
        keys
    };
    connectors.iter().map(sink).collect()
}

/// Waits until a copy holds the rows of the source that are not deleted; `more` is a column more.
#[track_caller]
fn arrives(source: &MySqlFamily, target: &Postgres, copy: &str, more: Option<&str>) {
    let of = |placed: &str| {
        let more = more.map(|column| format!(", coalesce({column}, '-')")).unwrap_or_default();
        format!("concat_ws('|', id, coalesce(customer, '-'), amount, {placed}, status{more})")
    };
    let wanted = source.texts(&format!(
        "select cast({} as char) from orders where status <> 'deleted' order by id",
        of("date_format(placed, '%Y-%m-%d %H:%i:%s.%f')")
    ));
    let column = more.unwrap_or("id");
    let is_there = format!(
        "select count(*)::text from information_schema.columns where table_name = '{copy}' and column_name = '{column}'"
    );
    let found = format!("select {} from {copy} order by id", of("to_char(placed, 'YYYY-MM-DD HH24:MI:SS.US')"));
    eventually(&format!("{copy} holds {wanted:?}"), PATIENCE * 2, || {
        (target.texts(&is_there) == ["1"] && target.texts(&found) == wanted).then_some(())
    });
}

#[test]
fn a_jdbc_sink_makes_the_table_again_in_another_database() {
    let (source, target, prefix) = (MySqlFamily::new("tidb"), Postgres::new(), unique("w3"));
    source.run(
        "create table orders (id bigint primary key, customer varchar(40), amount decimal(10,2), placed datetime(3) not null,
             status varchar(10) not null default 'new',
             updated_at timestamp(6) not null default current_timestamp(6) on update current_timestamp(6));
         insert into orders (id, customer, amount, placed) values (1, 'Ann', 1.50, '2024-02-29 12:00:00.123'),
             (2, null, null, '1969-12-31 23:59:59.999'), (3, 'Bob', 20, '2024-03-01'), (4, 'Eve', -0.01, '2024-03-02')",
    );
    grant(&prefix);
    let registry = Server::registry(&address("ROWTIDE_TEST_KAFKA_TLS"), false, &basic("key", "secret"));
    let connectors = connectors(&source, &prefix, &registry);
    for (_, connector) in &connectors {
        run(&["check", connector.file().to_str().expect("a path")]).expect_code(0).expect_says(&["no problems"]);
    }
    let mut worker = None;
    let mut deliver = |more: Option<&str>| {
        connectors.iter().for_each(|(_, connector)| drop(once(connector).expect_code(0)));
        // The sink finds topics that are there.
        worker.get_or_insert_with(|| SinkWorker::start(&sinks(&connectors, &target)));
        connectors.iter().for_each(|(name, _)| arrives(&source, &target, &format!("copied_{name}"), more));
    };
    deliver(None);
    source.run("update orders set amount = amount + 100, status = 'paid' where id in (1, 3)");
    source.run("update orders set status = 'deleted' where id = 2");
    deliver(None);
    source.run("alter table orders add column note varchar(20)");
    source.run("insert into orders (id, placed, note) values (5, '2024-03-03', 'added')");
    source.run("update orders set note = 'changed' where id = 1");
    deliver(Some("note"));
}
