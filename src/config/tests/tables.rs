//! Names of topics, and settings of single tables.

use std::time::Duration;

use super::*;
use crate::config::spec::TableSpec;

fn table(schema: &str, name: &str) -> Relation {
    Relation::Table(TableId { catalog: None, schema: Some(schema.to_owned()), name: name.to_owned() })
}

fn of_mysql(database: &str, name: &str) -> Relation {
    Relation::Table(TableId { catalog: Some(database.to_owned()), schema: None, name: name.to_owned() })
}

fn of(changes: &[(&str, &str)], relation: &Relation) -> TableSpec {
    let changes: Vec<_> = changes.iter().map(|(key, value)| (*key, Some(*value))).collect();
    with(&changes).unwrap_or_else(|report| panic!("{report}")).spec.for_table(relation)
}

#[test]
fn a_topic_is_named_by_its_template_and_without_one_as_kafka_connect_names_it() {
    let topic = |format: &str, relation: &Relation| {
        let changes: &[(&str, &str)] = if format.is_empty() { &[] } else { &[("topic.name.format", format)] };
        of(changes, relation).topic().unwrap().to_string()
    };
    let orders = table("shop", "orders");
    assert_eq!(topic("", &orders), "p_orders");
    assert_eq!(topic("tidb_${schema}_${table}", &orders), "tidb_shop_orders");
    assert_eq!(topic("${topic.prefix}${catalog}.${schema}.${table}", &orders), "p_testdb.shop.orders");
    // To MySQL a database and a schema are one.
    assert_eq!(topic("tidb_${schema}_${table}", &of_mysql("shop", "orders")), "tidb_shop_orders");
    assert_eq!(topic("${catalog}-${table}", &of_mysql("shop", "orders")), "shop-orders");
    let bare = Relation::Table(TableId { catalog: None, schema: None, name: "orders".to_owned() });
    let error = of(&[("topic.name.format", "${schema}.${table}")], &bare).topic().unwrap_err();
    assert!(error.to_string().contains("topic.name.format: the table has no schema"), "{error}");
}

#[test]
fn the_schema_of_values_is_named_by_its_template_and_namespace_and_without_them_as_kafka_connect_names_it() {
    let name = |changes: &[(&str, &str)], relation: &Relation| of(changes, relation).value_schema_name().unwrap();
    let orders = table("shop", "orders");
    assert_eq!(name(&[], &orders).as_deref(), Some("orders"));
    assert_eq!(name(&[("schema.namespace", "com.example")], &orders).as_deref(), Some("com.example.orders"));
    let both = [("schema.name.format", "${schema}.${table}_row"), ("schema.namespace", "com.example")];
    assert_eq!(name(&both, &orders).as_deref(), Some("com.example.shop.orders_row"));
    let query = |format: Option<&str>| {
        let changes = [("table.whitelist", None), ("query", Some("select 1")), ("schema.name.format", format)];
        with(&changes)
            .map(|loaded| loaded.spec.for_table(&Relation::Query("select 1".to_owned())).value_schema_name().unwrap())
    };
    assert_eq!(query(None).unwrap(), None);
    assert_eq!(query(Some("shop.Order")).unwrap().as_deref(), Some("shop.Order"));
    assert!(query(Some("${table}")).unwrap_err().to_string().contains("(with query): names a part of a table's name"));
    for (key, value) in
        [("schema.namespace", "com..example"), ("schema.namespace", "1a"), ("schema.name.format", "a-${table}")]
    {
        assert!(with(&[(key, Some(value))]).unwrap_err().to_string().contains(key), "{key}={value}");
    }
}

#[test]
fn characters_that_no_topic_can_have_become_underscores_unless_the_transforms_see_to_them() {
    let odd = table("shop", "Bestellungen für \u{1F600}/alle");
    assert_eq!(&*of(&[], &odd).topic().unwrap(), "p_Bestellungen_f_r___alle");
    let route = |regex: &str, replacement: &str| {
        let class = "org.apache.kafka.connect.transforms.RegexRouter";
        of(
            &[
                ("transforms", "r"),
                ("transforms.r.type", class),
                ("transforms.r.regex", regex),
                ("transforms.r.replacement", replacement),
            ],
            &table("shop", "order items"),
        )
    };
    // As in Kafka Connect: the name of the table comes to the transform as it is.
    assert_eq!(&*route("p_(.*) (.*)", "$1-$2").topic().unwrap(), "order-items");
    assert_eq!(&*route("p_(.*)", "shop.$1").topic().unwrap(), "shop.order_items");
    assert!(route(".*", "no topic").topic().unwrap_err().to_string().contains("`no topic` is not a valid topic name"));
    for name in [".", "..", &"x".repeat(250)] {
        assert!(of(&[("topic.prefix", "")], &table("shop", name)).topic().is_err(), "{name}");
    }
}

#[test]
fn no_topic_of_records_is_that_of_offsets_or_dead_letters_or_one_that_brokers_take_for_it() {
    let topic = |name: &str| {
        let changes = [
            ("topic.name.format", "${table}"),
            ("offset.storage.topic", "connect.offsets"),
            ("offsets.storage.topic", "own.offsets"),
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", "dead.letters"),
        ];
        of(&changes, &table("shop", name)).topic()
    };
    for (name, says) in [
        ("own.offsets", "would go to the offsets topic `own.offsets`"),
        ("connect.offsets", "would go to the offsets topic `connect.offsets`"),
        ("own_offsets", "which brokers do not tell from the offsets topic `own.offsets`"),
        ("dead.letters", "would go to the dead letter topic"),
        ("dead_letters", "do not tell from the dead letter topic `dead.letters`"),
    ] {
        let error = topic(name).unwrap_err();
        assert!(error.to_string().contains(says) && error.to_string().contains(&format!("shop.{name}")), "{error}");
    }
    topic("offsets").unwrap();
}

#[test]
fn each_table_has_the_settings_of_the_pattern_that_names_it_most_closely() {
    let changes = [
        ("table.*.mode", "bulk"),
        ("table.shop.*.mode", "incrementing"),
        ("table.shop.orders.mode", "timestamp"),
        ("table.orders.timestamp.column.name", "changed, created"),
        ("table.shop.*.incrementing.column.name", ""),
        ("table.orders.key.mode", "primary_key"),
        ("table.o*.message.key.columns", "a, b"),
        ("table.shop.orders.poll.interval.ms", "60000"),
        ("table.*.where", "not deleted"),
        ("table.shop.items.where", ""),
        ("table.orders.topic", "all-${table}"),
    ];
    let orders = of(&changes, &table("shop", "orders"));
    assert_eq!(
        (orders.mode.mode, orders.mode.timestamp.as_slice()),
        (ModeName::Timestamp, &["changed".to_owned(), "created".to_owned()][..])
    );
    assert_eq!(orders.key.columns, KeyColumns::PrimaryKey, "a name wins over a pattern");
    assert_eq!((orders.polling.interval, orders.filter.as_deref()), (Duration::from_secs(60), Some("not deleted")));
    assert_eq!(&*orders.topic().unwrap(), "all-orders");
    let items = of(&changes, &table("shop", "items"));
    assert_eq!((items.mode.mode, items.mode.incrementing.as_deref()), (ModeName::Incrementing, None));
    assert_eq!((items.filter.as_deref(), items.polling.interval), (None, Duration::from_secs(5)));
    assert_eq!(items.key.columns, KeyColumns::None);
    let others = of(&changes, &table("attic", "others"));
    assert_eq!((others.mode.mode, others.mode.incrementing.as_deref()), (ModeName::Bulk, Some("seq")));
    assert_eq!(others.key.columns, KeyColumns::Named(vec!["a".to_owned(), "b".to_owned()]));
    let applied: Vec<String> = orders.applied.iter().map(ToString::to_string).collect();
    assert!(
        applied.contains(&"table.shop.orders.mode (over table.*.mode, table.shop.*.mode)".to_owned()),
        "{applied:?}"
    );
}

#[test]
fn two_patterns_that_are_as_specific_are_refused_for_the_table_they_both_match() {
    let changes = [("table.shop.o*.where", "a = 1"), ("table.*op.ord*.where", "a = 2")];
    let error = of(&changes, &table("shop", "orders")).is_decided().unwrap_err();
    assert!(
        error.to_string().contains("table.shop.o*.where") && error.to_string().contains("table.*op.ord*.where"),
        "{error}"
    );
    of(&changes, &table("shop", "offers")).is_decided().unwrap();
}

#[test]
fn settings_of_tables_that_cannot_be_are_named_with_what_can() {
    for (changes, says) in [
        (&[("table.orders.wehre", "a = 1")][..], "did you mean: table.orders.where"),
        (
            &[("table.orders.batch.max.rows", "1")],
            "must end in a setting that a table can have: mode, incrementing.column.name",
        ),
        (&[("table.orders.mode", "snapshot")], "table.orders.mode: must be one of bulk, incrementing"),
        (&[("table.orders.where", "where a = 1")], "table.orders.where: begins with WHERE (line 1, column 1)"),
        (&[("table.orders.where", "a = 1) or (1 = 1")], "closes a parenthesis that is not open"),
        (&[("table.orders.message.key.columns", "a,,b")], "must be a list of columns, each once"),
        (
            &[("table.o*.message.key.columns", "a"), ("table.o*.key.mode", "none")],
            "(with table.o*.key.mode): needs key.mode=columns",
        ),
        (
            &[("topic.name.format", "${db}_${table}")],
            "unknown placeholder `${db}`; it can hold ${topic.prefix}, ${catalog}, ${schema}, ${table}",
        ),
        (&[("table.orders.topic", "${tabel}")], "did you mean `${table}`?"),
        (&[("topic.name.format", "my topic ${table}")], "letters, digits, dots, underscores and hyphens are allowed"),
        (
            &[("mode", "bulk"), ("query.suffix", "WHERE a = 1"), ("table.orders.where", "b = 2")],
            "(with query.suffix): and a query.suffix that begins with WHERE are two conditions",
        ),
    ] {
        let changes: Vec<_> = changes.iter().map(|(key, value)| (*key, Some(*value))).collect();
        let report = with(&changes).unwrap_err().to_string();
        assert!(report.contains(says), "{report}");
    }
    let query = [("table.whitelist", None), ("query", Some("select 1")), ("table.*.where", Some("a = 1"))];
    assert!(
        with(&query).unwrap_err().to_string().contains("(with query): is a setting of a table, and a query has none")
    );
    let of_part = [("table.whitelist", None), ("query", Some("select 1")), ("topic.name.format", Some("${table}"))];
    assert!(with(&of_part).unwrap_err().to_string().contains("only ${topic.prefix} can stand in it"));
    let odd = with(&[("table.orders.where", Some("at < now()"))]).unwrap().report;
    assert!(odd.to_string().contains("table.orders.where: depends on now, which changes"), "{odd}");
    let of_a_sink = with(&[("table.name.format", Some("x")), ("table.whitlist", Some("t"))]).unwrap().report;
    assert!(of_a_sink.to_string().contains("did you mean: table.whitelist"), "{of_a_sink}");
}

#[test]
fn a_column_that_is_left_out_need_not_have_a_type_that_can_be_delivered() {
    let changes = [("type.unsupported", "fail"), ("table.t.columns.exclude", "shape, raw*")];
    let types = of(&changes, &table("shop", "t")).types;
    let unsupported = |table: &Relation, column: &str| types.of(table, column).unsupported;
    let (t, other) = (table("shop", "t"), table("shop", "other"));
    assert_eq!((unsupported(&t, "shape"), unsupported(&t, "raw_bytes")), (Unsupported::Skip, Unsupported::Skip));
    assert_eq!((unsupported(&t, "name"), unsupported(&other, "shape")), (Unsupported::Fail, Unsupported::Fail));
}

#[test]
fn a_table_has_its_own_choice_of_partitions_and_what_cannot_be_one_is_refused() {
    use crate::config::spec::PartitionBy;
    let orders = table("shop", "orders");
    assert_eq!(of(&[], &orders).partition_by, PartitionBy::Key);
    let by = [("partition.by", "Columns: region , customer_id"), ("table.shop.*.partition.by", "table")];
    assert_eq!(of(&by, &orders).partition_by, PartitionBy::Table);
    let names = vec!["region".to_owned(), "customer_id".to_owned()];
    assert_eq!(of(&by, &table("attic", "orders")).partition_by, PartitionBy::Columns(names));
    for value in ["", "region", "columns", "columns:", "columns:a,,b", "columns:a,a", "table:a"] {
        for key in ["partition.by", "table.orders.partition.by"] {
            let report = with(&[(key, Some(value))]).unwrap_err().to_string();
            assert!(report.contains(key) && report.contains("columns:region,customer_id"), "{key}={value}: {report}");
        }
    }
    let warned = with(&[("partition.by", Some("key"))]).unwrap().report.to_string();
    assert!(warned.contains("`key` has no effect: records have no key"), "{warned}");
}

#[test]
fn comments_as_descriptions_need_a_database_and_a_converter_that_have_them() {
    let report = with(&[("schema.doc", Some("comments"))]).unwrap().report;
    assert!(report.warnings.is_empty(), "{report}");
    let string = "org.apache.kafka.connect.storage.StringConverter";
    let changes =
        [("schema.doc", Some("comments")), ("value.converter", Some(string)), ("key.converter", Some(string))];
    let warned = with(&changes).unwrap().report.to_string();
    assert!(warned.contains("string and string write no schema with descriptions"), "{warned}");
    let refused = with(&[("schema.doc", Some("comments")), ("connection.url", Some("jdbc:sqlite:/tmp/a.db"))]);
    assert!(refused.unwrap_err().to_string().contains("SQLite keeps no comments"));
    assert!(with(&[("schema.doc", Some("yes"))]).unwrap_err().to_string().contains("one of none, comments"));
}
