//! The configuration as a whole: the files in `configs/`, the meaning of what is built, messages, secrets,
//! and mutated configurations.

mod clients;
mod messages;
mod mutations;
mod secrets;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::spec::*;
use super::*;
use crate::error::ErrorKind;
use crate::model::{Relation, TableId};

const WORKER: &str = "bootstrap.servers=localhost:9092\nvalue.converter.schema.registry.url=http://localhost:8081\n";

fn surroundings(worker: &str) -> Surroundings {
    Surroundings { worker: Some(Document::parse("worker.properties", worker).unwrap()), ..Surroundings::default() }
}

fn build(text: &str) -> Result<Loaded<ConnectorSpec>, Report> {
    connector(Document::parse("c", text)?, surroundings(WORKER))
}

fn spec(text: &str) -> ConnectorSpec {
    build(text).unwrap_or_else(|report| panic!("{report}")).spec
}

/// A connector that is right, with changes: a key and its new value, or none to leave it out.
fn changed(changes: &[(&str, Option<&str>)]) -> BTreeMap<String, String> {
    let right = [
        ("name", "n"),
        ("connection.url", "jdbc:postgresql://localhost:5432/testdb"),
        ("mode", "timestamp+incrementing"),
        ("incrementing.column.name", "seq"),
        ("timestamp.column.name", "ts"),
        ("table.whitelist", "t"),
        ("topic.prefix", "p_"),
    ];
    let mut map: BTreeMap<_, _> = right.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    for (key, value) in changes {
        match value {
            Some(value) => map.insert((*key).to_owned(), (*value).to_owned()),
            None => map.remove(*key),
        };
    }
    map
}

fn with(changes: &[(&str, Option<&str>)]) -> Result<Loaded<ConnectorSpec>, Report> {
    connector(Document::from_map("c", changed(changes)), surroundings(WORKER))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

fn connector_files() -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.file_name().is_some_and(|name| name != "worker.properties"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_in_configs_loads_without_a_warning() {
    let worker = folder().join("worker.properties");
    let files = connector_files();
    assert!(files.len() >= 12, "{files:?}");
    for file in files {
        let loaded = load(&file.to_string_lossy(), Some(&worker), &BTreeMap::new(), &[], true);
        let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
        assert!(loaded.report.warnings.is_empty(), "{}", loaded.report);
    }
}

#[test]
fn the_sample_worker_names_every_worker_key() {
    let text = std::fs::read_to_string(folder().join("worker.properties")).unwrap();
    let shown: Vec<_> =
        text.lines().filter_map(|line| line.trim_start_matches('#').split_once('=')).map(|(key, _)| key).collect();
    for definition in keys::all().filter(|definition| definition.home == keys::Home::Worker) {
        let stands = match definition.family() {
            Some(prefix) => shown.iter().any(|key| key.starts_with(prefix)),
            None => shown.contains(&definition.name),
        };
        assert!(stands, "configs/worker.properties does not show {}", definition.name);
    }
    let uncommented: String = text
        .lines()
        .map(|line| {
            let body = line.strip_prefix('#').unwrap_or(line);
            let is_key = !body.starts_with(' ') && body.contains('=');
            format!(
                "{}\n",
                if is_key { body.replace("${file:/etc/rowtide/secrets.properties:jaas}", "x") } else { String::new() }
            )
        })
        .collect();
    let report = super::worker(surroundings(&uncommented)).unwrap().report;
    assert_eq!(report.warnings, [], "{report}");
}

#[test]
fn the_connector_of_the_walkthrough_means_what_it_says() {
    let spec = spec(&std::fs::read_to_string(folder().join("w1.json")).unwrap());
    assert_eq!((spec.name.as_str(), spec.naming.prefix.as_str(), spec.tasks_max), ("load-test-table", "db_", 1));
    assert_eq!(spec.source.url.to_string(), "postgresql://localhost:5432/testdb");
    assert_eq!(spec.source.user.as_deref(), Some("connectuser"));
    assert_eq!(spec.source.password.as_ref().map(Secret::reveal), Some("connectuser"));
    assert_eq!((spec.mode.mode, spec.mode.incrementing.as_deref()), (ModeName::TimestampIncrementing, Some("seq")));
    assert_eq!(spec.mode.timestamp, ["ts"]);
    assert!(matches!(&spec.selection, Selection::Tables(filter) if filter.whitelist == ["test_table"]));
    assert!(matches!(spec.key.mode, KeyMode::None));
    assert_eq!((spec.polling.batch_max_rows, spec.polling.interval), (1000, Duration::from_secs(5)));
    assert!(
        spec.source.types.all.decimal_precision
            && spec.source.types.all.legacy_calendar
            && spec.source.quote_identifiers
    );
    assert_eq!(
        (spec.offsets.topic.as_str(), spec.offsets.partitions, spec.offsets.replication),
        ("rowtide-offsets", 25, 3)
    );
    assert_eq!(spec.kafka.transactional_id(&spec.name, 0), "rowtide-load-test-table-0");
    assert_eq!(spec.value_converter.definition.name, "avro");
    assert_eq!(format!("{:?}", spec.value_converter), format!("{:?}", spec.key_converter));
    let notes = spec.notes.join("\n");
    for default in
        ["value.converter: not set", "offset.storage.topic: not set, `rowtide-offsets`", "group.id: not set, `rowtide`"]
    {
        assert!(notes.contains(default), "{notes}");
    }
}

#[test]
fn patterns_mappings_and_topic_groups_are_built() {
    let spec = spec(&std::fs::read_to_string(folder().join("postgres-patterns.json")).unwrap());
    let customers = TableId { catalog: None, schema: Some("public".to_owned()), name: "customers".to_owned() };
    assert_eq!(spec.for_table(&Relation::Table(customers)).mode.timestamp, ["updated_at", "created_at"]);
    assert!(spec.mode.incrementing_mapping[0].0.is_match("public.orders_eu"));
    assert!(!spec.mode.incrementing_mapping[0].0.is_match("public.orders_eu2:x"[..8].trim_end()));
    let groups: Vec<_> = spec.topics.groups.iter().map(|group| (group.name.as_str(), group.partitions)).collect();
    assert_eq!(groups, [("compacted", 6), ("default", 6)]);
    assert_eq!(spec.topics.groups[0].settings["cleanup.policy"], "compact");
    assert_eq!(spec.source.url.parameters["sslmode"], "prefer");
    assert_eq!(spec.source.types.all.numeric, NumericMapping::BestFit);
}

#[test]
fn aivens_keys_and_defaults_are_taken() {
    let text = std::fs::read_to_string(folder().join("aiven-incrementing.properties")).unwrap();
    let spec_of = |text: &str| spec(text);
    let aiven = spec_of(&text);
    assert_eq!(aiven.mode.timestamp_initial, Some(TimestampInitial::Millis(0)));
    assert_eq!((aiven.mode.incrementing_initial, aiven.polling.batch_max_rows), (Some(0), 500));
    assert!(!aiven.source.types.all.decimal_precision);
    assert_eq!(aiven.source.user.as_deref(), Some("connectuser"));
    assert_eq!(spec_of(&text.replace("batch.max.rows=500", "")).polling.batch_max_rows, 100);
    assert!(!spec_of(&text.replace("identifiers=true", "identifiers=false")).source.quote_identifiers);
}

#[test]
fn type_settings_hold_for_all_columns_and_for_single_ones() {
    let loaded = with(&[
        ("decimal.handling", Some("Double")),
        ("dst.overlap", Some("earlier")),
        ("column.public.t.price.decimal.handling", Some("string")),
        ("column.t.born.zero.date", Some("null")),
        ("column.t.born.type.mismatch", Some("text")),
        ("column.t.at.time.handling", Some("string")),
        ("column.t.id.unsigned.bigint", Some("decimal")),
        ("column.t.x.type.unsupported", Some("skip")),
    ]);
    let types = loaded.unwrap().spec.source.types;
    let table = TableId { catalog: None, schema: Some("public".to_owned()), name: "t".to_owned() };
    let relation = crate::model::Relation::Table(table);
    let of = |column: &str| types.of(&relation, column).into_owned();
    assert_eq!((types.all.decimal, types.all.overlap), (DecimalHandling::Double, Overlap::Earlier));
    assert_eq!(of("other"), types.all);
    assert_eq!((of("price").decimal, of("price").overlap), (DecimalHandling::Text, Overlap::Earlier));
    assert_eq!((of("born").zero_date, of("born").mismatch), (Some(ZeroDate::Null), Mismatch::Text));
    assert_eq!((of("at").time, of("at").zero_date), (TimeHandling::Text, None));
    assert_eq!((of("id").unsigned_bigint, of("x").unsupported), (UnsignedBigint::Decimal, Unsupported::Skip));
}

#[test]
fn a_configuration_valid_in_some_version_is_accepted() {
    for changes in [
        &[("table.whitelist", None)][..],
        &[("table.blacklist", Some("x"))],
        &[("table.whitelist", None), ("query", Some("with x as (select 1) select * from x;"))],
        &[("mode", Some("bulk"))],
        &[("mode", Some("incrementing")), ("incrementing.column.name", None)],
        &[("connector.class", Some("io.aiven.connect.jdbc.JdbcSourceConnector"))],
        &[("tasks.max", Some(" 3 ")), ("quote.sql.identifiers", Some("Never"))],
        &[("numeric.mapping", Some("BEST_FIT")), ("poll.interval.ms", Some("0"))],
        &[
            ("transforms", Some("")),
            ("header.converter", Some("org.apache.kafka.connect.storage.SimpleHeaderConverter")),
        ],
        &[("exactly.once.support", Some("required")), ("transaction.boundary", Some("interval"))],
        &[("key.converter", Some("org.apache.kafka.connect.storage.StringConverter"))],
        &[("jdbc.credentials.provider.class", Some("io.confluent.connect.jdbc.util.DefaultJdbcCredentialsProvider"))],
        &[("some.unknown.key", Some("1")), ("sql.complex.types.enable", Some("true"))],
        &[("key.mode", Some("primary-key")), ("key.format", Some("field"))],
        &[("offset.storage.topic", Some("connect-offsets")), ("offset.storage.replication.factor", Some("1"))],
    ] {
        if let Err(report) = with(changes) {
            panic!("{changes:?}: {report}");
        }
    }
}

#[test]
fn converters_come_from_one_level_as_a_whole() {
    let worker = "bootstrap.servers=b:1\nvalue.converter=io.confluent.connect.avro.AvroConverter\n\
        value.converter.schema.registry.url=http://w:1\nvalue.converter.connect.meta.data=false\n";
    let build =
        |changes: &[(&str, Option<&str>)]| connector(Document::from_map("c", changed(changes)), surroundings(worker));
    let of_worker = build(&[("value.converter.schema.registry.url", Some("http://c:1"))]).unwrap();
    assert_eq!(of_worker.spec.value_converter.settings["schema.registry.url"], "http://w:1");
    assert_eq!(of_worker.report.warnings[0].key, "value.converter.schema.registry.url");
    let of_connector = build(&[
        ("value.converter", Some("io.confluent.connect.avro.AvroConverter")),
        ("value.converter.schema.registry.url", Some("http://c:1")),
    ]);
    let settings = of_connector.unwrap().spec.value_converter.settings;
    assert_eq!(settings.into_iter().collect::<Vec<_>>(), [("schema.registry.url".to_owned(), "http://c:1".to_owned())]);
    let report = build(&[("value.converter", Some("io.confluent.connect.avro.AvroConverter"))]).unwrap_err();
    assert!(report.to_string().contains("the worker's settings do not count"), "{report}");
}

#[test]
fn a_setting_of_another_converter_is_noted_and_has_no_effect() {
    const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
    const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
    let loaded = with(&[
        ("value.converter", Some(JSON)),
        ("value.converter.schemas.enable", Some("false")),
        ("value.converter.schema.registry.url", Some("http://c:1")),
        ("key.converter", Some("AvroConverter")),
        ("key.converter.schema.registry.url", Some("http://c:1")),
        ("key.converter.schemas.enable", Some("perhaps")),
    ]);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(
        (loaded.spec.key_converter.definition.class, loaded.spec.value_converter.definition.class),
        (AVRO, JSON)
    );
    let notes = loaded.spec.notes.join("\n");
    for (key, own, of) in
        [("value.converter.schema.registry.url", JSON, AVRO), ("key.converter.schemas.enable", AVRO, JSON)]
    {
        let note = format!("{key}: accepted, without effect: a setting of {of}, which {own} does not know");
        assert!(notes.contains(&note), "{notes}");
    }
    assert!(!notes.contains("value.converter.schemas.enable"), "{notes}");
}

#[test]
fn clients_get_the_workers_settings_overlaid_by_the_connectors() {
    let worker =
        format!("{WORKER}security.protocol=SASL_SSL\nproducer.linger.ms=1\nproducer.acks=1\nadmin.retries=2\n");
    let changes =
        changed(&[("producer.override.linger.ms", Some("9")), ("consumer.override.fetch.min.bytes", Some("3"))]);
    let loaded = connector(Document::from_map("c", changes.clone()), surroundings(&worker)).unwrap();
    let kafka = loaded.spec.kafka;
    assert_eq!(kafka.common.into_iter().collect::<Vec<_>>(), [("security.protocol".to_owned(), "SASL_SSL".to_owned())]);
    assert_eq!(kafka.producer.into_iter().collect::<Vec<_>>(), [("linger.ms".to_owned(), "9".to_owned())]);
    assert_eq!((kafka.consumer["fetch.min.bytes"].as_str(), kafka.admin["retries"].as_str()), ("3", "2"));
    assert_eq!(loaded.report.warnings[0].key, "producer.acks");
    let strict_policy = format!("{worker}connector.client.config.override.policy=Principal\n");
    let report = connector(Document::from_map("c", changes), surroundings(&strict_policy)).unwrap_err();
    assert_eq!(report.problems.len(), 2);
    assert!(report.to_string().contains("producer.override.linger.ms"));
}

#[test]
fn a_worker_alone_is_enough_for_commands_without_a_connector() {
    let environment = BTreeMap::from([
        ("CONNECT_BOOTSTRAP_SERVERS".to_owned(), "b:1".to_owned()),
        ("CONNECT_VALUE_CONVERTER_SCHEMA_REGISTRY_URL".to_owned(), "http://r:1".to_owned()),
    ]);
    let loaded = load_worker(None, &environment, &[("group.id".to_owned(), "g".to_owned())], true).unwrap();
    assert_eq!((loaded.spec.kafka.bootstrap_servers.as_str(), loaded.spec.kafka.group_id.as_str()), ("b:1", "g"));
    assert_eq!(loaded.spec.value_converter.settings["schema.registry.url"], "http://r:1");
    let report = load_worker(None, &BTreeMap::new(), &[], false).unwrap_err().to_string();
    assert!(report.contains("bootstrap.servers") && report.contains("value.converter.schema.registry.url"), "{report}");
}

#[test]
fn reports_carry_lines_and_become_errors_of_configuration() {
    let text = "{\"name\": \"n\", \"config\": {\n  \"mode\": \"Bulk\",\n  \"connection.url\": \"jdbc:sqlite:a.db\",\n\
        \n  \"poll.interval.ms\": \"5s\",\n  \"tabel.whitelist\": \"t\"}}";
    let report = build(text).unwrap_err();
    let lines: Vec<_> = report.problems.iter().map(|problem| (problem.key.as_str(), problem.line)).collect();
    assert_eq!(lines, [("mode", Some(2)), ("poll.interval.ms", Some(5))]);
    assert_eq!(report.problems[0].nearest.as_deref(), Some("bulk"));
    assert_eq!((report.warnings[0].line, report.warnings[0].nearest.as_deref()), (Some(6), Some("table.whitelist")));
    let strict = Surroundings { strict: true, ..surroundings(WORKER) };
    let strict_report = connector(Document::parse("c", text).unwrap(), strict).unwrap_err();
    assert_eq!(strict_report.problems.len(), 3);
    assert_eq!(crate::error::Error::from(report).kind(), ErrorKind::Config);
    assert!(
        load("/no/such/file", None, &BTreeMap::new(), &[], false).unwrap_err().to_string().contains("cannot be read")
    );
}

#[test]
fn user_and_password_come_from_where_the_driver_takes_them() {
    for (url, expected) in [
        ("postgres://u:p@h/d", ("u", "p")),
        ("jdbc:mysql://u:p@h/d", ("key", "key")),
        ("jdbc:mariadb://h/d?user=u&password=p", ("key", "key")),
    ] {
        let given =
            [("connection.url", Some(url)), ("connection.user", Some("key")), ("connection.password", Some("key"))];
        let loaded = with(&given).unwrap_or_else(|report| panic!("{report}"));
        let source = loaded.spec.source;
        assert_eq!((source.user.as_deref().unwrap(), source.password.as_ref().unwrap().reveal()), expected, "{url}");
        assert_eq!(loaded.report.warnings[0].key, "connection.user", "{url}");
    }
}

#[test]
fn one_dialect_name_serves_mysql_mariadb_and_tidb() {
    for url in ["jdbc:mysql://h/d?serverTimezone=UTC", "jdbc:mariadb://h/d", "tidb://h/d"] {
        let changes = [("connection.url", Some(url)), ("dialect.name", Some("MySqlDatabaseDialect"))];
        let loaded = with(&changes).unwrap_or_else(|report| panic!("{report}"));
        let notes = loaded.spec.notes.join("\n");
        assert_eq!(
            notes.contains("ignored parameters that only tune the Java driver: serverTimezone"),
            url.contains('?')
        );
    }
}
