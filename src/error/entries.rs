//! The entries of the page on troubleshooting, one for each [`ErrorKind`]: the total match [`ErrorKind::entry`] does not
//! compile until a new kind has one. `rowtide docs errors` prints the page, `rowtide docs errors KIND` one entry.

use std::fmt::Write as _;

use super::{Directive, ErrorKind};

/// An entry of the page.
struct Entry {
    /// The situation, in a sentence.
    about: &'static str,
    /// The usual causes.
    causes: &'static [&'static str],
    /// The steps that end it, in the order in which to try them.
    steps: &'static [&'static str],
}

const CONFIG: Entry = Entry {
    about: "A setting, a file or a command-line argument is wrong, or two settings contradict each other.",
    causes: &[
        "a key that is missing, misspelt, or has a value that is not allowed",
        "a placeholder such as `${env:DB_PASSWORD}` whose variable or file is not there",
        "a setting of Kafka Connect that cannot be kept here; it is refused, never followed in part",
    ],
    steps: &[
        "run `rowtide check connector.json --offline`: it lists every problem of the file, each with the allowed values",
        "look the key up in [configuration.md](configuration.md) (`rowtide docs config`)",
    ],
};

const AUTH: Entry = Entry {
    about: "The database, the brokers or the registry refused user and password, token or certificate.",
    causes: &[
        "a wrong or expired password; a secret file that was mounted empty",
        "no line for user, database and address in `pg_hba.conf`; a MySQL user that exists for another host only",
        "a SASL mechanism that the listener of the brokers does not have",
    ],
    steps: &[
        "log in with the same user from the same host by `psql`, `mysql` or `kafka-topics --command-config`",
        "for the brokers compare `security.protocol` and `sasl.mechanism` with the listener's; [tls.md](tls.md) has each form",
        "restart the connector: placeholders are read again then",
    ],
};

const PRIVILEGE: Entry = Entry {
    about: "The login is good, but the user may not do what is needed.",
    causes: &[
        "no SELECT on the table, on one of its columns, or no USAGE on its schema",
        "a grant that was lost when a migration dropped the table and created it again",
    ],
    steps: &[
        "run the GRANT that the message names; [databases.md](databases.md) has all that can be needed",
        "restart the connector: a table that failed while others go on is looked at again by itself every `table.poll.interval.ms`",
    ],
};

const UNREACHABLE: Entry = Entry {
    about: "A server does not answer, or the connection to it broke.",
    causes: &[
        "wrong host or port; a firewall or security group between",
        "a server that is down, starting, or failing over",
        "brokers whose `advertised.listeners` name an address that cannot be reached from here: the first connection works, the next does not",
        "a proxy or a pooler that closes idle connections",
    ],
    steps: &[
        "nothing, if it is a restart of the server: rowtide connects again with pauses that grow to a minute",
        "run `rowtide check connector.json`: it tries the database, each advertised address of the brokers, and the registry",
    ],
};

const QUERY: Entry = Entry {
    about: "A statement failed in a way that may pass.",
    causes: &[
        "a deadlock, or a lock that another session holds (a migration, `LOCK TABLE`, `ALTER TABLE`)",
        "a conflict with recovery on a standby",
    ],
    steps: &[
        "nothing, if it happens now and then",
        "if it lasts, end the session that the message names as the holder of the lock",
    ],
};

const TIME_LIMIT: Entry = Entry {
    about: "A statement ran into a time limit and was cancelled.",
    causes: &[
        "no index serves the poll, so each page sorts the table",
        "`statement_timeout` of the role or `max_execution_time` of the server is shorter than a page takes",
        "a table in `bulk` mode without a primary key, or a `query`, which cannot be read in pages",
    ],
    steps: &[
        "run `rowtide explain connector.json`: it says whether an index serves the table, and prints the CREATE INDEX that would",
        "lower `batch.max.rows`, or raise `statement.timeout.ms` and the limit of the server",
    ],
};

const SOURCE_SCHEMA: Entry = Entry {
    about: "A table or a column that the configuration names is missing, or cannot serve for what it is named for.",
    causes: &[
        "another name, schema or catalog than meant; upper and lower case count in quoted names",
        "the table is not visible to this user: databases show tables without a grant as missing",
        "a cursor column that is no number, time or ordered text, or whose ids are handed out in no order",
    ],
    steps: &[
        "read the rest of the message: it names the nearest table or column there is",
        "run `rowtide explain connector.json` and compare what was found with the table",
    ],
};

const SOURCE_REFUSED: Entry = Entry {
    about: "The database says no to a statement or a session, and will say so again.",
    causes: &[
        "an error in `query`, in `query.suffix`, or in a view (a division by zero, a cast)",
        "a damaged page or index; a foreign server that is not there",
        "a setting in `connection.url` that the server does not take",
    ],
    steps: &[
        "run the statement that `rowtide explain connector.json` prints in a client of the database",
        "correct the object that the database names; the table is tried again every `table.poll.interval.ms`",
    ],
};

const SCHEMA_CHANGED: Entry = Entry {
    about: "The columns of the table are not those that were described.",
    causes: &["ALTER TABLE, or a view that was created again, between two polls or during one"],
    steps: &["nothing: the table is described again and polling goes on at the same position"],
};

const SCHEMA_HELD: Entry = Entry {
    about: "The columns have changed, and `schema.change` says to wait for you.",
    causes: &["`schema.change=pause-table` or `fail`, and ALTER TABLE"],
    steps: &[
        "read the difference in the message; see that readers of the subject can take it",
        "restart the connector to go on with the new columns",
    ],
};

const VALUE: Entry = Entry {
    about: "A value does not fit the field that its column has in the schema.",
    causes: &[
        "`NaN` or infinity in a decimal, a zero or partial date in a NOT NULL column, BIGINT UNSIGNED beyond 2^63 - 1",
        "text in a number's column of SQLite",
        "a transform that cannot take the value of this one row",
    ],
    steps: &[
        "read the message: it names table, column, the key of the row, and the setting that delivers such values",
        "set it for the one column: `column.orders.price.decimal.handling=string`; [types.md](types.md) has the choices of each type",
        "or correct the row, or leave such rows out: [undeliverable.md](undeliverable.md)",
    ],
};

const RECORD_TOO_LARGE: Entry = Entry {
    about: "The record of a row is larger than the producer or the topic takes.",
    causes: &["a document, image or JSON in a column; the default limit is 1 MiB on both sides"],
    steps: &[
        "raise `producer.override.max.request.size` in the connector and `max.message.bytes` of the topic",
        "or leave the column out: `table.orders.columns.exclude=photo`",
        "or set `row.too.large=omit-columns` or `dlq`: [undeliverable.md](undeliverable.md)",
    ],
};

const CURSOR: Entry = Entry {
    about: "The cursor of a row would lose rows, or the table begins anew under its name.",
    causes: &[
        "NULL, a zero date, a time before 1970 or in the future, and the `cursor.*` key says to stop for it",
        "an id beyond all that are to come (NaN, infinity, a UUIDv7 of tomorrow), behind which nothing would be read again",
        "TRUNCATE, or DROP and CREATE: the rows of the new table lie before the stored position",
    ],
    steps: &[
        "correct the row, which the message names by its key, or set the `cursor.*` key that it names",
        "where the table begins anew, read it from its beginning with `rowtide offsets reset connector.json --table T`, or always with \
         `table.recreated=follow`",
    ],
};

const REGISTRY: Entry = Entry {
    about: "The schema registry failed in a way that may pass.",
    causes: &[
        "the registry is down or starting; its own Kafka topic cannot be written",
        "a proxy answers 502, 503 or 504",
    ],
    steps: &["start the registry; rowtide tries again, and nothing is read past the record that waits for its schema"],
};

const REGISTRY_REFUSED: Entry = Entry {
    about: "The schema registry said no.",
    causes: &[
        "the address is not a registry's: a path is missing (`/apis/ccompat/v7` of Apicurio)",
        "read-only mode; a user who may not write the subject",
        "`auto.register.schemas=false` and the schema is not there",
    ],
    steps: &[
        "run `rowtide check connector.json`: it asks the registry about each subject and writes nothing",
        "open `URL/subjects` with curl and the same user",
    ],
};

const INCOMPATIBLE_SCHEMA: Entry = Entry {
    about: "The compatibility rule of the subject does not allow the new schema. Nothing was written with it.",
    causes: &[
        "a column was dropped or got another type, under BACKWARD, FORWARD or FULL",
        "`numeric.mapping`, a transform or another setting that changes types was changed on a topic that has records",
    ],
    steps: &[
        "read the difference in the message",
        "make the change compatible (a new column that may be null), or relax the rule of this one subject, or write to a new topic",
    ],
};

const KAFKA: Entry = Entry {
    about: "The brokers failed in a way that may pass; no transaction is open.",
    causes: &["brokers that are down or restart; a partition without a leader; no coordinator of transactions"],
    steps: &[
        "nothing during a rolling restart",
        "on a single broker see that `transaction.state.log.replication.factor` and `transaction.state.log.min.isr` are 1",
    ],
};

const KAFKA_REFUSED: Entry = Entry {
    about: "The brokers said no to a topic, a transactional id, or a record.",
    causes: &[
        "a missing ACL",
        "a topic that does not exist where it may not be created; a compacted topic and records without keys",
        "a policy of the cluster, `message.timestamp.before.max.ms`, a compression that the topic does not take",
    ],
    steps: &[
        "run `rowtide check connector.json`: it prints the `kafka-acls` command that is missing",
        "give the table keys with `key.mode=primary_key` where its topic is compacted",
    ],
};

const TRANSACTION_ABORTED: Entry = Entry {
    about: "The open transaction was given up. None of its records count, and its rows are read again.",
    causes: &[
        "a broker that stopped, fewer replicas in sync than `min.insync.replicas`, a topic that was deleted under way",
    ],
    steps: &[
        "nothing: the task starts again from the committed offsets",
        "if it lasts, read the cause behind the message",
    ],
};

const OUTCOME_UNKNOWN: Entry = Entry {
    about: "The answer to a commit was lost, so that only the brokers know whether it counts.",
    causes: &["the connection to a broker broke at the end of a transaction; a broker was killed"],
    steps: &["nothing: the task fences its own past and reads the offsets, which tell what was committed"],
};

const EPOCH_SPENT: Entry = Entry {
    about: "A request to end a transaction may still be on its way, so nothing more is sent under its epoch.",
    causes: &["a broker that answers late, or a connection that broke, at the end of a transaction"],
    steps: &["nothing: the task goes on under a new epoch"],
};

const FENCED: Entry = Entry {
    about: "Another process runs this connector. The older of the two stops; they never take turns.",
    causes: &[
        "the same connector was started twice: two hosts, two replicas of a Deployment, an old process that was forgotten",
        "a Kafka Connect worker of the same `group.id` with exactly-once support runs it",
        "`rowtide offsets set --force` while it ran",
    ],
    steps: &[
        "stop one of the two, then start the other again; `rowtide offsets list connector.json` names the process that has it",
        "run one replica, with a strategy that stops the old one first (`Recreate`, as in `deploy/`)",
    ],
};

const FOREIGN_SERVER: Entry = Entry {
    about: "The database is not the one that the stored position was read from, or an older copy of it.",
    causes: &[
        "`connection.url` leads to another server: staging, a restored backup, a new cluster after `pg_upgrade`",
        "a replica of MySQL or MariaDB was promoted and `server.identity=cluster` is not set",
    ],
    steps: &[
        "correct `connection.url`, if this is the wrong server",
        "if it is meant, go on at the stored position with `rowtide run connector.json --accept-server`, or read everything again \
         after `rowtide offsets reset connector.json`; [guarantees.md](guarantees.md#which-server) says what each means",
    ],
};

const OFFSETS: Entry = Entry {
    about: "A stored offset cannot be read, does not fit the mode, or progress has a gap.",
    causes: &[
        "`mode` or the cursor columns were changed, and the stored position belongs to the old ones",
        "an offset that was written by hand or by another program",
        "the offsets topic was deleted while the connector ran",
    ],
    steps: &[
        "look at it with `rowtide offsets list connector.json`",
        "set the position with `rowtide offsets set`, or read everything again after `rowtide offsets reset`",
    ],
};

const REFUSED: Entry = Entry {
    about: "Nothing is broken, but going on could lose or repeat rows, so nothing was changed.",
    causes: &[
        "offsets were to be changed while the connector runs, or without `--yes` where nobody can be asked",
        "a standalone Kafka Connect worker has left positions that were not taken over",
        "a Kafka Connect cluster of the same `group.id` is at work; another worker has the folder of connectors",
    ],
    steps: &["read the message: it names what it protects and the command that goes on all the same"],
};

const IO: Entry = Entry {
    about: "A file, or standard output, cannot be read or written.",
    causes: &["a path that is not there, no right to it, a full disk, a root file system that is read-only"],
    steps: &["look at the file as the user that the process runs as (65532 in the image)"],
};

const GIVEN_UP: Entry = Entry {
    about: "Every table of the connector has failed, so that nothing is left to poll.",
    causes: &["the cause is that of the first table, and stands behind this message"],
    steps: &["mend that cause; `/status` has each table with its own", "start the connector again"],
};

const CANCELLED: Entry = Entry {
    about: "The work was given up on purpose.",
    causes: &["SIGTERM, Ctrl-C, or a reader of the output that went away (`| head`)"],
    steps: &["nothing"],
};

const INTERNAL: Entry = Entry {
    about: "A bug in rowtide.",
    causes: &["something that should never happen did"],
    steps: &[
        "start again: positions are only moved by commits, so nothing is lost by it",
        "report it with the log around it, `rowtide --version`, and the connector's file without its passwords",
    ],
};

impl ErrorKind {
    /// Every kind, in the order of the page.
    pub const ALL: [Self; 29] = {
        use ErrorKind::*;
        [
            Config,
            Auth,
            Privilege,
            Unreachable,
            Query,
            TimeLimit,
            SourceSchema,
            SourceRefused,
            SchemaChanged,
            Value,
            SchemaHeld,
            RecordTooLarge,
            Cursor,
            Registry,
            RegistryRefused,
            IncompatibleSchema,
            Kafka,
            KafkaRefused,
            TransactionAborted,
            OutcomeUnknown,
            EpochSpent,
            Fenced,
            ForeignServer,
            Offsets,
            Refused,
            Io,
            GivenUp,
            Cancelled,
            Internal,
        ]
    };

    /// The kind of a name as [`ErrorKind::snake_case`] writes it, with dashes or in upper case too.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase().replace('-', "_");
        Self::ALL.into_iter().find(|kind| kind.snake_case() == name)
    }

    /// The command that prints the entry of this kind; the heading of the page has the same name.
    pub fn reference(self) -> String {
        format!("rowtide docs errors {}", self.snake_case())
    }

    fn entry(self) -> &'static Entry {
        use ErrorKind::*;
        match self {
            Config => &CONFIG,
            Auth => &AUTH,
            Privilege => &PRIVILEGE,
            Unreachable => &UNREACHABLE,
            Query => &QUERY,
            TimeLimit => &TIME_LIMIT,
            SourceSchema => &SOURCE_SCHEMA,
            SourceRefused => &SOURCE_REFUSED,
            SchemaChanged => &SCHEMA_CHANGED,
            SchemaHeld => &SCHEMA_HELD,
            Value => &VALUE,
            RecordTooLarge => &RECORD_TOO_LARGE,
            Cursor => &CURSOR,
            Registry => &REGISTRY,
            RegistryRefused => &REGISTRY_REFUSED,
            IncompatibleSchema => &INCOMPATIBLE_SCHEMA,
            Kafka => &KAFKA,
            KafkaRefused => &KAFKA_REFUSED,
            TransactionAborted => &TRANSACTION_ABORTED,
            OutcomeUnknown => &OUTCOME_UNKNOWN,
            EpochSpent => &EPOCH_SPENT,
            Fenced => &FENCED,
            ForeignServer => &FOREIGN_SERVER,
            Offsets => &OFFSETS,
            Refused => &REFUSED,
            Io => &IO,
            GivenUp => &GIVEN_UP,
            Cancelled => &CANCELLED,
            Internal => &INTERNAL,
        }
    }

    /// The consequence of an error of this kind, in words.
    fn consequence(self) -> &'static str {
        match self.directive() {
            Directive::Retry => {
                "The same step is tried again, with pauses that grow; nothing is lost or repeated meanwhile."
            }
            Directive::Redescribe => {
                "The table is described again. It goes on if its columns have changed, else it stops; the others go on."
            }
            Directive::Rebuild => "The task starts again from the committed offsets by itself.",
            Directive::Fail if self == Self::Cancelled => "The command ends.",
            Directive::Fail => {
                "What it is about stops: the table, while the others go on, or the connector. The position stays where it is."
            }
        }
    }

    /// The entry of this kind as Markdown.
    pub fn markdown(self) -> String {
        let entry = self.entry();
        let mut text = format!("## {}\n\n{} {}\n\n", self.snake_case(), entry.about, self.consequence());
        // Writing to a string cannot fail.
        let list = |text: &mut String, title: &str, lines: &[&str]| {
            let _ = write!(text, "{title}\n\n");
            for line in lines {
                let _ = writeln!(text, "- {line}");
            }
            text.push('\n');
        };
        list(&mut text, "Usual causes:", entry.causes);
        list(&mut text, "What to do:", entry.steps);
        let (before, running) = (self.exit_code(), self.run_exit_code());
        let _ = match self.directive() {
            _ if self == Self::Cancelled => writeln!(text, "Exit code 0."),
            Directive::Fail => {
                writeln!(text, "Exit code {before} of a command, {running} of a running connector that ends with it.")
            }
            _ => writeln!(text, "Exit code {before} of a command; a running connector does not end for it."),
        };
        text
    }
}

const INTRODUCTION: &str = "# Troubleshooting

<!-- made by `rowtide docs errors`; do not edit -->

Every error has a kind. A message ends with `more: rowtide docs errors KIND`, which prints the entry below without a network; the
same word is `kind` in `/status`, in dead letters and in `rowtide_errors_total`.

What helps with all of them:

- `rowtide check connector.json` tries everything that a run would need and writes nothing.
- `rowtide explain connector.json` shows each table's statement, plan, key, schemas, guard and stored position.
- `GET /status` has every table with its state, since when, the reason and the advice.
- `--log-level debug`, or at run time `PUT /admin/loggers/rowtide`, tells more; values of rows and secrets are never logged.
";

/// The page that `rowtide docs errors` prints.
pub fn troubleshooting_markdown() -> String {
    ErrorKind::ALL.iter().fold(INTRODUCTION.to_owned(), |page, kind| page + "\n" + &kind.markdown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_source_has_an_entry_on_the_page() {
        let source = include_str!("../error.rs");
        let (_, from) = source.split_once("pub enum ErrorKind {").unwrap();
        let (body, _) = from.split_once("\n}").unwrap();
        let variants: Vec<&str> = body.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
        let listed: Vec<String> = ErrorKind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
        assert_eq!(variants, listed);
        let page = troubleshooting_markdown();
        for kind in ErrorKind::ALL {
            let heading = format!("\n## {}\n", kind.snake_case());
            assert_eq!(page.matches(&heading).count(), 1, "{heading}");
            assert_eq!(ErrorKind::named(&kind.snake_case().to_uppercase().replace('_', "-")), Some(kind));
            assert!(!kind.entry().causes.is_empty() && !kind.entry().steps.is_empty(), "{kind:?}");
        }
        assert_eq!(ErrorKind::named("nonsense"), None);
    }
}
