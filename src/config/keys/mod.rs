//! The one table of every configuration key: name, type, default, allowed values, importance, where it
//! belongs, what rowtide does with it, and the text of its documentation. Validation, the reference page
//! and later the answer of REST's `validate` are derived from it; no key is known anywhere else. Sections
//! are files beside this one; a name that ends in `*` stands for every key with that beginning.

pub mod clients;
mod connection;
mod converter;
mod framework;
mod mode;
mod ours;
mod polling;
mod tables;
mod types;
mod worker;

/// One key, or a family of keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyDefinition {
    /// The key; with a trailing `*` every key that begins so.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The value used where none is given; none: there is none.
    pub default: Option<&'static str>,
    /// The values that are taken.
    pub allowed: Allowed,
    /// Values that are valid in Kafka Connect and refused here, each with the reason.
    pub refused: &'static [(&'static str, &'static str)],
    /// Its weight, as Connect tells it.
    pub importance: Importance,
    /// Where it belongs.
    pub home: Home,
    /// What rowtide does with it.
    pub status: Status,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
}

/// The types of `ConfigDef` (`connector-config.md`, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, trimmed.
    Text,
    /// Text that is never shown.
    Password,
    /// `true` or `false`, in any case.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// Elements separated by commas, without escaping.
    List,
    /// The name of a Java class; rowtide knows some by name.
    Class,
}

/// The values a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Allowed {
    /// Whatever the type allows.
    Any,
    /// These words as they are.
    Words(&'static [&'static str]),
    /// These words in all-lower or all-upper case.
    LowerOrUpper(&'static [&'static str]),
    /// These words in any case.
    AnyCase(&'static [&'static str]),
    /// Numbers from, to.
    Range(i64, i64),
    /// A test, and what passes it in words.
    Test(&'static str, fn(&str) -> bool),
}

/// Connect's importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// HIGH.
    High,
    /// MEDIUM.
    Medium,
    /// LOW.
    Low,
}

/// Where a key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// The connector's file.
    Connector,
    /// The connector's file; Kafka Connect does not know the key.
    Rowtide,
    /// The worker's file, its environment or `--set`.
    Worker,
    /// Either: the connector's wins as a whole.
    Both,
}

/// What rowtide does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is honoured.
    Honoured,
    /// It is checked and has no effect, for this reason.
    Ignored(&'static str),
    /// A value that is not empty is a problem, for this reason.
    Refused(&'static str),
}

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
    Section { title: "Kafka Connect's connector keys", keys: framework::KEYS },
    Section { title: "Converters", keys: converter::KEYS },
    Section { title: "Worker", keys: worker::KEYS },
];

/// Every definition, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static KeyDefinition> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The definition of a key: its own, else that of the longest family it belongs to. The settings of the
/// Avro converter are found under `key.` and `value.`, with and without `schema.registry.`, those of a column
/// under `column.TABLE.COLUMN.`.
pub fn find(key: &str) -> Option<&'static KeyDefinition> {
    let key = column_setting(key).map_or(key, |(_, setting)| setting);
    let named = |name: &str| all().find(|definition| definition.name == name);
    let family = |name: &str| {
        all()
            .filter(|definition| definition.family().is_some_and(|prefix| name.starts_with(prefix)))
            .max_by_key(|definition| definition.name.len())
    };
    let Some(setting) = key.strip_prefix("key.converter.").or_else(|| key.strip_prefix("value.converter.")) else {
        return named(key).or_else(|| family(key));
    };
    let full = format!("value.converter.{setting}");
    let bare = format!("value.converter.{}", setting.strip_prefix("schema.registry.").unwrap_or(setting));
    named(&full).or_else(|| named(&bare)).or_else(|| family(&full)).or_else(|| family(&bare))
}

/// What stands between `column.` and the setting of a column, and that setting.
pub(super) fn column_setting(key: &str) -> Option<(&str, &'static str)> {
    let rest = key.strip_prefix("column.")?;
    types::OF_COLUMNS.iter().find_map(|setting| {
        let column = rest.strip_suffix(setting)?;
        if column.is_empty() { Some((column, *setting)) } else { Some((column.strip_suffix('.')?, *setting)) }
    })
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
        let setting = nearest_of(&rest[at..], types::OF_COLUMNS.iter().copied())?;
        return Some(format!("column.{}{setting}", &rest[..at]));
    }
    let (role, sought) = match key.strip_prefix("key.converter.") {
        Some(setting) => ("key.converter.", format!("value.converter.{setting}")),
        None => ("value.converter.", key.to_owned()),
    };
    let name = nearest_of(&sought, all().filter(|known| known.family().is_none()).map(|known| known.name))?;
    Some(match name.strip_prefix("value.converter.") {
        Some(setting) => format!("{role}{setting}"),
        None => name.to_owned(),
    })
}

/// The candidate most like a word, if any is alike enough to be meant.
pub(super) fn nearest_of<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.72)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

/// Whether the values of a key are never shown.
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

impl KeyDefinition {
    /// The common beginning, if this is a family.
    pub fn family(&self) -> Option<&'static str> {
        self.name.strip_suffix('*')
    }

    /// Whether the key belongs in the connector's file only.
    pub fn is_of_connector(&self) -> bool {
        matches!(self.home, Home::Connector | Home::Rowtide)
    }

    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    const fn allow(mut self, allowed: Allowed) -> Self {
        self.allowed = allowed;
        self
    }

    const fn refuse(mut self, refused: &'static [(&'static str, &'static str)]) -> Self {
        self.refused = refused;
        self
    }

    const fn high(mut self) -> Self {
        self.importance = Importance::High;
        self
    }

    const fn low(mut self) -> Self {
        self.importance = Importance::Low;
        self
    }

    const fn ignored(mut self, reason: &'static str) -> Self {
        self.status = Status::Ignored(reason);
        self
    }

    const fn not_there(mut self, reason: &'static str) -> Self {
        self.status = Status::Refused(reason);
        self
    }

    const fn home(mut self, home: Home) -> Self {
        self.home = home;
        self
    }
}

/// A key of the connector that is honoured; the other properties follow as calls.
const fn key(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
    KeyDefinition {
        name,
        kind,
        default: None,
        allowed: Allowed::Any,
        refused: &[],
        importance: Importance::Medium,
        home: Home::Connector,
        status: Status::Honoured,
        doc,
    }
}

const fn worker_key(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
    key(name, kind, doc).home(Home::Worker)
}

const fn own_key(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
    key(name, kind, doc).home(Home::Rowtide)
}

impl Kind {
    /// Connect's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Text => "STRING",
            Kind::Password => "PASSWORD",
            Kind::Boolean => "BOOLEAN",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
        }
    }
}

impl Importance {
    /// Connect's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        }
    }
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
    fn secrets_are_known_by_type_and_by_name() {
        for key in ["connection.password", "query.masked", "producer.sasl.jaas.config", "ssl.keystore.password"] {
            assert!(is_secret(key), "{key}");
        }
        assert!(!is_secret("connection.user") && !is_secret("mode"));
        assert!(!is_secret("value.converter.bearer.auth.issuer.endpoint.url"));
    }
}
