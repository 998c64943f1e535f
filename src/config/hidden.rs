//! Secrets: the masking of values by key, of credentials in URLs, and the `Debug` of those parts of the specification
//! that hold settings as they came.

use std::collections::BTreeMap;
use std::fmt;

use super::keys::is_secret;
use super::spec::{ConverterSpec, KafkaSpec, Selection, SourceUrl};

/// The text in place of a secret.
pub(crate) const HIDDEN: &str = "[hidden]";

/// A value fit to be shown.
pub fn masked(key: &str, value: &str) -> String {
    if is_secret(key) {
        return HIDDEN.to_owned();
    }
    let is_url = key == "connection.url" || value.contains("://") || value.starts_with("jdbc:");
    if is_url { masked_url(value) } else { value.to_owned() }
}

/// A URL (or several) without users, passwords and parameters, whatever its grammar. In doubt, and a
/// malformed URL is always in doubt, only the scheme is left.
fn masked_url(url: &str) -> String {
    let mut scheme: String =
        url.chars().take_while(|c| c.is_ascii_alphanumeric() || ":+-".contains(*c)).take(24).collect();
    scheme.truncate(scheme.rfind(':').map_or(0, |last| last + 1));
    let rest = match url.rsplit_once('@') {
        Some((before, _)) if before.contains('?') => return format!("{scheme}{HIDDEN}"),
        Some((_, host)) => format!("//{HIDDEN}@{host}"),
        None => url[scheme.len()..].to_owned(),
    };
    let (address, parameters) = match rest.split_once('?') {
        Some((address, _)) => (address, "?[hidden]"),
        None => (rest.as_str(), ""),
    };
    let lower = address.to_lowercase();
    if ["password", "secret", "pwd=", "token"].iter().any(|hint| lower.contains(hint)) {
        return format!("{scheme}{HIDDEN}");
    }
    format!("{scheme}{address}{parameters}")
}

struct Masked<'a>(&'a BTreeMap<String, String>);

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, value)| (key, masked(key, value)))).finish()
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({self}, {:?})", Masked(&self.parameters))
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selection::Tables(filter) => f.debug_tuple("Tables").field(filter).finish(),
            Selection::Query { masked: true, .. } => write!(f, "Query({HIDDEN})"),
            Selection::Query { sql, masked: false } => f.debug_tuple("Query").field(sql).finish(),
        }
    }
}

impl fmt::Debug for ConverterSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConverterSpec")
            .field("definition", &self.definition.name)
            .field("settings", &Masked(&self.settings))
            .finish()
    }
}

impl fmt::Debug for KafkaSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSpec")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("group_id", &self.group_id)
            .field("common", &Masked(&self.common))
            .field("producer", &Masked(&self.producer))
            .field("consumer", &Masked(&self.consumer))
            .field("admin", &Masked(&self.admin))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_masked_in_every_grammar() {
        for (url, shown) in [
            ("jdbc:postgresql://h:5432/db?user=u&password=p", "jdbc:postgresql://h:5432/db?[hidden]"),
            ("postgres://u:p@h/db", "postgres://[hidden]@h/db"),
            ("postgres://u:p@x@h/db?sslmode=require", "postgres://[hidden]@h/db?[hidden]"),
            ("jdbc:sqlserver://h;password=p", "jdbc:sqlserver:[hidden]"),
            ("https://u:p@a:1,https://b:2", "https://[hidden]@a:1,https://b:2"),
            ("https://a:1,https://u:p,w@b:2", "https://[hidden]@b:2"),
            ("postgres://u:p?w@h/db", "postgres:[hidden]"),
            ("jdbc:mysql:pw@h//db", "jdbc:mysql://[hidden]@h//db"),
            ("jdbc:mysql://address=(host=h)(password=p)/db", "jdbc:mysql:[hidden]"),
            ("jdbc:postgresql://h/db?user=a@b&password=p", "jdbc:postgresql:[hidden]"),
        ] {
            assert_eq!(masked("connection.url", url), shown);
        }
        assert_eq!(masked("mode", "bulk"), "bulk");
        assert_eq!(masked("sasl.jaas.config", "x"), "[hidden]");
    }
}
