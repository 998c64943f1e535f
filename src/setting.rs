//! Definitions of configuration keys: name, type, default, allowed values, importance, place and documentation. The
//! tables made of them stand where the settings are used: in `config`, and beside each converter.

use std::fmt;

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
    /// The place it belongs to.
    pub home: Home,
    /// The treatment it gets.
    pub status: Status,
    /// Its effect, in a sentence or two.
    pub doc: &'static str,
    /// The difference from what the key does in Kafka Connect; none if it does the same.
    pub differs: Option<&'static str>,
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

/// The place a key belongs to.
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

/// The treatment of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is honoured.
    Honoured,
    /// It is checked and has no effect, for this reason.
    Ignored(&'static str),
    /// A value that is not empty is a problem, for this reason.
    Refused(&'static str),
}

impl KeyDefinition {
    /// The common beginning, if this is a family.
    pub fn family(&self) -> Option<&'static str> {
        self.name.strip_suffix('*')
    }

    /// True if the key belongs in the connector's file only.
    pub fn is_of_connector(&self) -> bool {
        matches!(self.home, Home::Connector | Home::Rowtide)
    }

    /// The same key with a default.
    #[must_use]
    pub const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// The same key with the values it takes.
    #[must_use]
    pub const fn allow(mut self, allowed: Allowed) -> Self {
        self.allowed = allowed;
        self
    }

    /// The same key with values of Kafka Connect that are refused here, each with the reason.
    #[must_use]
    pub const fn refuse(mut self, refused: &'static [(&'static str, &'static str)]) -> Self {
        self.refused = refused;
        self
    }

    /// The same key with high importance.
    #[must_use]
    pub const fn high(mut self) -> Self {
        self.importance = Importance::High;
        self
    }

    /// The same key with low importance.
    #[must_use]
    pub const fn low(mut self) -> Self {
        self.importance = Importance::Low;
        self
    }

    /// The same key, checked and without effect for a reason.
    #[must_use]
    pub const fn ignored(mut self, reason: &'static str) -> Self {
        self.status = Status::Ignored(reason);
        self
    }

    /// The same key, refused for a reason unless empty.
    #[must_use]
    pub const fn not_there(mut self, reason: &'static str) -> Self {
        self.status = Status::Refused(reason);
        self
    }

    /// The same key with what it does otherwise than in Kafka Connect.
    #[must_use]
    pub const fn differs(mut self, how: &'static str) -> Self {
        self.differs = Some(how);
        self
    }

    /// The same key in another place.
    #[must_use]
    pub const fn home(mut self, home: Home) -> Self {
        self.home = home;
        self
    }
}

/// A key of the connector that is honoured; the other properties follow as calls.
pub const fn key(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
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
        differs: None,
    }
}

/// A key of the worker.
pub const fn worker_key(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
    key(name, kind, doc).home(Home::Worker)
}

/// A key of the connector that Kafka Connect does not know.
pub const fn own_key(name: &'static str, kind: Kind, doc: &'static str) -> KeyDefinition {
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

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}
