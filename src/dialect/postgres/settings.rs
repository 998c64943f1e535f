//! Settings of a session, so that no default of a server, a database or a role changes the rows that are read or the
//! life of a transaction. Sent at the start of the session, where it costs no round trip and holds for its whole life,
//! and read back; where a pooler or a proxy does not pass it on, set in every transaction.
//!
//! Left to the server are the settings that give a query its meaning to every other client, too: `search_path`, the
//! languages of `lc_*` and of `default_text_search_config`, `role`, `row_security`; and those that only cost time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::syntax::{double_quoted, single_quoted};
use crate::config::spec::{Isolation, SourceSpec};
use crate::error::{Error, Result};

/// Names and values of the settings sent at the start. Each is known to every server that is read.
const AT_START: &[(&str, &str)] = &[
    // The text form of values.
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("xmlbinary", "base64"),
    ("quote_all_identifiers", "off"),
    // The reading of text.
    ("standard_conforming_strings", "on"),
    ("array_nulls", "on"),
    ("xmloption", "content"),
    ("timezone_abbreviations", "Default"),
    // The rows that a statement finds.
    ("transform_null_equals", "off"),
    ("gin_fuzzy_search_limit", "0"),
    // The life of a session and its transactions. Nothing stays open while idle, but for a process that is stopped in
    // the middle, whose locks must not stay for ever.
    ("exit_on_error", "off"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "off"),
    ("idle_in_transaction_session_timeout", "300000"),
];

/// Settings that only newer servers know, set after the start where they are known.
const IF_KNOWN: &[(&str, &str)] = &[("idle_session_timeout", "0"), ("transaction_timeout", "0")];

/// Settings that the driver sends at the start.
const OF_THE_DRIVER: &[(&str, &str)] =
    &[("DateStyle", "ISO, MDY"), ("client_encoding", "UTF8"), ("TimeZone", "UTC"), ("extra_float_digits", "3")];

/// The encoding of the database's text.
pub(super) const ENCODING: &str = "server_encoding";
/// Any bytes. Asked for text in UTF-8 the server fails the whole statement for bytes that are none, and does not say in
/// which row; as they are they come with the row that they are in.
const ANY_BYTES: &str = "SQL_ASCII";

/// Settings that rowtide itself relies on, and why.
const RELIED_ON: &[(&str, &str)] = &[
    ("quote_all_identifiers", "the names of types would be other ones"),
    ("standard_conforming_strings", "a backslash in a text would hide its end"),
    ("default_transaction_deferrable", "a statement could wait for the end of every other transaction"),
    ("gin_fuzzy_search_limit", "rows would be left out at random"),
];

/// The settings of one session.
pub(super) struct Settings {
    /// Ours; a user's own of the same name take their place.
    ours: Vec<(&'static str, String)>,
    /// The settings in connection.url.
    own: Vec<(String, String)>,
    isolation: &'static str,
}

impl Settings {
    pub(super) fn of(source: &SourceSpec) -> Result<Self> {
        let parameters = &source.url.parameters;
        let parameter = |name: &str| parameters.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let mut own = startup_options(parameter("options").unwrap_or_default())?;
        if let (Some(schemas), None) = (parameter("currentSchema"), find(&own, "search_path")) {
            own.push(("search_path".to_owned(), schemas.to_owned()));
        }
        // Set by the driver behind them, as with pgjdbc.
        own.retain(|(name, _)| !OF_THE_DRIVER.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
        for (name, why) in RELIED_ON {
            let expected = AT_START.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
            if find(&own, name).is_some_and(|value| !means(value, expected)) {
                return Err(Error::config(format!("the parameter options of connection.url changes {name}: {why}"))
                    .advise(format!("remove {name}; rowtide sets it to {expected}")));
            }
        }
        // The built-in one of PostgreSQL. Each statement is a transaction of its own, so no other one reads more.
        let isolation = match source.isolation.unwrap_or(Isolation::ReadCommitted) {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        };
        let mut ours: Vec<_> = AT_START.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        ours.push(("default_transaction_isolation", isolation.to_owned()));
        // No limit on a statement's time: a silent one is found by asking the server (`vigil`).
        ours.push(("statement_timeout", "0".to_owned()));
        ours.retain(|(name, _)| find(&own, name).is_none());
        Ok(Self { ours, own, isolation })
    }

    /// The settings sent at the start of a session that is nobody else's.
    pub(super) fn at_start(&self) -> Vec<(String, String)> {
        let ours = self.ours.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        ours.chain(self.own.iter().cloned()).collect()
    }

    /// The query for the present values of all that are set; those that the server does not know are not in it.
    pub(super) fn present() -> String {
        let ours = [AT_START, IF_KNOWN, OF_THE_DRIVER].into_iter().flatten().map(|(name, _)| *name);
        let names: Vec<String> =
            ours.chain(["default_transaction_isolation", "statement_timeout", ENCODING]).map(single_quoted).collect();
        format!("select name, setting from pg_catalog.pg_settings where name in ({})", names.join(", "))
    }

    /// The names whose values have not arrived: something between does not pass them on.
    pub(super) fn missed<'a>(&'a self, present: &BTreeMap<String, String>) -> Vec<&'a str> {
        let of_driver = OF_THE_DRIVER.iter().copied();
        let sent = self.ours.iter().map(|(name, value)| (*name, value.as_str())).chain(of_driver);
        sent.filter(|(name, value)| present.get(*name).is_none_or(|found| found != value))
            .map(|(name, _)| name)
            .collect()
    }

    /// The statements for settings that could not be sent at the start.
    pub(super) fn after_start(&self, present: &BTreeMap<String, String>) -> String {
        let known = IF_KNOWN.iter().filter(|(name, _)| present.contains_key(*name) && find(&self.own, name).is_none());
        let known = known.map(|(name, value)| (*name, *value));
        let encoding = holds_any_bytes(present).then_some(("client_encoding", ANY_BYTES));
        known.chain(encoding).fold(String::new(), |sql, (name, value)| sql + &format!("set {name} = '{value}'; "))
    }

    /// The statements that set all of it until the end of the transaction.
    pub(super) fn in_transaction(&self, present: &BTreeMap<String, String>) -> String {
        let mut sql = String::new();
        let mut set = |name: &str, value: &str| {
            let value = if name.eq_ignore_ascii_case("search_path") { schemas(value) } else { single_quoted(value) };
            // Writing to a String cannot fail.
            let _ = write!(sql, "set local {} = {value}; ", setting_name(name));
        };
        // The transaction's own modes are in its BEGIN.
        let ours = self.ours.iter().filter(|(name, _)| !name.starts_with("default_transaction_"));
        let ours = ours.map(|(name, value)| (*name, value.as_str()));
        let rest = IF_KNOWN.iter().copied().filter(|(name, _)| find(&self.own, name).is_none());
        for (name, value) in ours.chain(rest).chain(OF_THE_DRIVER.iter().copied()) {
            match name {
                "client_encoding" if holds_any_bytes(present) => set(name, ANY_BYTES),
                name if present.contains_key(name) => set(name, value),
                _ => {}
            }
        }
        self.own.iter().for_each(|(name, value)| set(name, value));
        sql
    }

    /// The statement that begins a transaction of one call.
    pub(super) fn begin(&self) -> String {
        format!("begin isolation level {}, read only, not deferrable; ", self.isolation)
    }
}

/// The database takes any bytes for text.
fn holds_any_bytes(present: &BTreeMap<String, String>) -> bool {
    present.get(ENCODING).is_some_and(|encoding| encoding == ANY_BYTES)
}

fn find<'a>(settings: &'a [(String, String)], name: &str) -> Option<&'a str> {
    settings.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// True if two values of a switch or a number are the same.
fn means(value: &str, expected: &str) -> bool {
    let plain = |value: &str| match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => "on".to_owned(),
        "false" | "no" | "off" | "0" => "off".to_owned(),
        other => other.to_owned(),
    };
    plain(value) == plain(expected)
}

/// A setting's name in SQL; those of extensions have two parts.
fn setting_name(name: &str) -> String {
    name.split('.').map(double_quoted).collect::<Vec<_>>().join(".")
}

/// A list of schemas as the server reads it, in SQL.
fn schemas(list: &str) -> String {
    let mut names = vec![String::new()];
    let mut quoted = false;
    for character in list.chars() {
        match character {
            ',' if !quoted => names.push(String::new()),
            _ => {
                quoted ^= character == '"';
                names.last_mut().into_iter().for_each(|name| name.push(character));
            }
        }
    }
    let names = names.iter().map(|name| {
        let name = name.trim();
        match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(_) => name.to_owned(),
            None => double_quoted(&name.to_lowercase()),
        }
    });
    names.collect::<Vec<_>>().join(", ")
}

/// `-c name=value --name=value`, a backslash before a space that belongs to a value.
fn startup_options(text: &str) -> Result<Vec<(String, String)>> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => words.last_mut().into_iter().for_each(|word| word.extend(characters.next())),
            _ if character.is_whitespace() => words.push(String::new()),
            _ => words.last_mut().into_iter().for_each(|word| word.push(character)),
        }
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            Some("") => words.next().unwrap_or_default(),
            Some(rest) => rest.to_owned(),
            None => String::new(),
        };
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| Error::config("the parameter options must be of the form -c name=value"))?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn startup_options_are_split_as_the_server_does() {
        let settings = startup_options(r"-c work_mem=64MB --geqo=off -csearch_path=a,\ b").unwrap();
        let expected = [("work_mem", "64MB"), ("geqo", "off"), ("search_path", "a, b")];
        assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(startup_options("-d 5").is_err());
    }

    #[test]
    fn a_list_of_schemas_is_read_as_the_server_does() {
        assert_eq!(schemas("a, B,\"c, D\",$user"), r#""a", "b", "c, D", "$user""#);
        assert_eq!(setting_name("my.own"), r#""my"."own""#);
        assert!(means("1", "on") && means("OFF", "0") && !means("off", "on"));
    }
}
