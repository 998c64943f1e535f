//! Comments of the database as descriptions in schemas (`schema.doc=comments`).

use serde_json::Value as Json;

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::kafka::read_topic;
use crate::support::process::{checked, once, run};
use crate::support::registry::versions;
use crate::support::{Stack, web};

/// A table of two commented columns and one without a comment.
fn commented(database: &Any) {
    match database {
        Any::Postgres(_) => database.run(
            "create table t (id bigint primary key, price numeric(8,2), note text);
             comment on table t is 'All \"orders\"'; comment on column t.id is 'the order''s number';
             comment on column t.price is 'net, in €'",
        ),
        _ => database.run(
            "create table t (id bigint primary key comment 'the order''s number', price numeric(8,2) comment 'net, in €',
               note varchar(20)) comment 'All \"orders\"'",
        ),
    }
    database.run("insert into t values (1, 9.50, 'a')");
}

fn with_comments() -> impl Iterator<Item = Any> {
    Any::all().into_iter().filter(|database| database.name() != "sqlite")
}

fn reading(database: &Any) -> Connector {
    database.by_id("t", 10).set("key.mode", "primary_key").set("schema.doc", "comments").alone()
}

/// A version of the schema of values in the registry.
fn schema(connector: &Connector, role: &str, version: &str) -> Json {
    let subject = format!("{}-{role}", connector.topic("t"));
    let url = format!("{}/subjects/{subject}/versions/{version}", Stack::get().registry);
    let answer: Json = serde_json::from_str(&web::get(&url).body).expect("JSON");
    let text = answer["schema"].as_str().unwrap_or_else(|| panic!("no schema under {subject}: {answer}"));
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn comments_on_table_and_columns_are_the_doc_of_record_and_fields_and_a_changed_one_is_another_schema_at_the_next_start()
 {
    for database in with_comments() {
        commented(&database);
        let connector = reading(&database);
        checked(&connector).expect_code(0);
        once(&connector).expect_code(0);
        let value = schema(&connector, "value", "1");
        let name = database.name();
        assert_eq!(value["doc"], "All \"orders\"", "{name}");
        let docs: Vec<Option<&str>> = (0..3).map(|at| value["fields"][at]["doc"].as_str()).collect();
        assert_eq!(docs, [Some("the order's number"), Some("net, in €"), None], "{name}");
        assert_eq!(schema(&connector, "key", "1")["fields"][0]["doc"], "the order's number", "{name}");
        // No comment has changed, then one has.
        database.run("insert into t values (2, 9.50, 'b')");
        once(&connector).expect_code(0);
        let subject = format!("{}-value", connector.topic("t"));
        assert_eq!(versions(&subject), [1], "{name}");
        match &database {
            Any::Postgres(_) => database.run("comment on column t.price is 'gross'"),
            _ => database.run("alter table t modify price numeric(8,2) comment 'gross'"),
        }
        database.run("insert into t values (3, 9.50, 'c')");
        // A comment is no column: `fail` has nothing to say.
        let held = connector.set("schema.change", "fail");
        once(&held).expect_code(0);
        // Apicurio holds two schemas for one that differ in their descriptions only, so its versions do not tell.
        let explained = run(&["explain", "--json", &held.file().display().to_string()]).expect_code(0);
        let document: Json = serde_json::from_str(&explained.stdout).expect("JSON");
        assert_eq!(document[0]["tables"][0]["value"]["schema"]["fields"][1]["doc"], "gross", "{name}");
        assert_eq!(read_topic(&held.topic("t")).len(), 3, "{name}");
    }
}

#[test]
fn json_schema_and_json_with_schemas_describe_their_fields_too_and_without_the_setting_nothing_does() {
    let database = Any::Postgres(Postgres::new());
    commented(&database);
    let of_registry = reading(&database).set("value.converter", "io.confluent.connect.json.JsonSchemaConverter");
    once(&of_registry).expect_code(0);
    let value = schema(&of_registry, "value", "1");
    assert_eq!(value["description"], "All \"orders\"");
    assert_eq!(value["properties"]["id"]["description"], "the order's number");
    assert_eq!(value["properties"]["price"]["oneOf"][1]["description"], "net, in €");
    let json = "org.apache.kafka.connect.json.JsonConverter";
    let alone = || reading(&database).without("value.converter.schema.registry.url").set("value.converter", json);
    for (connector, doc, of_id) in
        [(alone(), Some("All \"orders\""), Some("the order's number")), (alone().set("schema.doc", "none"), None, None)]
    {
        once(&connector).expect_code(0);
        let record = read_topic(&connector.topic("t")).remove(0).value.expect("a value");
        let record: Json = serde_json::from_slice(&record).expect("JSON");
        assert_eq!(record["schema"]["doc"].as_str(), doc);
        assert_eq!(record["schema"]["fields"][0]["doc"].as_str(), of_id);
    }
}

#[test]
fn a_transform_keeps_the_comments_of_what_it_moves_and_a_query_of_postgresql_has_those_of_its_columns() {
    let any = Any::Postgres(Postgres::new());
    commented(&any);
    let moved = reading(&any)
        .set("transforms", "rename")
        .set("transforms.rename.type", "org.apache.kafka.connect.transforms.ReplaceField$Value")
        .set("transforms.rename.renames", "price:amount");
    let file = moved.file().display().to_string();
    let explained = run(&["explain", "--json", &file]).expect_code(0);
    let document: Json = serde_json::from_str(&explained.stdout).expect("JSON");
    let field = &document[0]["tables"][0]["value"]["schema"]["fields"][1];
    assert_eq!((field["name"].as_str(), field["doc"].as_str()), (Some("amount"), Some("net, in €")));
    let query = reading(&any)
        .without("table.whitelist")
        .without("key.mode")
        .set("query", "select id, price as paid, note || '!' as note from t");
    let file = query.file().display().to_string();
    let explained = run(&["explain", "--json", &file]).expect_code(0);
    let document: Json = serde_json::from_str(&explained.stdout).expect("JSON");
    let schema = &document[0]["tables"][0]["value"]["schema"];
    let docs: Vec<Option<&str>> = (0..3).map(|at| schema["fields"][at]["doc"].as_str()).collect();
    assert_eq!((docs, schema["doc"].as_str()), (vec![Some("the order's number"), Some("net, in €"), None], None));
}

#[test]
fn sqlite_keeps_no_comments_and_says_so_at_start() {
    let database = Any::Sqlite(Sqlite::new());
    database.run("create table t (id integer primary key)");
    checked(&reading(&database)).expect_code(2).expect_says(&["schema.doc", "SQLite keeps no comments"]);
}
