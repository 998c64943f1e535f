//! The one table of every configuration key: name, type, default, allowed values, importance, where it
//! belongs, what rowtide does with it, and the text of its documentation. Validation, the reference page
//! and later the answer of REST's `validate` are derived from it; no key is known anywhere else. Sections
//! are files beside this one; a name that ends in `*` stands for every key with that beginning.

pub mod clients;
mod connection;
mod converter;
mod framework;
mod mode;
mod of_tables;
mod ours;
mod polling;
mod records;
mod rest;
mod tables;
mod types;
mod worker;

use crate::convert::{CONVERTERS, ConverterDefinition, setting_groups};
use crate::near;
pub use crate::setting::{Allowed, Home, Importance, KeyDefinition, Kind, Status};
use crate::setting::{key, own_key, worker_key};

/// Keys that belong together.
#[derive(Debug)]
pub struct Section {
    /// Its heading in the reference.
    pub title: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [KeyDefinition],
}

/// The whole table.
pub static SECTIONS: &[Section] = &[
    Section { title: "Connection", keys: connection::KEYS },
    Section { title: "Tables", keys: tables::KEYS },
    Section { title: "Mode and query", keys: mode::KEYS },
    Section { title: "Polling and topics", keys: polling::KEYS },
    Section { title: "Types", keys: types::KEYS },
    Section { title: "Record keys and cursors (rowtide's own)", keys: ours::KEYS },
    Section { title: "Records (rowtide's own)", keys: records::KEYS },
    Section { title: "Single tables (rowtide's own)", keys: of_tables::KEYS },
    Section { title: "Kafka Connect's connector keys", keys: framework::KEYS },
    Section { title: "Converters", keys: converter::KEYS },
    Section { title: "Worker", keys: worker::KEYS },
    Section { title: "REST", keys: rest::KEYS },
];

/// Every definition, in the order of the reference: first the sections, then the settings of the converters.
pub fn all() -> impl Iterator<Item = &'static KeyDefinition> {
    let of_converters = setting_groups().into_iter().flat_map(|(_, group)| group);
    SECTIONS.iter().flat_map(|section| section.keys).chain(of_converters)
}

/// The definition of a key: its own, else that of the longest family it belongs to. A setting of a converter is found
/// under `key.` and `value.`, with and without `schema.registry.`, those of a column under `column.TABLE.COLUMN.`, those of a
/// table under `table.PATTERN.`.
pub fn find(key: &str) -> Option<&'static KeyDefinition> {
    let key = column_setting(key).map_or(key, |(_, setting)| setting);
    if let Some((_, setting)) = converter_setting(key) {
        return CONVERTERS.iter().find_map(|converter| setting_of(converter, setting));
    }
    let keys = || SECTIONS.iter().flat_map(|section| section.keys);
    let family = || {
        keys()
            .filter(|definition| definition.family().is_some_and(|prefix| key.starts_with(prefix)))
            .max_by_key(|definition| definition.name.len())
    };
    let of_table = || table_setting(key).and_then(|(_, name)| of_tables::definition(name));
    keys().find(|definition| definition.name == key).or_else(of_table).or_else(family)
}

/// The key that names the converter, and the setting's name, of a key that is a setting of a converter.
pub(super) fn converter_setting(key: &str) -> Option<(&'static str, &str)> {
    ["key.converter", "value.converter", "header.converter"]
        .into_iter()
        .find_map(|role| Some((role, key.strip_prefix(role)?.strip_prefix('.')?)))
}

/// A converter's definition of a setting, with or without `schema.registry.`.
pub(super) fn setting_of(converter: &ConverterDefinition, setting: &str) -> Option<&'static KeyDefinition> {
    let bare = || converter.setting(setting.strip_prefix("schema.registry.")?);
    let named = |name: &str| converter.setting(name).filter(|definition| definition.family().is_none());
    named(setting)
        .or_else(|| named(setting.strip_prefix("schema.registry.")?))
        .or_else(|| converter.setting(setting))
        .or_else(bare)
}

/// The column in a key `column.COLUMN.SETTING`, and the setting.
pub(super) fn column_setting(key: &str) -> Option<(&str, &'static str)> {
    let rest = key.strip_prefix("column.")?;
    types::OF_COLUMNS.iter().find_map(|setting| {
        let column = rest.strip_suffix(setting)?;
        if column.is_empty() { Some((column, *setting)) } else { Some((column.strip_suffix('.')?, *setting)) }
    })
}

/// The pattern between `table.` and the setting of a table, and that setting; the longest name of a setting counts. A key of
/// that very name is none.
pub(super) fn table_setting(key: &str) -> Option<(&str, &'static str)> {
    let rest = key.strip_prefix("table.").filter(|_| tables::KEYS.iter().all(|known| known.name != key))?;
    let named = of_tables::names().filter_map(|name| {
        let pattern = rest.strip_suffix(name)?.strip_suffix('.')?;
        (!pattern.is_empty()).then_some((pattern, name))
    });
    named.max_by_key(|(_, name)| name.len())
}

/// The settings a table can have for itself.
pub(super) fn settings_of_tables() -> Vec<&'static str> {
    of_tables::names().collect()
}

/// True if an unknown key is meant for a setting of a table, and the key that may be meant.
pub(super) fn misnamed_table_setting(key: &str) -> Option<Option<String>> {
    /// Keys of Kafka Connect's JDBC sink connectors, which a source passes over.
    const OF_SINKS: &[&str] = &["table.name.format", "table.name.normalize"];
    let rest = key.strip_prefix("table.").filter(|rest| rest.contains('.'))?;
    let alike = near::nearest(key, tables::KEYS.iter().map(|known| known.name));
    if OF_SINKS.contains(&key) || alike.is_some() {
        return None;
    }
    let ends = rest.match_indices('.').map(|(at, _)| (&rest[..at], &rest[at + 1..]));
    let like = ends.flat_map(|(pattern, end)| {
        of_tables::names().map(move |name| (near::likeness(end, name), format!("table.{pattern}.{name}")))
    });
    let best = like.max_by(|one, other| one.0.total_cmp(&other.0));
    Some(best.filter(|(likeness, _)| near::may_be_meant(*likeness)).map(|(_, key)| key))
}

/// The settings a column can have for itself.
pub(super) fn settings_of_columns() -> &'static [&'static str] {
    types::OF_COLUMNS
}

/// The known key most like an unknown one, if any is alike enough to be meant.
pub fn nearest(key: &str) -> Option<String> {
    if let Some(rest) = key.strip_prefix("column.") {
        // Each setting has one dot.
        let at = rest.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
        let setting = near::nearest(&rest[at..], types::OF_COLUMNS.iter().copied())?;
        return Some(format!("column.{}{setting}", &rest[..at]));
    }
    let (role, sought) = match key.strip_prefix("key.converter.") {
        Some(setting) => ("key.converter.", format!("value.converter.{setting}")),
        None => ("value.converter.", key.to_owned()),
    };
    let name = near::nearest(&sought, all().filter(|known| known.family().is_none()).map(|known| known.name))?;
    Some(match name.strip_prefix("value.converter.") {
        Some(setting) => format!("{role}{setting}"),
        None => name.to_owned(),
    })
}

/// True if the values of a key are never shown.
pub fn is_secret(key: &str) -> bool {
    const HINTS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "jaas",
        "user.info",
        "keystore.key",
        "private.key",
        "api.key",
        "apikey",
        "certificate.chain",
    ];
    let key = key.to_lowercase();
    HINTS.iter().any(|hint| key.contains(hint)) && !key.ends_with(".url")
        || find(&key).is_some_and(|definition| definition.kind == Kind::Password)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::values::problem_of;

    #[test]
    fn every_key_is_named_once_and_its_default_is_valid() {
        let mut names = BTreeSet::new();
        for definition in all() {
            assert!(names.insert(definition.name), "{} stands twice", definition.name);
            assert!(!definition.doc.is_empty(), "{}", definition.name);
            let default = definition.default.unwrap_or_default();
            if !default.is_empty() {
                assert_eq!(problem_of(definition, default), None, "{}", definition.name);
            }
        }
    }

    #[test]
    fn own_names_win_over_families_and_the_longest_family_over_shorter_ones() {
        assert_eq!(find("connection.user").unwrap().name, "connection.user");
        assert_eq!(find("connection.sslmode").unwrap().name, "connection.*");
        assert_eq!(find("producer.override.acks").unwrap().home, Home::Connector);
        assert_eq!(find("producer.acks").unwrap().home, Home::Worker);
        assert_eq!(find("topic.creation.enable").unwrap().home, Home::Worker);
        assert_eq!(find("key.converter.basic.auth.user.info").unwrap().kind, Kind::Password);
        assert_eq!(find("key.converter.schema.registry.basic.auth.user.info").unwrap().kind, Kind::Password);
        assert!(find("no.such.key").is_none());
        assert_eq!(find("column.a.b.zero.date").unwrap().name, "zero.date");
        assert_eq!(find("column.a.b.mode").unwrap().name, "column.*");
        assert_eq!(find("table.poll.interval.ms").unwrap().name, "table.poll.interval.ms");
        assert_eq!(find("table.shop.*.poll.interval.ms").unwrap().name, "table.PATTERN.poll.interval.ms");
        assert_eq!(find("table.key.mode").unwrap().name, "table.PATTERN.mode");
        assert_eq!(table_setting("table.shop.orders.key.mode"), Some(("shop.orders", "key.mode")));
    }

    #[test]
    fn the_nearest_key_is_the_one_that_was_meant() {
        for (typed, meant) in [
            ("table.whitlist", "table.whitelist"),
            ("incrementing.colum.name", "incrementing.column.name"),
            ("poll.intervall.ms", "poll.interval.ms"),
            ("bootstrap.server", "bootstrap.servers"),
            ("key.converter.schema.registry.urls", "key.converter.schema.registry.url"),
            ("column.a.b.c.decimal.handlin", "column.a.b.c.decimal.handling"),
            ("column.zerodate", "column.zero.date"),
        ] {
            assert_eq!(nearest(typed).as_deref(), Some(meant));
        }
        assert_eq!(nearest("zzz"), None);
    }

    #[test]
    fn a_setting_that_no_table_can_have_is_told_from_a_misspelt_key_and_from_those_of_sinks() {
        for (key, meant) in [
            ("table.shop.orders.wehre", Some(Some("table.shop.orders.where"))),
            ("table.orders.columns.exlude", Some(Some("table.orders.columns.exclude"))),
            ("table.orders.batch.max.rows", Some(None)),
            ("table.whitlist", None),
            ("table.exclud.list", None),
            ("table.name.format", None),
            ("tables", None),
        ] {
            assert_eq!(misnamed_table_setting(key).as_ref().map(Option::as_deref), meant, "{key}");
        }
    }

    #[test]
    fn secrets_are_known_by_type_and_by_name() {
        for key in ["connection.password", "query.masked", "producer.sasl.jaas.config", "ssl.keystore.password"] {
            assert!(is_secret(key), "{key}");
        }
        assert!(!is_secret("connection.user") && !is_secret("mode"));
        assert!(!is_secret("value.converter.bearer.auth.issuer.endpoint.url"));
    }
}
