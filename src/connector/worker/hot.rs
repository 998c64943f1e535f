//! Settings that a running connector takes as it runs: those of single tables, and a few that every table reads by itself.
//! With any other the connector starts anew.

use std::collections::BTreeSet;

use super::hosted::Settings;
use crate::config::spec::ConnectorSpec;

/// The keys of a connector that its tables take as they run.
const OF_ALL: &[&str] = &[
    "poll.interval.ms",
    "poll.interval.max.ms",
    "poll.windows",
    "replica.lag.max.ms",
    "load.rows.per.second",
    "plan.guard",
    "batch.max.rows",
    "errors.log.enable",
    "errors.log.include.messages",
];
/// The settings of single tables that are not among them: a topic is compared with those of the other tables at a start.
const NOT_OF_TABLES: &[&str] = &["topic"];

/// The newer specification, if all that differs can be taken by a connector that runs with the older one.
pub(super) fn taken<'s>(older: &Settings, newer: &'s Settings) -> Option<&'s ConnectorSpec> {
    let (Ok(before), Ok(after)) = (&older.spec, &newer.spec) else { return None };
    let rules = [before, after].into_iter().flat_map(|spec| spec.tables.iter());
    let of_tables = rules.filter(|rule| !NOT_OF_TABLES.contains(&rule.name)).map(|rule| rule.key.as_str());
    let hot: BTreeSet<&str> = of_tables.chain(OF_ALL.iter().copied()).collect();
    differences(older, newer).iter().all(|key| hot.contains(key)).then_some(after)
}

/// The keys that have other values, as they are written.
fn differences<'s>(older: &'s Settings, newer: &'s Settings) -> BTreeSet<&'s str> {
    let (before, after) = (&older.document.entries, &newer.document.entries);
    let raw = |settings: &'s Settings, key: &str| settings.document.entries.get(key).map(|entry| entry.raw.as_str());
    let keys = before.keys().chain(after.keys()).map(String::as_str);
    keys.filter(|key| raw(older, key) != raw(newer, key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Document, Surroundings};

    fn settings(changes: &[(&str, &str)]) -> Settings {
        let settings = [
            ("name", "c"),
            ("connection.url", "jdbc:postgresql://h/d"),
            ("mode", "bulk"),
            ("topic.prefix", "p_"),
            ("bootstrap.servers", "b:1"),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("poll.interval.ms", "5000"),
            ("table.orders.where", "a > 1"),
        ];
        let all: std::collections::BTreeMap<String, String> =
            settings.iter().chain(changes).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let read = Settings::read(Document::from_map("c", all), Surroundings::default());
        assert!(read.spec.is_ok(), "{:?}", read.spec.err());
        read
    }

    #[test]
    fn settings_of_single_tables_are_taken_and_those_of_the_connector_are_not() {
        let older = settings(&[]);
        let is_taken = |changes: &[(&str, &str)]| taken(&older, &settings(changes)).is_some();
        assert!(is_taken(&[]));
        assert!(is_taken(&[("poll.interval.ms", "70"), ("errors.log.enable", "true")]));
        assert!(is_taken(&[("poll.windows", "Sat"), ("table.orders.poll.windows", ""), ("replica.lag.max.ms", "9")]));
        assert!(is_taken(&[("table.orders.where", "a > 2"), ("table.*.columns.exclude", "secret")]));
        assert!(taken(&settings(&[("table.items.poll.interval.ms", "9")]), &older).is_some(), "one that is taken away");
        assert!(!is_taken(&[("table.orders.topic", "elsewhere")]));
        assert!(!is_taken(&[("poll.interval.ms", "70"), ("topic.prefix", "q_")]));
        assert!(!is_taken(&[("table.poll.interval.ms", "70")]), "it is no setting of a table");
    }
}
