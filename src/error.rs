//! The one error type. An error is classified where it is born: whoever sees the driver's error picks
//! the [`ErrorKind`], and nobody downstream looks at the cause again. Policy is two total matches,
//! [`ErrorKind::directive`] and [`ErrorKind::advice`]; there is no `From` for driver errors on purpose.

mod entries;

use std::error::Error as StdError;
use std::fmt;

pub use entries::troubleshooting_markdown;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, as far as policy is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The command line or the configuration is wrong.
    Config,
    /// A server refused the credentials.
    Auth,
    /// The credentials are good, the privilege is missing.
    Privilege,
    /// A server cannot be reached, or the connection to it was lost.
    Unreachable,
    /// A statement failed in a way that may pass: deadlock, lock wait, time limit, cancelled.
    Query,
    /// A statement ran into a time limit, of rowtide or of the server, or was cancelled there.
    TimeLimit,
    /// A table or column is missing, or of a type that cannot serve.
    SourceSchema,
    /// The database says no to a statement or a session in a way that does not pass.
    SourceRefused,
    /// The columns of a result are not those that were bound: describe again.
    SchemaChanged,
    /// A value does not fit its schema.
    Value,
    /// The columns have changed, and the configuration says to wait for an operator.
    SchemaHeld,
    /// The record of a row is larger than the producer or the topic allows.
    RecordTooLarge,
    /// A cursor value that would lose rows: null, far in the future, before 1970.
    Cursor,
    /// The schema registry failed in a way that may pass.
    Registry,
    /// The schema registry said no: unknown subject, invalid schema, read-only mode.
    RegistryRefused,
    /// The subject's compatibility rule does not allow the new schema.
    IncompatibleSchema,
    /// Kafka failed in a way that may pass, and no transaction is open.
    Kafka,
    /// Kafka said no: authorization, unknown topic, invalid configuration.
    KafkaRefused,
    /// The open transaction must be, or was, aborted.
    TransactionAborted,
    /// The answer to a commit was lost; only a new start can tell what happened.
    OutcomeUnknown,
    /// A request to end a transaction may still be on its way: nothing more may be sent under its epoch.
    EpochSpent,
    /// Another process took over the transactional id.
    Fenced,
    /// The database is not the one the offsets were read from, or an older copy of it.
    ForeignServer,
    /// A stored offset cannot be read, or progress has a gap.
    Offsets,
    /// Refused to protect data, although nothing is broken.
    Refused,
    /// A file cannot be read or written.
    Io,
    /// Every table of a connector has failed.
    GivenUp,
    /// The work was cancelled.
    Cancelled,
    /// A bug in rowtide.
    Internal,
}

/// The reaction of a task to an error. See [`ErrorKind::directive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// Do the same step again after a backoff.
    Retry,
    /// Describe the table again; go on if it changed, fail if it did not.
    Redescribe,
    /// Abort if possible, drop all state of the task and start from the committed offsets.
    Rebuild,
    /// Stop the table (or, if it is not about one table, the connector) and show the advice.
    Fail,
}

impl ErrorKind {
    /// The policy, in one total match: a new kind does not compile until somebody has decided.
    pub fn directive(self) -> Directive {
        use ErrorKind::*;
        match self {
            Unreachable | Query | TimeLimit | Registry | Kafka => Directive::Retry,
            SchemaChanged | Value => Directive::Redescribe,
            TransactionAborted | OutcomeUnknown | EpochSpent => Directive::Rebuild,
            Config | Auth | Privilege | SourceSchema | SourceRefused | SchemaHeld | RecordTooLarge | Cursor
            | RegistryRefused | IncompatibleSchema | KafkaRefused | Fenced | ForeignServer | Offsets | Refused | Io
            | GivenUp | Cancelled | Internal => Directive::Fail,
        }
    }

    /// One sentence for the operator where the error itself carries no better advice.
    pub fn advice(self) -> &'static str {
        use ErrorKind::*;
        match self {
            Config => "correct the configuration and start again; `rowtide check` shows every problem at once",
            Auth => "check connection.user and connection.password, or the SASL settings of the brokers",
            Privilege => "grant the missing privilege to the connecting user, then restart the connector",
            Unreachable => "check host, port, firewall and whether the server is up",
            Query => "rowtide tries again by itself; if it persists, look at locks and statement time limits",
            TimeLimit => "raise the limit, or look for a missing index with `rowtide explain`",
            SourceSchema => "compare the configuration with the table; `rowtide explain` shows what was found",
            SourceRefused => {
                "correct the object that the database names: the query, the view, the table, or a setting of the \
                 server"
            }
            SchemaChanged => "rowtide describes the table again by itself",
            SchemaHeld => {
                "restart the connector, or the table alone by REST, to go on with the new columns; schema.change=evolve does so by itself"
            }
            Value => "docs/types.md has the settings of the column's type; else correct the row",
            RecordTooLarge => {
                "raise producer.override.max.request.size and max.message.bytes of the topic, or set row.too.large"
            }
            Cursor => "correct the row, or set the cursor.* key named in the message",
            Registry => "check that the schema registry is up",
            RegistryRefused => "check the registry's mode, credentials and the subject",
            IncompatibleSchema => "relax the subject's compatibility, or write to a new topic",
            Kafka => "check that the brokers are up",
            KafkaRefused => "check the ACLs and the topic's configuration",
            TransactionAborted => "rowtide starts again from the committed offsets by itself",
            OutcomeUnknown => "rowtide starts again from the committed offsets by itself",
            EpochSpent => "rowtide continues under a new epoch by itself",
            Fenced => "another process runs this connector; stop one of the two",
            ForeignServer => {
                "correct connection.url, or, if this server is meant, go on with `rowtide run CONNECTOR --accept-server`"
            }
            Offsets => "inspect with `rowtide offsets get`, correct with `rowtide offsets set`",
            Refused => "nothing was changed",
            Io => "check that the file exists and can be read and written",
            GivenUp => "mend the table's cause and start the connector again",
            Cancelled => "nothing to do",
            Internal => "this is a bug in rowtide; please report it with the log",
        }
    }

    /// The kind as metrics and dead letters name it: `record_too_large`.
    pub fn snake_case(self) -> String {
        let mut word = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !word.is_empty() {
                word.push('_');
            }
            word.push(letter.to_ascii_lowercase());
        }
        word
    }

    /// The exit code when a connector that was running ends with this error.
    pub fn run_exit_code(self) -> u8 {
        if self.exit_code() == 4 { 4 } else { 1 }
    }

    /// The exit code of a command that ends with this error before anything ran (`cli.md`, section 3).
    pub fn exit_code(self) -> u8 {
        use ErrorKind::*;
        match self {
            Config | Auth | Privilege | SourceSchema | SourceRefused | RegistryRefused | KafkaRefused | Io => 2,
            Unreachable | Registry | Kafka => 3,
            Fenced | ForeignServer | Refused | IncompatibleSchema => 4,
            Cancelled => 0,
            Query | TimeLimit | SchemaChanged | SchemaHeld | Value | RecordTooLarge | Cursor | TransactionAborted
            | OutcomeUnknown | EpochSpent | Offsets | GivenUp | Internal => 1,
        }
    }
}

/// An error with its kind, its place (context fields such as `table`, `topic`, `subject`) and its cause.
/// The message never contains the cause, secrets, or row values; a place may be a row, by its key.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    advice: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A new error; `message` is lower case, without a full stop and without the cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), context: Vec::new(), advice: None, source: None }))
    }

    /// Shorthand for [`ErrorKind::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Attaches the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds a place, unless a nearer one of that name is already there.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        if !self.0.context.iter().any(|(known, _)| *known == name) {
            self.0.context.push((name, value.to_string()));
        }
        self
    }

    /// Replaces the kind's general advice by a better one.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// The same error once it is known that the relation's columns have not changed, so that describing it again is
    /// no help: the statement is at fault.
    #[must_use]
    pub fn of_unchanged(mut self, advice: &str) -> Self {
        self.0.kind = ErrorKind::SourceSchema;
        if self.0.source.is_some() {
            "the statement fails, though the columns are as they were described".clone_into(&mut self.0.message);
        }
        self.advise(advice)
    }

    /// The kind, for policy.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The kind of the innermost error of ours, which made a connector give up.
    pub fn root_kind(&self) -> ErrorKind {
        let below = self.0.source.as_deref().and_then(|source| source.downcast_ref::<Error>());
        below.map_or(self.0.kind, Error::root_kind)
    }

    /// The advice, in a sentence.
    pub fn advice(&self) -> &str {
        self.0.advice.as_deref().unwrap_or_else(|| self.0.kind.advice())
    }

    /// The value of a context field.
    pub fn context(&self, name: &str) -> Option<&str> {
        self.0.context.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The error without a context field, where the place that shows it names that already.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.context.retain(|(known, _)| *known != name);
        self
    }

    /// Message, places and all causes in one line: for status pages and the command line.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, (name, value)) in self.0.context.iter().enumerate() {
            let separator = if index == 0 { " (" } else { ", " };
            write!(f, "{separator}{name} {value}")?;
        }
        if self.0.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.report())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_message_places_and_causes_once() {
        let error = Error::new(ErrorKind::SourceSchema, "column not found")
            .with("table", "public.t")
            .with("column", "seq")
            .with("table", "ignored: the nearest place wins")
            .caused_by(std::io::Error::other("42703"));
        assert_eq!(error.report(), "column not found (table public.t, column seq): 42703");
        assert_eq!(error.kind().exit_code(), 2);
    }
}
