//! Chains of transforms from the database to the topic, as configurations in the wild have them.

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::kafka::{Raw, read_topic, topics};
use crate::support::process::run;
use crate::support::{PATIENCE, eventually};

const TRANSFORMS: &str = "org.apache.kafka.connect.transforms";

fn database() -> Postgres {
    let database = Postgres::new();
    database.run(
        "create table orders (id bigint primary key, customer text not null, amount numeric(10,2), card text, note text);
         insert into orders values (1, 'ann', 1.50, '4111', '7'), (2, 'bob', null, '4222', 'x')",
    );
    database
}

/// A transform: name, class and settings.
type Step<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn connector(database: &Postgres, chain: &[Step<'_>]) -> Connector {
    let names: Vec<&str> = chain.iter().map(|(name, ..)| *name).collect();
    let mut connector = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "orders")
        .set("key.converter", "org.apache.kafka.connect.storage.StringConverter")
        .set("value.converter", "org.apache.kafka.connect.json.JsonConverter")
        .set("value.converter.schemas.enable", "false")
        .set("value.converter.decimal.format", "NUMERIC")
        .set("transforms", &names.join(","))
        .alone();
    for (name, class, settings) in chain {
        connector = connector.set(&format!("transforms.{name}.type"), &format!("{TRANSFORMS}.{class}"));
        for (key, value) in *settings {
            connector = connector.set(&format!("transforms.{name}.{key}"), value);
        }
    }
    connector
}

fn texts(topic: &str, count: usize) -> Vec<(String, String)> {
    let raw = eventually("the records", PATIENCE, || Some(read_topic(topic)).filter(|raw| raw.len() == count));
    let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.expect("a part")).expect("UTF-8");
    raw.into_iter().map(|Raw { key, value, .. }| (text(key), text(value))).collect()
}

#[test]
fn the_usual_chain_keys_routes_masks_and_adds_fields() {
    let database = database();
    let connector = connector(
        &database,
        &[
            ("createKey", "ValueToKey", &[("fields", "id")]),
            ("extractKey", "ExtractField$Key", &[("field", "id")]),
            ("mask", "MaskField$Value", &[("fields", "card"), ("replacement", "****")]),
            ("drop", "ReplaceField$Value", &[("blacklist", "note"), ("renames", "customer:name")]),
            (
                "source",
                "InsertField$Value",
                &[("static.field", "source"), ("static.value", "shop"), ("topic.field", "topic")],
            ),
            ("text", "Cast$Value", &[("spec", "amount:string,id:int32")]),
            ("route", "RegexRouter", &[("regex", "(.*)_orders"), ("replacement", "$1.shop.orders.v1")]),
        ],
    );
    let file = connector.file().display().to_string();
    let topic = format!("{}.shop.orders.v1", connector.name);
    run(&["check", &file]).expect_code(0).expect_says(&[&topic]);
    run(&["run", "--once", &file]).expect_code(0);
    let of = connector.topic("orders");
    let first = format!(r#"{{"id":1,"name":"ann","amount":"1.50","card":"****","topic":"{of}","source":"shop"}}"#);
    let second = format!(r#"{{"id":2,"name":"bob","amount":null,"card":"****","topic":"{of}","source":"shop"}}"#);
    assert_eq!(texts(&topic, 2), [("1".to_owned(), first), ("2".to_owned(), second)]);
    assert!(!topics().contains(&of), "the topic before the route is not made");
    let explained = run(&["explain", &file]).expect_code(0);
    explained.expect_says(&[&topic, "createKey: another key", "route: another topic", "mask: no other schema"]);
}

#[test]
fn a_value_that_cannot_be_cast_stops_its_table_or_becomes_a_dead_letter_of_the_transformation_stage() {
    let database = database();
    let chain: [Step<'_>; 2] =
        [("key", "ValueToKey", &[("fields", "customer")]), ("number", "Cast$Value", &[("spec", "note:int32")])];
    let strict = connector(&database, &chain);
    let file = strict.file().display().to_string();
    let says = ["cannot be cast", "note", "org.apache.kafka.connect.transforms.Cast"];
    run(&["run", "--once", &file]).expect_code(1).expect_says(&says);
    let letters = format!("{}_letters", strict.name);
    let tolerant = connector(&database, &chain)
        .set("errors.tolerance", "all")
        .set("errors.deadletterqueue.topic.name", &letters)
        .set("errors.deadletterqueue.topic.replication.factor", "1")
        .set("errors.deadletterqueue.context.headers.enable", "true");
    run(&["run", "--once", &tolerant.file().display().to_string()]).expect_code(0);
    let delivered = texts(&tolerant.topic("orders"), 1);
    assert!(delivered[0].1.ends_with(r#""note":7}"#), "{delivered:?}");
    let letter = eventually("a letter", PATIENCE, || read_topic(&letters).pop());
    let header = |name: &str| letter.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(header("__connect.errors.stage"), Some("TRANSFORMATION"));
    assert_eq!(header("__connect.errors.class.name"), Some("org.apache.kafka.connect.transforms.Cast"));
}

#[test]
fn what_would_fail_on_every_record_is_said_by_check_with_the_transform() {
    let database = database();
    for (class, settings, says) in [
        ("ValueToKey", &[("fields", "ident")][..], &["no field `ident`", "its fields are id, customer"][..]),
        ("ExtractField$Key", &[("field", "id")], &[]),
        ("MaskField$Value", &[("fields", "amount")], &["`amount` has a type that cannot be masked"]),
        ("RegexRouter", &[("regex", ".*"), ("replacement", "no topic")], &["`no topic` is not a valid topic name"]),
    ] {
        let connector = connector(&database, &[("one", class, settings)]);
        let checked = run(&["check", &connector.file().display().to_string()]);
        let code = if says.is_empty() { 0 } else { 2 };
        checked.expect_code(code).expect_says(says);
    }
}

#[test]
fn a_predicate_decides_by_the_topic_at_its_place() {
    let database = database();
    let connector = connector(
        &database,
        &[
            ("key", "ValueToKey", &[("fields", "id")]),
            ("id", "ExtractField$Key", &[("field", "id")]),
            ("route", "RegexRouter", &[("regex", "(.*)"), ("replacement", "$1-routed")]),
            ("never", "ReplaceField$Value", &[("exclude", "note"), ("predicate", "plain")]),
            ("always", "ReplaceField$Value", &[("exclude", "card"), ("predicate", "plain"), ("negate", "true")]),
            ("nothing", "Filter", &[("predicate", "deleted")]),
        ],
    )
    .set("predicates", "plain,deleted")
    .set("predicates.plain.type", "TopicNameMatches")
    .set("predicates.plain.pattern", "(?!.*-routed).*")
    .set("predicates.deleted.type", "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone");
    run(&["run", "--once", &connector.file().display().to_string()]).expect_code(0);
    let delivered = texts(&format!("{}-routed", connector.topic("orders")), 2);
    assert_eq!(delivered[0].1, r#"{"id":1,"customer":"ann","amount":1.50,"note":"7"}"#);
}

#[test]
fn headers_texts_and_timestamps_are_made_of_constants_and_columns() {
    let database = database();
    database
        .run("alter table orders add made timestamptz; update orders set made = '2024-02-29T12:00:00Z' where id = 1");
    let connector = connector(
        &database,
        &[
            ("key", "ValueToKey", &[("fields", "id")]),
            ("source", "InsertHeader", &[("header", "source"), ("value.literal", "1.10")]),
            ("gone", "InsertHeader", &[("header", "gone"), ("value.literal", "x")]),
            ("list", "InsertHeader", &[("header", "list"), ("value.literal", "[1, 2.5]")]),
            ("of", "HeaderFrom$Value", &[("fields", "card,amount"), ("headers", "card,price"), ("operation", "move")]),
            ("drop", "DropHeaders", &[("headers", "gone")]),
            ("mask", "MaskField$Value", &[("fields", "note"), ("replacement", "*"), ("predicate", "has")]),
            ("never", "MaskField$Value", &[("fields", "customer"), ("predicate", "dropped")]),
            ("line", "ConcatFields$Value", &[]),
            ("time", "ExtractTimestamp$Value", &[]),
        ],
    )
    .set("predicates", "has,dropped")
    .set("predicates.has.type", &format!("{TRANSFORMS}.predicates.HasHeaderKey"))
    .set("predicates.has.name", "card")
    .set("predicates.dropped.type", &format!("{TRANSFORMS}.predicates.HasHeaderKey"))
    .set("predicates.dropped.name", "gone")
    .set("transforms.line.type", "io.aiven.kafka.connect.transforms.ConcatFields$Value")
    .set("transforms.line.field.names", "id,customer,nobody")
    .set("transforms.line.output.field.name", "line")
    .set("transforms.line.delimiter", "-")
    .set("transforms.line.field.replace.missing", "?")
    .set("transforms.time.type", "io.aiven.kafka.connect.transforms.ExtractTimestamp$Value")
    .set("transforms.time.field.name", "made")
    .set("errors.tolerance", "all");
    let file = connector.file().display().to_string();
    run(&["run", "--once", &file]).expect_code(0);
    let topic = connector.topic("orders");
    // The row without a time has no timestamp to give, and is left out.
    let [record] = &read_topic(&topic)[..] else { panic!("one record") };
    let expected = [("source", "1.1"), ("list", "[1.0,2.5]"), ("card", "4111"), ("price", "1.50")];
    assert_eq!(record.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(record.at, 1_709_208_000_000);
    let value = r#"{"id":1,"customer":"ann","note":"*","made":1709208000000,"line":"1-ann-?"}"#;
    assert_eq!(texts(&topic, 1)[0].1, value);
    let mut connector = connector;
    for (converter, says) in [
        ("io.confluent.connect.avro.AvroConverter", "org.apache.kafka.connect.storage.SimpleHeaderConverter"),
        ("org.apache.kafka.connect.json.JsonConverter", "a header that is a list or a map is written by"),
    ] {
        connector = connector.set("header.converter", converter);
        run(&["check", &connector.file().display().to_string()])
            .expect_code(2)
            .expect_says(&["header.converter", says]);
    }
}

#[test]
fn headers_about_the_source_are_the_same_in_a_poll_and_stand_behind_those_of_transforms() {
    let database = database();
    let chain: [Step<'_>; 1] = [("a", "InsertHeader", &[("header", "a"), ("value.literal", "x")])];
    let connector = connector(&database, &chain).set("headers.include", "database,schema,table,mode,guard,poll,server");
    let file = connector.file().display().to_string();
    run(&["run", "--once", &file]).expect_code(0);
    database.run("insert into orders values (3, 'cid', 2, null, null)");
    run(&["run", "--once", &file]).expect_code(0);
    let records = eventually("three records", PATIENCE, || {
        let mut records = read_topic(&connector.topic("orders"));
        records.sort_by_key(|record| record.at);
        Some(records).filter(|records| records.len() == 3)
    });
    let header = |record: &Raw, name: &str| {
        record.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).expect("a header")
    };
    let names: Vec<&str> = records[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    let about =
        ["database", "schema", "table", "mode", "guard", "poll", "server"].map(|word| format!("rowtide.{word}"));
    assert_eq!(names, [&["a".to_owned()][..], &about].concat());
    assert_eq!(
        ["schema", "table", "mode"].map(|word| header(&records[0], &format!("rowtide.{word}"))),
        ["public", "orders", "incrementing"]
    );
    let polls = records.iter().map(|record| header(record, "rowtide.poll")).collect::<Vec<_>>();
    assert!(polls[0] == polls[1] && polls[1] < polls[2], "{polls:?}");
    let wrong = connector.set("headers.include", "tables");
    let checked = run(&["check", &wrong.file().display().to_string()]);
    checked.expect_code(2).expect_says(&[
        "headers.include",
        "has an element that is none of database, schema",
        "table",
    ]);
}
