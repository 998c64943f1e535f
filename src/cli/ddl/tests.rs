//! Definitions for each reader, on a table with every type.

use super::*;
use crate::convert::{CONVERTERS, converter_of};
use crate::model::{FieldType, Relation, TableId, UniqueKeys};

fn field(name: &str, field_type: FieldType, optional: bool) -> Field {
    Field { name: name.to_owned(), field_type, optional, doc: None }
}

fn fields() -> Vec<Field> {
    use FieldType::*;
    vec![
        field("id", Int64, false),
        field("b", Boolean, true),
        field("s", Int16, true),
        field("f", Float32, true),
        field("a`b\"", String, true),
        field("raw", Bytes, true),
        field("d", Date, true),
        field("t", Time, true),
        field("at", Timestamp, false),
        field("price", Decimal { precision: Some(10), scale: 2 }, true),
        field("any", Decimal { precision: Some(0), scale: 127 }, true),
    ]
}

type Settings<'a> = &'a [(&'a str, &'a str)];
/// Converter and settings of a key, and true if it is a bare value.
type KeyOf<'a> = (&'a str, Settings<'a>, bool);

/// The definition for values and keys of these converters; no key without a key's converter.
fn of(target: Target, value: (&str, Settings<'_>), key: Option<KeyOf<'_>>) -> Result<String> {
    let settings = |pairs: Settings<'_>| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let table = TableDefinition {
        relation: Relation::Table(TableId { catalog: None, schema: None, name: "orders".to_owned() }),
        columns: Vec::new(),
        skipped: Vec::new(),
        by_driver: Vec::new(),
        primary_key: Vec::new(),
        indexes: Vec::new(),
        unique: UniqueKeys::default(),
        comment: None,
    };
    let (fields, value_settings) = (fields(), settings(value.1));
    let (key_name, key_settings, is_bare) =
        key.map_or(("avro", settings(&[]), false), |(name, pairs, is_bare)| (name, settings(pairs), is_bare));
    let topic = Topic {
        name: "app-orders",
        brokers: "b1:9092,b2:9092",
        table: &table,
        columns: fields.iter().zip(0..).collect(),
        key: match key {
            None => Key::None,
            Some(_) if is_bare => Key::Bare(&fields[0]),
            Some(_) => Key::Record(&fields[..1]),
        },
        format: converter_of(CONVERTERS, value.0).unwrap().name,
        settings: &value_settings,
        key_format: converter_of(CONVERTERS, key_name).unwrap().name,
        key_settings: &key_settings,
    };
    match target {
        Target::Flink => flink::statement(&topic),
        Target::Ksql => ksql::statement(&topic),
        Target::Postgres => Ok(postgres::statement(&topic)),
        Target::Clickhouse => clickhouse::statement(&topic),
    }
}

const REGISTRY: Settings<'static> = &[("schema.registry.url", "http://u:secret@r:8081,http://other")];
const PLAIN: Settings<'static> = &[("schemas.enable", "false")];

#[test]
fn flink_gets_an_upsert_table_of_avro() {
    let text = of(Target::Flink, ("avro", REGISTRY), Some(("avro", REGISTRY, false))).unwrap();
    let expected = "CREATE TABLE `app-orders` (
  `id` BIGINT NOT NULL,
  `b` BOOLEAN,
  `s` SMALLINT,
  `f` FLOAT,
  `a``b\"` STRING,
  `raw` BYTES,
  `d` DATE,
  `t` TIME(3),
  `at` TIMESTAMP(3) NOT NULL,
  `price` DECIMAL(10, 2),
  `any` BYTES /* its scale is beyond Flink's DECIMAL */,
  PRIMARY KEY (`id`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'app-orders',
  'properties.bootstrap.servers' = 'b1:9092,b2:9092',
  'properties.isolation.level' = 'read_committed',
  'key.format' = 'avro-confluent',
  'key.avro-confluent.url' = 'http://r:8081',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = 'http://r:8081'
);
";
    assert_eq!(text, expected);
}

#[test]
fn flink_reads_changelogs_and_json_in_their_own_types() {
    let canal = of(Target::Flink, ("canal-json", &[]), Some(("canal-json", &[], false))).unwrap();
    for line in [
        "SET 'table.exec.source.cdc-events-duplicate' = 'true';\nCREATE",
        "  `b` TINYINT /* 0 or 1 */,",
        "  `raw` STRING /* bytes as characters; BYTES needs binary.format=base64 */,",
        "  `at` TIMESTAMP(3) NOT NULL,",
        "  PRIMARY KEY (`id`) NOT ENFORCED",
        "  'format' = 'canal-json'\n",
    ] {
        assert!(canal.contains(line), "{line} in {canal}");
    }
    let json = of(Target::Flink, ("json", &[PLAIN[0], ("decimal.format", "numeric")]), None).unwrap();
    for line in
        ["  `d` INT /* days", "  `at` BIGINT NOT NULL /* TO_T", "  `price` DECIMAL(10, 2),", "  'connector' = 'kafka',"]
    {
        assert!(json.contains(line), "{line} in {json}");
    }
    assert!(json.contains("'value.format' = 'json'") && !json.contains("PRIMARY KEY"), "{json}");
    let bare = of(Target::Flink, ("avro", REGISTRY), Some(("avro", REGISTRY, true))).unwrap();
    assert!(bare.starts_with("-- The key is of a form") && bare.contains("'connector' = 'kafka'"), "{bare}");
    let raw = of(Target::Flink, ("avro", REGISTRY), Some(("long", &[], true))).unwrap();
    assert!(raw.contains("'key.format' = 'raw'") && raw.contains("upsert-kafka"), "{raw}");
}

#[test]
fn ksqldb_gets_a_table_with_the_key_as_it_is_written_or_a_stream() {
    let table = of(Target::Ksql, ("avro", REGISTRY), Some(("avro", REGISTRY, false))).unwrap();
    for line in
        ["CREATE TABLE `app-orders` (\n  `key` STRUCT<`id` BIGINT> PRIMARY KEY,\n  `id` BIGINT,", "KEY_FORMAT = 'AVRO'"]
    {
        assert!(table.contains(line), "{line} in {table}");
    }
    let bare = of(Target::Ksql, ("protobuf", REGISTRY), Some(("string", &[], true))).unwrap();
    assert!(
        bare.contains("(\n  `id` BIGINT PRIMARY KEY,\n  `b` BOOLEAN,") && bare.contains("KEY_FORMAT = 'KAFKA'"),
        "{bare}"
    );
    let stream = of(Target::Ksql, ("json", PLAIN), None).unwrap();
    assert!(stream.starts_with("CREATE STREAM") && stream.contains("`price` VARCHAR /* base64"), "{stream}");
}

#[test]
fn databases_get_their_own_types_and_quotes() {
    let postgres = of(Target::Postgres, ("avro", REGISTRY), Some(("avro", REGISTRY, false))).unwrap();
    for line in [
        "CREATE TABLE \"app-orders\" (\n  \"id\" bigint NOT NULL,",
        "  \"a`b\"\"\" text,",
        "  \"price\" numeric(10, 2),",
        "  \"any\" numeric,",
        "  PRIMARY KEY (\"id\")\n);",
    ] {
        assert!(postgres.contains(line), "{line} in {postgres}");
    }
    let clickhouse = of(Target::Clickhouse, ("avro", REGISTRY), None).unwrap();
    for line in [
        "  `a\\`b\"` Nullable(String),",
        "  `at` DateTime64(3),",
        "  `t` Nullable(Int32) /* mill",
        "kafka_format = 'AvroConfluent'",
        "url = 'http://r:8081'",
    ] {
        assert!(clickhouse.contains(line), "{line} in {clickhouse}");
    }
}

#[test]
fn a_format_that_a_reader_does_not_read_is_refused_with_what_works() {
    for (target, format, advice) in [
        (Target::Flink, "protobuf", "use Avro"),
        (Target::Flink, "json", "schemas.enable=false"),
        (Target::Ksql, "canal-json", "use Avro"),
        (Target::Clickhouse, "json-schema", "use Avro"),
    ] {
        let error = of(target, (format, REGISTRY), None).unwrap_err();
        assert!(error.advice().contains(advice) && error.to_string().contains(format), "{error:?}");
    }
}
