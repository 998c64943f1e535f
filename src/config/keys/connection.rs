//! The database connection (`connector-config.md`, 2.1 and 11).

use super::{Allowed, KeyDefinition, Kind, key, own_key};

const RETRIES: &str = "rowtide keeps trying to connect, with growing pauses, and says so in its status";

pub(super) static KEYS: &[KeyDefinition] = &[
    key(
        "connection.url",
        Kind::Text,
        "The address of the database: `jdbc:postgresql://host:port/database?parameter=value`, \
         `jdbc:mysql://host:port/database`, `jdbc:mariadb://host:port/database`, `jdbc:sqlite:/path/to/file`, or the \
         native `postgres://`, `mysql://`, `mariadb://`, `tidb://` and `sqlite:` URLs. The hosts of a list are tried \
         in order.",
    )
    .high().differs("also the native URLs of the databases; those of databases other than PostgreSQL, MySQL, MariaDB, TiDB and SQLite are refused. Parameters that only tune the Java driver have no effect, those that need Java classes are refused"),
    key(
        "connection.user",
        Kind::Text,
        "The database user. One in the URL wins for PostgreSQL, this key for MySQL and its kin, as in their drivers.",
    )
    .high(),
    key("connection.password", Kind::Password, "The password; better written as `${env:NAME}` or `${file:/path:key}`.")
        .high(),
    key("connection.attempts", Kind::Int, "Attempts per connection.")
        .or("3")
        .allow(Allowed::Range(1, i32::MAX as i64))
        .low()
        .ignored(RETRIES),
    key("connection.backoff.ms", Kind::Long, "Pause between those attempts.").or("10000").low().ignored(RETRIES),
    key(
        "connection.*",
        Kind::Text,
        "Any other key goes to the driver as a parameter, without the prefix: `connection.sslmode=require`. \
         Parameters of the URL win for PostgreSQL and SQLite, these for MySQL and its kin, as in their drivers.",
    )
    .low().differs("as parameters of `connection.url`: those that only tune the Java driver have no effect, those that need Java classes are refused"),
    key("jdbc.credentials.provider.class", Kind::Class, "The source of user and password.")
        .or("io.confluent.connect.jdbc.util.DefaultJdbcCredentialsProvider")
        .allow(Allowed::Words(&["io.confluent.connect.jdbc.util.DefaultJdbcCredentialsProvider"]))
        .low().differs("another class is refused, since rowtide runs no Java: `${file:...}`, `${dir:...}` and `${env:...}` read secrets that others write"),
    key("jdbc.credentials.provider.*", Kind::Text, "Settings of the provider.")
        .low()
        .ignored("the default provider has no settings"),
    key("dialect.name", Kind::Text, "The dialect, where the URL alone does not tell; it must be that of the URL.")
        .or("")
        .allow(Allowed::Words(&["", "PostgreSqlDatabaseDialect", "MySqlDatabaseDialect", "SqliteDatabaseDialect"]))
        .refuse(&[("GenericDatabaseDialect", "there is no generic dialect; there are PostgreSQL, MySQL and SQLite")])
        .low().differs("it must be that of the URL; other dialects than those of the databases above are refused"),
    own_key(
        "connection.pool.size",
        Kind::Int,
        "The most sessions that a process has in a database server at the same time, whatever the number of connectors, \
         tasks and tables: tasks beyond it share them, poll by poll. The connectors of a process that read the same \
         server share the largest that one of them gives.",
    )
    .or("10")
    .allow(Allowed::Range(1, 10_000))
    .low(),
    own_key(
        "connect.timeout.ms",
        Kind::Long,
        "The longest time for opening a connection. The URL's `connectTimeout` counts where this key is absent.",
    )
    .or("10000")
    .allow(Allowed::Range(1, 86_400_000))
    .low(),
    own_key(
        "statement.timeout.ms",
        Kind::Long,
        "The longest time for which a statement that reads part of a table may work without giving a row. Then it is \
         cancelled at the server and tried again with twice the time. Queries, and tables that can only be read in one \
         go, may take as long as the server works on them; of every statement this is also how long it may wait for a \
         lock before its first row, and how long nobody may answer before the connection counts as lost. The URL's \
         `socketTimeout` counts where this key is absent.",
    )
    .or("30000")
    .allow(Allowed::Range(1, 86_400_000))
    .low(),
];
