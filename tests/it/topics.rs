//! Names of topics: by a template, without characters that brokers do not take, and no two tables in one.

use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres};
use crate::support::kafka::records;
use crate::support::process::{Finished, checked, once, run};

fn ids(topic: &str) -> Vec<i64> {
    records(topic).iter().map(|record| record.field("id").as_i64().expect("an id")).collect()
}

fn explained(connector: &Connector) -> Finished {
    run(&["explain", &connector.file().display().to_string()])
}

/// Two tables named orders, in two schemas.
fn two_schemas() -> (Postgres, Connector) {
    let database = Postgres::new();
    database.run(
        "create schema shop; create schema attic;
         create table shop.orders (id bigint primary key); insert into shop.orders values (1);
         create table attic.orders (id bigint primary key); insert into attic.orders values (2)",
    );
    let connector =
        Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("incrementing.column.name", "id").alone();
    (database, connector)
}

#[test]
fn tables_of_one_name_are_refused_with_both_names_until_the_template_tells_them_apart() {
    let (_database, connector) = two_schemas();
    let says = ["attic.orders and shop.orders would share one topic", "${schema} in topic.name.format"];
    checked(&connector).expect_code(2).expect_says(&says);
    explained(&connector).expect_code(2).expect_says(&says);
    once(&connector).expect_code(2).expect_says(&says);
    let format = format!("{}.${{schema}}.${{table}}", connector.name);
    let told_apart = connector.set("topic.name.format", &format);
    checked(&told_apart).expect_code(0).expect_says(&[&format!("to topic {}.shop.orders", told_apart.name)]);
    once(&told_apart).expect_code(0);
    assert_eq!(ids(&format!("{}.shop.orders", told_apart.name)), [1]);
    assert_eq!(ids(&format!("{}.attic.orders", told_apart.name)), [2]);
}

#[test]
fn databases_of_the_mysql_family_are_schemas_to_the_template() {
    for kind in ["mysql", "mariadb", "tidb"] {
        let (own, other) = (MySqlFamily::new(kind), MySqlFamily::new(kind));
        for (database, id) in [(&own, 1), (&other, 2)] {
            database.run(&format!("create table orders (id bigint primary key); insert into orders values ({id})"));
        }
        let tables = format!("{}.orders,{}.orders", own.name, other.name);
        let connector = Connector::new(&format!("{}?nullDatabaseMeansCurrent=false", own.jdbc_url()))
            .without("catalog.pattern")
            .set("mode", "incrementing")
            .set("incrementing.column.name", "id")
            .set("table.whitelist", &tables)
            .alone();
        let names = format!(
            "tables {}.orders and {}.orders would share",
            own.name.clone().min(other.name.clone()),
            own.name.clone().max(other.name.clone())
        );
        checked(&connector).expect_code(2).expect_says(&[&names]);
        let connector = connector.set("topic.name.format", "tidb_${schema}_${table}");
        once(&connector).expect_code(0);
        assert_eq!(ids(&format!("tidb_{}_orders", own.name)), [1], "{kind}");
        assert_eq!(ids(&format!("tidb_{}_orders", other.name)), [2], "{kind}");
    }
}

#[test]
fn topics_that_brokers_do_not_tell_apart_are_refused_before_anything_is_made() {
    let database = Postgres::new();
    database.run(
        "create table a_b (id bigint primary key); create table \"a.b\" (id bigint primary key);
         create table \"order items\" (id bigint primary key); insert into \"order items\" values (7)",
    );
    let connector =
        Connector::new(&database.jdbc_url()).set("mode", "incrementing").set("incrementing.column.name", "id").alone();
    let says = ["public.a_b", "public.a.b", "of which brokers make one only: `.` and `_` are one to them"];
    checked(&connector).expect_code(2).expect_says(&says);
    once(&connector).expect_code(2).expect_says(&says);
    // Avro takes no blank in the name of a record either.
    let connector = connector.set("table.blacklist", "a.b").set("value.converter.scrub.invalid.names", "true");
    let topic = connector.topic("order_items");
    let note = format!("its topic is `{topic}`, for no topic can be named `{}`", connector.topic("order items"));
    checked(&connector).expect_code(0).expect_says(&[&note]);
    once(&connector).expect_code(0);
    assert_eq!(ids(&topic), [7]);
    let offsets = connector.keys["topic.prefix"].clone() + "a.b";
    let into_offsets = connector.set("offset.storage.topic", &offsets);
    let says = ["the records of public.a_b would go to", "do not tell from the offsets topic"];
    checked(&into_offsets).expect_code(2).expect_says(&says);
    explained(&into_offsets).expect_code(2).expect_says(&says);
    // A run may get to the offsets topic first, which the brokers refuse beside the topic that is there by now.
    once(&into_offsets).expect_code(2).expect_says(&["brokers do not tell", &offsets]);
}

#[test]
fn two_tables_may_share_a_topic_where_a_transform_or_one_key_says_so() {
    let database = Postgres::new();
    database.run(
        "create table orders_1 (id bigint primary key); create table orders_2 (id bigint primary key);
         insert into orders_1 values (1); insert into orders_2 values (2)",
    );
    let own = |name: &str| {
        let connector = Connector::new(&database.jdbc_url())
            .set("mode", "incrementing")
            .set("incrementing.column.name", "id")
            .alone();
        // Avro names a record by its table, so these two would not be compatible in one subject.
        let topic = format!("{}-{name}", connector.name);
        let connector = connector
            .set("transforms", "name")
            .set("transforms.name.type", "org.apache.kafka.connect.transforms.SetSchemaMetadata$Value")
            .set("transforms.name.schema.name", "shop.Order");
        (connector, topic)
    };
    let (by_key, topic) = own("all");
    let by_key = by_key.set("table.orders_*.topic", &topic);
    checked(&by_key)
        .expect_code(0)
        .expect_says(&["share the topic", "by table.orders_*.topic: their records mix in it"]);
    once(&by_key).expect_code(0);
    let mut both = ids(&topic);
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
    let (by_route, topic) = own("routed");
    let by_route = by_route
        .set("transforms", "name,route")
        .set("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter")
        .set("transforms.route.regex", ".*_orders_\\d")
        .set("transforms.route.replacement", &topic);
    once(&by_route).expect_code(0).expect_says(&["share the topic", "by transforms"]);
    let mut both = ids(&topic);
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
}

#[test]
fn an_offset_of_old_by_a_bare_name_is_that_of_one_table_only() {
    let (_database, connector) = two_schemas();
    let format = format!("{}.${{schema}}.${{table}}", connector.name);
    let connector = connector.set("topic.name.format", &format);
    let key = format!(r#"["{}",{{"table":"orders"}}]"#, connector.name);
    let topic = connector.keys["offset.storage.topic"].clone();
    crate::support::kafka::make_compacted_topic(&topic, 1);
    crate::support::kafka::seed(&topic, &key, Some(r#"{"incrementing":1}"#));
    let says = ["the offset stored for", "attic.orders or of shop.orders", "rowtide offsets set --table"];
    checked(&connector).expect_code(4).expect_says(&says);
    once(&connector).expect_code(4).expect_says(&says);
    let file = connector.file().display().to_string();
    run(&["offsets", "set", "--table", "shop.orders", "--incrementing", "1", "--yes", &file]).expect_code(0);
    once(&connector).expect_code(0);
    assert_eq!(ids(&format!("{}.attic.orders", connector.name)), [2], "read from its beginning");
    assert!(
        !crate::support::kafka::topics().contains(&format!("{}.shop.orders", connector.name))
            || ids(&format!("{}.shop.orders", connector.name)).is_empty()
    );
}

#[test]
fn brokers_that_create_topics_by_themselves_do_it_where_rowtide_may_not() {
    let database = Postgres::new();
    database.run("create table t (id bigint primary key); insert into t values (1), (2)");
    let connector = Connector::new(&database.jdbc_url())
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("topic.creation.enable", "false")
        .set("topic.creation.default.partitions", "3")
        .set("topic.creation.default.replication.factor", "1");
    checked(&connector)
        .expect_code(0)
        .expect_says(&["the brokers create it if auto.create.topics.enable is set there"]);
    once(&connector).expect_code(0).expect_says(&["topic.creation.* has no effect"]);
    assert_eq!(ids(&connector.topic("t")), [1, 2]);
}
