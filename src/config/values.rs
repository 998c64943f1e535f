//! Values of keys by the rules of Kafka's `ConfigDef` (`connector-config.md`, 1): text in, a typed value or
//! a sentence about what is wrong out. The sentence never contains the value, which may be a secret.

use super::keys::{Allowed, KeyDefinition, Kind, Status};
use crate::zone::Zone;

/// The fault of a value, if it has one.
pub(crate) fn problem_of(definition: &KeyDefinition, text: &str) -> Option<String> {
    let text = text.trim();
    if let Status::Refused(reason) = definition.status {
        return (!text.is_empty()).then(|| reason.to_owned());
    }
    if let Some((_, reason)) = definition.refused.iter().find(|(value, _)| value.eq_ignore_ascii_case(text)) {
        return Some((*reason).to_owned());
    }
    let wrong_type = match definition.kind {
        Kind::Text | Kind::Password | Kind::List | Kind::Class => None,
        Kind::Boolean => boolean(text).is_none().then_some("true or false"),
        Kind::Int => text.parse::<i32>().is_err().then_some("a whole number of at most 32 bits"),
        Kind::Long => text.parse::<i64>().is_err().then_some("a whole number of at most 64 bits"),
    };
    match wrong_type {
        Some(expected) => Some(format!("must be {expected}")),
        None => (!allows(definition.allowed, text)).then(|| format!("must be {}", allowed_text(definition.allowed))),
    }
}

fn allows(allowed: Allowed, text: &str) -> bool {
    match allowed {
        Allowed::Any => true,
        Allowed::Words(words) => words.contains(&text),
        Allowed::AnyCase(words) => words.iter().any(|word| word.eq_ignore_ascii_case(text)),
        Allowed::LowerOrUpper(words) => words.iter().any(|word| *word == text || word.to_uppercase() == text),
        Allowed::Range(from, to) => text.parse::<i64>().is_ok_and(|value| (from..=to).contains(&value)),
        Allowed::Test(_, test) => test(text),
    }
}

/// The allowed values in words, for messages and the reference.
pub(crate) fn allowed_text(allowed: Allowed) -> String {
    let list = |words: &[&str]| words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", ");
    match allowed {
        Allowed::Any => "anything".to_owned(),
        Allowed::Words(words) => format!("one of {}", list(words)),
        Allowed::AnyCase(words) => format!("one of {} (in any case)", list(words)),
        Allowed::LowerOrUpper(words) => format!("one of {} (all lower or all upper case)", list(words)),
        Allowed::Range(from, to) if to >= i64::from(i32::MAX) => format!("at least {from}"),
        Allowed::Range(from, to) => format!("from {from} to {to}"),
        Allowed::Test(words, _) => words.to_owned(),
    }
}

/// The words of an enumeration, for a guess at which was meant.
pub(crate) fn words(allowed: Allowed) -> &'static [&'static str] {
    match allowed {
        Allowed::Words(words) | Allowed::AnyCase(words) | Allowed::LowerOrUpper(words) => words,
        Allowed::Any | Allowed::Range(..) | Allowed::Test(..) => &[],
    }
}

/// `true` or `false` in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The elements of a list, empty ones included; the empty text is the empty list.
pub(crate) fn list(text: &str) -> Vec<&str> {
    let text = text.trim();
    if text.is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() }
}

/// True if a text names a time zone.
pub(crate) fn is_zone(text: &str) -> bool {
    text.parse::<Zone>().is_ok()
}

/// True if a text consists of what Kafka allows in a topic's name; the empty text does.
pub(crate) fn is_topic_text(text: &str) -> bool {
    text.len() <= 249 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// True if a text may be part of the name of a record schema; the empty text may.
pub(crate) fn is_schema_name_text(text: &str) -> bool {
    text.chars().all(|character| character.is_alphanumeric() || "._".contains(character))
}

/// True if a text is the namespace of record schemas; the empty text is none.
pub(crate) fn is_namespace(text: &str) -> bool {
    let is_segment = |segment: &str| {
        segment.starts_with(|first: char| first.is_alphabetic() || first == '_') && is_schema_name_text(segment)
    };
    text.is_empty() || text.split('.').all(is_segment)
}

/// True if a text can name a connector.
pub(crate) fn is_connector_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// True if a text is a count of partitions or replicas, -1 being the broker's.
pub(crate) fn is_count(text: &str) -> bool {
    text.parse::<i32>().is_ok_and(|count| count == -1 || count >= 1)
}

/// True if a text is a list of brokers, each perhaps with a protocol before it.
pub(crate) fn is_bootstrap(text: &str) -> bool {
    let brokers: Vec<_> = list(text).into_iter().filter(|broker| !broker.is_empty()).collect();
    let has_port = |broker: &&str| {
        let address = broker.split_once("://").map_or(*broker, |(_, address)| address);
        address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    !brokers.is_empty() && brokers.iter().all(has_port)
}

/// True if a text is a list of addresses to listen on.
pub(crate) fn is_listeners(text: &str) -> bool {
    listeners(text).is_some_and(|found| !found.is_empty())
}

/// Addresses to listen on: whether with TLS, host, port. None if one of them is malformed.
pub(crate) fn listeners(text: &str) -> Option<Vec<(bool, String, u16)>> {
    let one = |text: &str| {
        let (scheme, address) = text.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (host, port) = address.trim_end_matches('/').rsplit_once(':')?;
        let is_host = !host.contains(|c: char| c.is_whitespace() || "/@?#".contains(c));
        is_host.then_some((tls, host.to_owned(), port.parse().ok()?))
    };
    list(text).into_iter().filter(|element| !element.is_empty()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::find;

    #[test]
    fn values_are_judged_as_kafka_judges_them() {
        for (key, good, bad) in [
            ("validate.non.null", &["true", "FALSE", " False "][..], &["yes", "", "1"][..]),
            ("poll.interval.ms", &["0", "-5", " 10 "], &["", "1.5", "2147483648", "10s"]),
            ("timestamp.initial", &["-1", "9223372036854775807"], &["9223372036854775808", "now"]),
            ("numeric.mapping", &["best_fit", "BEST_FIT"], &["Best_Fit", "bestfit"]),
            ("mode", &["bulk", " timestamp+incrementing "], &["Bulk", "", "timestamp,incrementing"]),
            ("quote.sql.identifiers", &["never", "Always"], &["sometimes"]),
            ("transaction.isolation.mode", &["READ_COMMITTED"], &["READ_COMMITED", "read_committed"]),
            ("date.calendar.system", &["PROLEPTIC_GREGORIAN"], &["proleptic_gregorian"]),
            ("batch.max.rows", &["1"], &["0", "-1"]),
            ("topic.prefix", &["", "a.b_C-1"], &["a b", "a/b", "ä"]),
            ("db.timezone", &["UTC", "Europe/Berlin", "+02:00", "EST"], &["Mars", ""]),
            (
                "bootstrap.servers",
                &["a:9092", "a:1,b:2", "SSL://h:9093", "[::1]:9092"],
                &["", "a", "a:b", "a:1,b", ":9092"],
            ),
            (
                "listeners",
                &["http://:8083", "https://[::1]:8443, HTTP://localhost:0", "http://h:1/"],
                &["", "8083", "h:8083", "ftp://h:1", "http://h", "http://u@h:1", "http://h:70000"],
            ),
            ("tasks.max", &["1"], &["0", "many"]),
            ("offset.storage.partitions", &["-1", "25"], &["0", "-2"]),
            ("errors.tolerance", &["none", "ALL"], &["some"]),
        ] {
            let definition = find(key).unwrap();
            for text in good {
                assert_eq!(problem_of(definition, text), None, "{key}={text}");
            }
            for text in bad {
                assert!(problem_of(definition, text).is_some(), "{key}={text}");
            }
        }
    }

    #[test]
    fn lists_keep_empty_elements_and_trim_the_others() {
        assert_eq!(list(" a , b,,c "), ["a", "b", "", "c"]);
        assert!(list("  ").is_empty());
    }
}
