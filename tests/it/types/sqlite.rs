//! SQLite as the oracle: a column holds values of any storage class, whatever it declares. They arrive as they are,
//! or stop the table; nothing is coerced.

use std::sync::Mutex;

use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqliteConnection};

use super::avro::{Field, Got};
use super::matrix::{Column, Oracle, Reading, assert_refused, connector, create, differences, keyed, none, of, read};
use super::render;
use crate::support::config::Connector;
use crate::support::db::{Sqlite, block};

/// Kafka Connect reads REAL as a float of 32 bits, and so must we.
const FLOAT: &str = "{got} is null and {col} is null or abs({got} - {col}) <= abs({col}) * 6e-8";
/// Columns of no type Connect knows come as SQLite's own text, with all digits.
const AS_TEXT: &str =
    "case typeof({col}) when 'integer' then cast({got} as integer) when 'real' then cast({got} as real)
    else {got} end is {col}";
/// Text in a column of bytes: its bytes.
const AS_BYTES: &str = "{got} is cast({col} as blob)";
/// Milliseconds against the three forms in which SQLite's own functions keep a time.
const TIME: &str = "case typeof({col}) when 'integer' then {got} is {col}
    when 'real' then abs(julianday({got} / 1000.0, 'unixepoch') - {col}) < 1e-8
    else strftime('%Y-%m-%d %H:%M:%f', {got} / 1000.0, 'unixepoch') is strftime('%Y-%m-%d %H:%M:%f', {col}) end";
const DAY: &str = "case typeof({col}) when 'integer' then julianday({got}) is julianday({col} / 1000, 'unixepoch')
    when 'real' then julianday({got}) is {col} else {got} is {col} end";

const COLUMNS: &[Column] = &[
    of("boolean", "boolean", &["0", "1"]).refuses(&[("5", ""), ("1.5", ""), ("'yes'", ""), ("x'01'", "")]),
    of("tinyint", "int16", &["-128", "255", "32767"]).refuses(&[
        ("40000", ""),
        ("1.5", ""),
        ("'x'", ""),
        ("x'00'", ""),
    ]),
    of("smallint", "int", &["-32768", "65535", "2147483647"]).refuses(&[("3000000000", ""), ("'x'", "")]),
    of("integer", "int", &["-2147483648", "2147483647", "'7'", "7.0"]).refuses(&[
        ("1.5", ""),
        ("'x'", ""),
        ("x'00'", ""),
    ]),
    of("integer not null", "int", &["1"]),
    // Once a value needs it.
    of("integer", "long", &["9223372036854775807", "-9223372036854775808"]),
    of("int", "long", &["-9223372036854775808", "3000000000"]),
    of("bigint", "long", &["9223372036854775807", "-9223372036854775808", "0"]).refuses(&[
        ("0.5", ""),
        ("1e300", ""),
        ("'x'", ""),
        ("x'00'", ""),
    ]),
    of("unsigned big int", "long", &["9223372036854775807"]),
    of("real", "float", &["0.1", "-16777217", "3.4e38", "0"]).same(FLOAT).refuses(&[
        ("1e300", ""),
        ("'x'", ""),
        ("x'00'", ""),
    ]),
    of("double", "double", &["0.1", "1.7976931348623157e308", "5e-324", "9e999", "-9e999", "7", "0.1 + 0.2"])
        .refuses(&[("'x'", ""), ("x'00'", "")]),
    of("float", "double", &["0.1", "9007199254740992"]),
    of("numeric", "double", &["0.5", "1", "'2.5'", "1e300"]).refuses(&[
        ("9007199254740993", ""),
        ("'x'", ""),
        ("x'00'", ""),
    ]),
    of("decimal(10,2)", "decimal(2)", &["12.34", "-99999999.99", "5", "'0.01'", "0", "1000000000"]).refuses(&[
        ("12.345", ""),
        ("'x'", ""),
        ("x'00'", ""),
        ("9e999", ""),
    ]),
    of("decimal(10,0)", "decimal(0)", &["5", "-9999999999", "7.0"]).refuses(&[("0.5", "")]),
    of("text", "string", &["''", "'żółw😀'", "1", "1.5", "'a' || char(0) || 'b'", "printf('%.*c', 100000, 'x')"])
        .refuses(&[("x'00ff'", ""), ("cast(x'ff' as text)", "")]),
    of("varchar(2)", "string", &["'longer'", "1"]).refuses(&[("x'61'", "")]),
    of("char(3)", "string", &["'a '"]),
    of("clob", "string", &["'a'"]),
    of("blob", "bytes", &["x''", "x'00ff'", "zeroblob(20000)", "'text'"])
        .same(AS_BYTES)
        .refuses(&[("1", ""), ("1.5", "")]),
    of("varbinary(4)", "bytes", &["x'00ff'"]).refuses(&[("1", "")]),
    of(
        "date",
        "date",
        &["'1970-01-02'", "'2024-02-29'", "'0001-01-01'", "'9999-12-31'", "'1582-10-15'", "'1582-10-04'"],
    )
    .same(DAY)
    .refuses(&[
        ("'2024-01-01 01:00:00'", ""),
        ("'2024-02-30'", ""),
        ("'x'", ""),
        ("1", ""),
        ("x'00'", ""),
        ("''", ""),
    ]),
    of("date", "date", &["86400000", "-86400000"]).same(DAY),
    of("date", "date", &["2460370.5", "2451544.5"]).same(DAY),
    of(
        "datetime",
        "timestamp-millis",
        &[
            "'2024-02-29 12:00:00.123'",
            "'2024-02-29T12:00:00Z'",
            "'1855-06-01 00:00:00+02:00'",
            "'2024-02-29'",
            "'9999-12-31 23:59:59'",
            "'2024-02-29 12:00:00.123456'",
        ],
    )
    .same(TIME)
    .refuses(&[("'2024-02-30 00:00:00'", ""), ("'now'", ""), ("x'00'", ""), ("'12:00'", "")]),
    of("timestamp", "timestamp-millis", &["1709208000123", "0", "-1"]).same(TIME),
    of("timestamp", "timestamp-millis", &["2460370.25", "2460370.000001424"]).same(TIME),
    of("time", "string", &["'25:61'", "5", "0.1 + 0.2", "1e300", "-0.1"]).same(AS_TEXT).refuses(&[("x'00ff'", "")]),
    of("json", "string", &["'{}'", "9223372036854775807"]).same(AS_TEXT),
    of("", "string", &["'x'", "-1", "0.1 + 0.2", "5e-324", "''"])
        .same(AS_TEXT)
        .refuses(&[("x'00ff'", ""), ("x'6162'", "")]),
    of("uuid", "string", &["'A'"]).same(AS_TEXT).refuses(&[("x'00112233445566778899aabbccddeeff'", "")]),
];

pub struct SqliteOracle {
    database: Sqlite,
    session: Mutex<Option<SqliteConnection>>,
}

impl SqliteOracle {
    pub fn new() -> Self {
        let database = Sqlite::new();
        let url = format!("sqlite://{}", database.path().display());
        let session = block(async move { SqliteConnection::connect(&url).await.expect("connect") });
        Self { database, session: Mutex::new(Some(session)) }
    }
}

impl Oracle for SqliteOracle {
    fn connector(&self) -> Connector {
        Connector::new(&self.database.jdbc_url())
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
        Ok((0..row.len()).map(|index| row.try_get(index).expect("text")).collect())
    }

    fn id(&self) -> &'static str {
        "integer primary key autoincrement"
    }

    fn value(&self, edge: &str) -> String {
        edge.to_owned()
    }

    fn literal(&self, _: &Column, field: &Field, got: &Got, reading: Reading) -> String {
        match (field.meaning.as_str(), got) {
            ("date", Got::Integer(days)) => {
                let (year, month, day) = render::label(*days, reading.hybrid_calendar);
                format!("'{year:04}-{month:02}-{day:02}'")
            }
            ("decimal", Got::Bytes(bytes)) => render::decimal(bytes, field.scale),
            (_, Got::Boolean(value)) => u8::from(*value).to_string(),
            (_, Got::Integer(i64::MIN)) => "(-9223372036854775807 - 1)".to_owned(),
            (_, Got::Integer(value)) => value.to_string(),
            (_, Got::Float(value)) => real(f64::from(*value)),
            (_, Got::Double(value)) => real(*value),
            (_, Got::Text(text)) => format!("cast({} as text)", hex(text.as_bytes())),
            (_, Got::Bytes(bytes)) => hex(bytes),
            (_, Got::Null) => unreachable!("nulls are no literals"),
        }
    }

    fn same(&self, _: &Column) -> &'static str {
        "{got} is {col}"
    }

    fn shown(&self, column: &str) -> String {
        format!("substr(quote({column}), 1, 100)")
    }
}

fn real(value: f64) -> String {
    if value.is_infinite() { format!("{}9e999", if value < 0.0 { "-" } else { "" }) } else { format!("{value:e}") }
}

fn hex(bytes: &[u8]) -> String {
    format!("x'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[test]
fn every_sqlite_value_arrives_as_it_is_whatever_its_column_declares() {
    let oracle = SqliteOracle::new();
    create(&oracle, COLUMNS);
    let connector = keyed(connector(&oracle, &[]), COLUMNS);
    read(&[&connector]);
    none(&differences(&oracle, COLUMNS, &connector, Reading::default()));
}

#[test]
fn sqlite_values_that_no_field_holds_stop_their_table() {
    assert_refused(&SqliteOracle::new(), COLUMNS, &[]);
}
