//! The topics of all tables together, by their names alone: no two share one but on purpose, and none is that of offsets or
//! dead letters. Looked at by start, by each listing of the catalog, by `check` and by `explain`; no connection is made.

use std::collections::BTreeMap;

use super::home::Home;
use crate::config::spec::{ConnectorSpec, TableSpec, is_one_to_brokers};
use crate::error::{Error, Result};
use crate::model::Relation;

/// One table and the name of its topic.
struct Named {
    spec: TableSpec,
    /// As the configuration makes it of the table's name.
    named: String,
    /// Before the transforms, and behind them.
    plain: String,
    topic: String,
}

impl Named {
    fn of(spec: &ConnectorSpec, relation: &Relation) -> Result<Self> {
        let spec = spec.for_table(relation);
        let (named, plain) = (spec.named_topic()?, spec.plain_topic()?);
        let topic = spec.transforms.route(plain.clone());
        spec.not_reserved(&topic)?;
        Ok(Self { spec, named, plain, topic })
    }
}

/// Notes about the topics of these tables: shared ones, and names that no topic can have.
///
/// # Errors
/// `Config` with both tables if two would share a topic, and if one would go to the topic of offsets or dead letters.
pub(super) fn look(spec: &ConnectorSpec, relations: &[Relation], home: Home<'_>) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let (mut by_topic, mut shared) = (BTreeMap::<String, Named>::new(), BTreeMap::<String, Shared>::new());
    for relation in relations {
        let table = Named::of(spec, relation)?;
        if table.named != table.plain {
            notes.push(format!(
                "table {relation}: its topic is `{}`, for no topic can be named `{}`",
                table.topic, table.named
            ));
        }
        // As brokers tell names apart.
        let of_brokers = table.topic.replace('.', "_");
        let Some(first) = by_topic.get(&of_brokers) else {
            by_topic.insert(of_brokers, table);
            continue;
        };
        let by = shared_by(first, &table, home)?;
        let new = || Shared { topic: table.topic.clone(), by, tables: vec![first.spec.relation.to_string()] };
        shared.entry(of_brokers).or_insert_with(new).tables.push(relation.to_string());
    }
    notes.extend(shared.values().map(Shared::note));
    Ok(notes)
}

/// Tables of one topic, on purpose.
struct Shared {
    topic: String,
    /// The setting that says so.
    by: String,
    tables: Vec<String>,
}

impl Shared {
    fn note(&self) -> String {
        let names = match &self.tables[..] {
            [first, second] => format!("{first} and {second}"),
            [first, second, more @ ..] => format!("{first}, {second} and {} more", more.len()),
            few => few.join(""),
        };
        format!("tables {names} share the topic `{}`, by {}: their records mix in it", self.topic, self.by)
    }
}

/// The setting by which two tables share a topic.
///
/// # Errors
/// `Config` with both if none does, or if brokers alone take their topics for one.
fn shared_by(one: &Named, other: &Named, home: Home<'_>) -> Result<String> {
    let (first, second, topic) = (&one.spec.relation, &other.spec.relation, &other.topic);
    if one.topic != *topic {
        let message = format!(
            "tables {first} and {second} would go to the topics `{}` and `{topic}`, of which brokers make one only: `.` and `_` \
             are one to them",
            one.topic
        );
        return Err(
            Error::config(message).advise("give one of them another topic by table.PATTERN.topic, or leave it out")
        );
    }
    let is_routed = !is_one_to_brokers(&one.plain, &other.plain);
    match one.spec.shares_topic_with(&other.spec) {
        Some(key) => Ok(key.to_owned()),
        None if is_routed => Ok("transforms".to_owned()),
        None => Err(unmeant(first, second, topic, home)),
    }
}

/// A template that gives two tables one topic, as the bare name does with tables of two schemas (`connector-config.md`, 6.4).
fn unmeant(first: &Relation, second: &Relation, topic: &str, home: Home<'_>) -> Error {
    let error = Error::config(format!("tables {first} and {second} would share one topic, `{topic}`"));
    let (Relation::Table(one), Relation::Table(other)) = (first, second) else { return error };
    let formats = "tell them apart by ${schema} in topic.name.format";
    match (&other.catalog, home.catalog) {
        _ if one.name != other.name => {
            error.advise("let topic.name.format have ${table} in it, or give one of them another topic by table.PATTERN.topic")
        }
        (Some(_), Some(database)) => error.advise(format!(
            "set catalog.pattern={database} to read that database only, narrow the selection with the table lists, or {formats}"
        )),
        _ => error.advise(format!(
            "narrow the selection with schema.pattern, catalog.pattern or the table lists, or {formats}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Document, Surroundings, connector};
    use crate::model::TableId;

    fn table(schema: &str, name: &str) -> Relation {
        Relation::Table(TableId { catalog: None, schema: Some(schema.to_owned()), name: name.to_owned() })
    }

    fn notes(changes: &str, relations: &[Relation]) -> Result<Vec<String>> {
        let text = format!(
            "name=n\nconnection.url=jdbc:postgresql://h/d\nmode=bulk\nbootstrap.servers=b:1\ntopic.prefix=p_\n\
             value.converter=org.apache.kafka.connect.json.JsonConverter\n{changes}"
        );
        let spec = connector(Document::parse("c", &text).unwrap(), Surroundings::default()).unwrap().spec;
        look(&spec, relations, Home { catalog: None, schema: None })
    }

    const ROUTE: &str = "transforms=r\ntransforms.r.type=org.apache.kafka.connect.transforms.RegexRouter\n";

    #[test]
    fn two_tables_of_one_topic_are_refused_by_name_unless_it_is_on_purpose() {
        let (one, other) = (table("a", "orders"), table("b", "orders"));
        let both = [one.clone(), other.clone()];
        let refused = notes("", &both).unwrap_err();
        assert!(
            refused.to_string().contains("tables a.orders and b.orders would share one topic, `p_orders`"),
            "{refused}"
        );
        assert!(refused.advice().contains("${schema} in topic.name.format"), "{}", refused.advice());
        assert_eq!(notes("topic.name.format=${schema}_${table}", &both).unwrap(), Vec::<String>::new());
        let constant = notes("topic.name.format=all", &[one.clone(), table("a", "items")]).unwrap_err();
        assert!(constant.advice().contains("let topic.name.format have ${table} in it"), "{}", constant.advice());
        let shards = [table("a", "orders_1"), table("a", "orders_2")];
        let routed = format!("{ROUTE}transforms.r.regex=(.*)_\\\\d\ntransforms.r.replacement=$1");
        let routed = notes(&routed, &shards).unwrap();
        assert_eq!(
            routed,
            ["tables a.orders_1 and a.orders_2 share the topic `p_orders`, by transforms: their records mix in it"]
        );
        let many = notes("table.orders_*.topic=orders", &[1, 2, 3, 4].map(|n| table("a", &format!("orders_{n}"))));
        assert_eq!(
            many.unwrap(),
            ["tables a.orders_1, a.orders_2 and 2 more share the topic `orders`, by table.orders_*.topic: \
              their records mix in it"]
        );
        let by_key = notes("table.orders_*.topic=orders", &shards).unwrap();
        assert!(by_key[0].contains("by table.orders_*.topic"), "{by_key:?}");
        let by_two = notes("table.orders_1.topic=orders\ntable.orders_2.topic=orders", &shards).unwrap_err();
        assert!(by_two.to_string().contains("would share one topic, `orders`"), "{by_two}");
    }

    #[test]
    fn names_that_brokers_do_not_tell_apart_are_refused_whoever_made_them() {
        let refused =
            notes("topic.name.format=${schema}.${table}", &[table("a", "b_c"), table("a_b", "c")]).unwrap_err();
        let says = "tables a.b_c and a_b.c would go to the topics `a.b_c` and `a_b.c`, of which brokers make one only";
        assert!(refused.to_string().contains(says), "{refused}");
        let routed = format!("{ROUTE}transforms.r.regex=p_x\ntransforms.r.replacement=p.y");
        assert!(notes(&routed, &[table("a", "x"), table("a", "y")]).is_err());
        let sanitised = notes("", &[table("a", "order items"), table("a", "order_items")]).unwrap_err();
        assert!(sanitised.to_string().contains("a.order items and a.order_items would share one topic"), "{sanitised}");
        let alone = notes("", &[table("a", "order items")]).unwrap();
        assert_eq!(
            alone,
            ["table a.order items: its topic is `p_order_items`, for no topic can be named `p_order items`"]
        );
        let offsets = notes("offset.storage.topic=p.orders", &[table("a", "orders")]).unwrap_err();
        assert!(offsets.to_string().contains("the records of a.orders would go to `p_orders`"), "{offsets}");
    }
}
