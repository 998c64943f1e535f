//! SQLite as the oracle: a column holds values of any storage class, whatever it declares. They arrive as they are,
//! or stop the table; nothing is coerced.

use std::sync::Mutex;

use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqliteConnection};

use super::avro::{Field, Got};
use super::matrix::{
    Column, Oracle, Reading, assert_refused, connector, create, differences, keyed, none, of, read, unnoticed,
};
use super::render;
use crate::support::config::Connector;
use crate::support::db::{Sqlite, block};

/// Columns of no type Connect knows come as SQLite's own text, with all digits.
const AS_TEXT: &str =
    "case typeof({col}) when 'integer' then cast({got} as integer) when 'blob' then cast({got} as blob)
    when 'real' then case {got} when 'Inf' then 9e999 when '-Inf' then -9e999 else cast({got} as real) end
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
    of("boolean", "boolean", &["0", "1"]).refuses(&[
        ("5", "type.mismatch"),
        ("1.5", "type.mismatch"),
        ("'yes'", "type.mismatch"),
        ("x'01'", "type.mismatch"),
    ]),
    of("tinyint", "int16", &["-128", "255", "32767"]).refuses(&[
        ("1.5", "type.mismatch"),
        ("'x'", "type.mismatch"),
        ("x'00'", "type.mismatch"),
    ]),
    // Once a value needs it.
    of("tinyint", "long", &["40000"]),
    of("smallint", "long", &["3000000000"]),
    of("real", "double", &["0.1 + 0.2", "1e300", "-16777217"]),
    of("smallint", "int", &["-32768", "65535", "2147483647"]).refuses(&[("'x'", "type.mismatch")]),
    of("integer", "int", &["-2147483648", "2147483647", "'7'", "7.0"]).refuses(&[
        ("1.5", "type.mismatch"),
        ("'x'", "type.mismatch"),
        ("x'00'", "type.mismatch"),
    ]),
    of("integer not null", "int", &["1"]),
    // Once a value needs it.
    of("integer", "long", &["9223372036854775807", "-9223372036854775808"]),
    of("int", "long", &["-9223372036854775808", "3000000000"]),
    of("bigint", "long", &["9223372036854775807", "-9223372036854775808", "0"]).refuses(&[
        ("0.5", "type.mismatch"),
        ("1e300", "type.mismatch"),
        ("'x'", "type.mismatch"),
        ("x'00'", "type.mismatch"),
    ]),
    of("unsigned big int", "long", &["9223372036854775807"]),
    of("real", "float", &["0.1", "12.34", "3.4e38", "0"])
        .refuses(&[("'x'", "type.mismatch"), ("x'00'", "type.mismatch")]),
    of("double", "double", &["0.1", "1.7976931348623157e308", "5e-324", "9e999", "-9e999", "7", "0.1 + 0.2"])
        .refuses(&[("'x'", "type.mismatch"), ("x'00'", "type.mismatch")]),
    of("float", "double", &["0.1", "9007199254740992"]),
    of("numeric", "double", &["0.5", "1", "'2.5'", "1e300"]).refuses(&[
        ("9007199254740993", "decimal.handling"),
        ("'x'", "type.mismatch"),
        ("x'00'", "type.mismatch"),
    ]),
    of("decimal(10,2)", "decimal(2)", &["12.34", "-99999999.99", "5", "'0.01'", "0", "1000000000"]).refuses(&[
        ("12.345", "decimal.handling"),
        ("'x'", "decimal.handling"),
        ("x'00'", "type.mismatch"),
        ("9e999", "type.mismatch"),
    ]),
    of("decimal(10,0)", "decimal(0)", &["5", "-9999999999", "7.0"]).refuses(&[("0.5", "decimal.handling")]),
    of("text", "string", &["''", "'żółw😀'", "1", "1.5", "'a' || char(0) || 'b'", "printf('%.*c', 100000, 'x')"])
        .refuses(&[("x'00ff'", "type.mismatch"), ("cast(x'ff' as text)", "UTF-8")]),
    of("varchar(2)", "string", &["'longer'", "1"]).refuses(&[("x'61'", "type.mismatch")]),
    of("char(3)", "string", &["'a '"]),
    of("clob", "string", &["'a'"]),
    of("blob", "bytes", &["x''", "x'00ff'", "zeroblob(20000)", "'text'"])
        .same(AS_BYTES)
        .refuses(&[("1", "type.mismatch"), ("1.5", "type.mismatch")]),
    of("varbinary(4)", "bytes", &["x'00ff'"]).refuses(&[("1", "type.mismatch")]),
    of(
        "date",
        "date",
        &["'1970-01-02'", "'2024-02-29'", "'0001-01-01'", "'9999-12-31'", "'1582-10-15'", "'1582-10-04'"],
    )
    .same(DAY)
    .refuses(&[
        ("'2024-01-01 01:00:00'", "type.mismatch"),
        ("'2024-02-30'", "type.mismatch"),
        ("'x'", "type.mismatch"),
        ("1", "type.mismatch"),
        ("x'00'", "type.mismatch"),
        ("''", "type.mismatch"),
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
    .refuses(&[
        ("'2024-02-30 00:00:00'", "type.mismatch"),
        ("'now'", "type.mismatch"),
        ("x'00'", "type.mismatch"),
        ("'12:00'", "type.mismatch"),
    ]),
    of("timestamp", "timestamp-millis", &["1709208000123", "0", "-1"]).same(TIME),
    of("timestamp", "timestamp-millis", &["2460370.25", "2460370.000001424"]).same(TIME),
    of("time", "string", &["'25:61'", "5", "0.1 + 0.2", "1e300", "-0.1"])
        .same(AS_TEXT)
        .refuses(&[("x'00ff'", "UTF-8")]),
    of("json", "string", &["'{}'", "9223372036854775807"]).same(AS_TEXT),
    of("", "string", &["'x'", "-1", "x'6162'", "-9e999", "0.1 + 0.2", "5e-324", "''"])
        .same(AS_TEXT)
        .refuses(&[("x'00ff'", "UTF-8")]),
    of("uuid", "string", &["'A'"]).same(AS_TEXT).refuses(&[("x'00112233445566778899aabbccddeeff'", "UTF-8")]),
];

/// Any value in any column, delivered as text.
const MIXED: &[Column] = &[
    of("boolean", "string", &["5", "1", "'yes'", "0.5"]).same(AS_TEXT),
    of("integer", "string", &["'x'", "9223372036854775807", "0.1 + 0.2", "x'6162'"]).same(AS_TEXT),
    of("real", "string", &["'x'", "0.1 + 0.2", "5e-324", "-9e999"]).same(AS_TEXT),
    of("numeric", "string", &["'x'", "9007199254740993"]).same(AS_TEXT),
    of("decimal(10,2)", "string", &["12.345", "'x'", "5"]).same(AS_TEXT),
    of("text", "string", &["x'6162'", "1"]).same(AS_TEXT),
    of("blob", "string", &["1", "'a'", "1.5"]).same(AS_TEXT),
    of("date", "string", &["'x'", "1", "2460370.25", "'2024-02-30'"]).same(AS_TEXT),
    of("datetime", "string", &["'now'", "1709208000123", "'2024-02-29 12:00:00'"]).same(AS_TEXT),
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
            // By the digits that tell it from its neighbours: they are those of the row.
            (_, Got::Float(value)) => format!("{value:e}"),
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
    none(&unnoticed(&oracle, COLUMNS, &connector, Reading::default()));
}

#[test]
fn sqlite_values_of_any_class_arrive_as_text_if_told_so() {
    let oracle = SqliteOracle::new();
    create(&oracle, MIXED);
    let connector = keyed(connector(&oracle, &[("type.mismatch", "text")]), MIXED);
    read(&[&connector]);
    none(&differences(&oracle, MIXED, &connector, Reading::default()));
}

#[test]
fn sqlite_values_that_no_field_holds_stop_their_table() {
    assert_refused(&SqliteOracle::new(), COLUMNS, &[]);
}
