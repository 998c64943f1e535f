//! MySQL, MariaDB and TiDB as the oracle.

use std::sync::Mutex;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, Row};

use super::avro::{Field, Got};
use super::matrix::{
    Column, Oracle, Reading, assert_refused, connector, create, differences, keyed, none, read, unnoticed,
};
use super::mysql_columns::{EXACT, OF_MARIADB, OF_MYSQL, OF_TIDB, TEXTS, ZERO_DATES};
use super::render;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, block};

/// The servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    MySql,
    MariaDb,
    TiDb,
}

impl Server {
    fn columns(self) -> Vec<Column> {
        let own = match self {
            Server::MySql => OF_MYSQL,
            Server::MariaDb => OF_MARIADB,
            Server::TiDb => OF_TIDB,
        };
        own.concat()
    }
}

/// A database of a test's own, and a session that answers.
pub struct MySqlOracle {
    database: MySqlFamily,
    session: Mutex<Option<MySqlConnection>>,
}

impl MySqlOracle {
    pub fn new(server: Server) -> Self {
        let database = MySqlFamily::new(match server {
            Server::MySql => "mysql",
            Server::MariaDb => "mariadb",
            Server::TiDb => "tidb",
        });
        database.run(&format!("alter database {} character set utf8mb4", database.name));
        let jdbc_url = database.jdbc_url();
        let (_, address) = jdbc_url.split_once("://").expect("a URL");
        let url = format!("mysql://root@{address}");
        let session = block(async move { MySqlConnection::connect(&url).await.expect("connect") });
        let oracle = Self { database, session: Mutex::new(Some(session)) };
        // Dates that are none are let in; anything else that does not fit is an error.
        oracle.run("set session sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES', time_zone = '+00:00'");
        oracle
    }
}

impl Oracle for MySqlOracle {
    fn connector(&self) -> Connector {
        Connector::new(&self.database.jdbc_url()).set("connection.user", "root")
    }

    fn run(&self, sql: &str) {
        self.ask(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    fn ask(&self, sql: &str) -> Result<Vec<Option<String>>, String> {
        let sql = sql.to_owned();
        let mut session = self.session.lock().expect("the session");
        let mut connection = session.take().expect("a session");
        let (connection, answer) = block(async move {
            let answer = (&mut connection).fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await;
            (connection, answer)
        });
        *session = Some(connection);
        let rows = answer.map_err(|error| error.to_string())?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let text = |index| {
            let bytes: Option<Vec<u8>> = row.try_get_unchecked(index).expect("a column");
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok((0..row.len()).map(text).collect())
    }

    fn id(&self) -> &'static str {
        "bigint auto_increment primary key"
    }

    fn value(&self, edge: &str) -> String {
        edge.to_owned()
    }

    fn literal(&self, column: &Column, field: &Field, got: &Got, reading: Reading) -> String {
        if let Some(moment) = moment(column, field, got, reading) {
            return moment;
        }
        match got {
            Got::Boolean(value) => u8::from(*value).to_string(),
            Got::Integer(value) => value.to_string(),
            // As the double it is exactly.
            Got::Float(value) => format!("{:e}", f64::from(*value)),
            Got::Double(value) => format!("{value:e}"),
            Got::Text(text) => format!("convert({} using utf8mb4)", hex(text.as_bytes())),
            Got::Bytes(bytes) if field.meaning == "decimal" => render::decimal(bytes, field.scale),
            Got::Bytes(bytes) => hex(bytes),
            Got::Null => unreachable!("nulls are no literals"),
        }
    }

    /// Text by its bytes, so that neither case nor trailing blanks are let pass.
    fn same(&self, column: &Column) -> &'static str {
        let word = column.sql_type.split(['(', ' ']).next().unwrap_or_default();
        match (word, column.avro) {
            ("bit", "bytes") => "hex({got}) <=> lpad(hex({col} + 0), length(hex({got})), '0')",
            ("bit", _) => "{got} <=> {col} + 0",
            ("time", "string") => "{got} <=> concat({col})",
            // By itself a constant is cut to the digits of the column.
            ("time", _) => "concat({got}) <=> concat(cast({col} as time(6)))",
            ("inet4" | "inet6" | "uuid" | "vector", "string") => "{got} <=> concat({col})",
            (_, "string") => "hex({got}) <=> hex(convert({col} using utf8mb4))",
            (_, "bytes") => "hex({got}) <=> hex({col})",
            _ => "{got} <=> {col}",
        }
    }

    fn shown(&self, column: &str) -> String {
        format!("left(concat({column}), 100)")
    }
}

fn hex(bytes: &[u8]) -> String {
    format!("x'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Dates and times, by the schema's logical type and the connector's granularity.
fn moment(column: &Column, field: &Field, got: &Got, reading: Reading) -> Option<String> {
    let date = |days: i64| {
        let (year, month, day) = render::label(days, reading.hybrid_calendar);
        format!("{year:04}-{month:02}-{day:02}")
    };
    let stamp = |micros: i64| {
        let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
        format!("cast('{} {}' as datetime(6))", date(days), render::time(rest))
    };
    let is_moment = column.sql_type.starts_with("datetime") || column.sql_type.starts_with("timestamp");
    Some(match (field.meaning.as_str(), got) {
        ("date", Got::Integer(days)) => format!("cast('{}' as date)", date(*days)),
        ("time-millis", Got::Integer(millis)) => format!("cast('{}' as time(6))", render::time(millis * 1_000)),
        ("timestamp-millis", Got::Integer(millis)) => stamp(millis * 1_000),
        ("", Got::Integer(micros)) if is_moment && reading.granularity == "micros_long" => stamp(*micros),
        _ => return None,
    })
}

fn assert_arrives(server: Server) {
    let oracle = MySqlOracle::new(server);
    let columns = server.columns();
    create(&oracle, &columns);
    let connector = keyed(connector(&oracle, &[]), &columns);
    read(&[&connector]);
    none(&differences(&oracle, &columns, &connector, Reading::default()));
    none(&unnoticed(&oracle, &columns, &connector, Reading::default()));
}

/// Under the settings that lose nothing.
fn assert_exact(server: Server) {
    let oracle = MySqlOracle::new(server);
    let columns = [EXACT, ZERO_DATES].concat();
    create(&oracle, &columns);
    let settings = [
        ("timestamp.granularity", "micros_long"),
        ("date.calendar.system", "PROLEPTIC_GREGORIAN"),
        ("unsigned.bigint", "decimal"),
        ("time.handling", "string"),
    ];
    let connector = connector(&oracle, &settings);
    read(&[&connector]);
    let reading = Reading { granularity: "micros_long", hybrid_calendar: false };
    none(&differences(&oracle, &columns, &connector, reading));
}

/// Dates that are none, and large numbers, as text.
fn assert_exact_as_text(server: Server) {
    let oracle = MySqlOracle::new(server);
    create(&oracle, TEXTS);
    let connector = connector(&oracle, &[("zero.date", "string"), ("unsigned.bigint", "string")]);
    read(&[&connector]);
    none(&differences(&oracle, TEXTS, &connector, Reading::default()));
}

#[test]
fn every_mysql_type_arrives_as_it_is_also_as_key() {
    assert_arrives(Server::MySql);
}

#[test]
fn every_mariadb_type_arrives_as_it_is_also_as_key() {
    assert_arrives(Server::MariaDb);
}

#[test]
fn every_tidb_type_arrives_as_it_is_also_as_key() {
    assert_arrives(Server::TiDb);
}

#[test]
fn mysql_values_that_no_field_holds_stop_their_table() {
    assert_refused(&MySqlOracle::new(Server::MySql), &Server::MySql.columns(), &[]);
}

#[test]
fn mariadb_values_that_no_field_holds_stop_their_table() {
    assert_refused(&MySqlOracle::new(Server::MariaDb), &Server::MariaDb.columns(), &[]);
}

#[test]
fn tidb_values_that_no_field_holds_stop_their_table() {
    assert_refused(&MySqlOracle::new(Server::TiDb), &Server::TiDb.columns(), &[]);
}

#[test]
fn the_mysql_family_is_exact_under_the_settings_that_lose_nothing() {
    for server in [Server::MySql, Server::MariaDb, Server::TiDb] {
        assert_exact(server);
        assert_exact_as_text(server);
    }
}
