//! PostgreSQL as the oracle.

use std::sync::Mutex;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, ValueRef};

use super::avro::{Field, Got};
use super::matrix::{
    Column, Oracle, Reading, assert_refused, connector, create, differences, keyed, none, read, unnoticed,
};
use super::postgres_columns::{COLUMNS, ERAS, EXACT, EXTENSIONS, MOMENTS, NANOS, OVERLAPS, PRELUDE};
use super::render;
use crate::support::config::Connector;
use crate::support::db::{Postgres, block};

/// A database, and a session that answers.
pub struct PostgresOracle {
    pub database: Postgres,
    session: Mutex<Option<PgConnection>>,
}

impl PostgresOracle {
    pub fn new() -> Self {
        let database = Postgres::new();
        let url = database.url();
        let session = block(async move { PgConnection::connect(&url).await.expect("connect") });
        let oracle = Self { database, session: Mutex::new(Some(session)) };
        oracle.run(PRELUDE);
        oracle
    }
}

impl Oracle for PostgresOracle {
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
        let text = |index| {
            let value = row.try_get_raw(index).expect("a column");
            (!value.is_null()).then(|| value.as_str().expect("text").to_owned())
        };
        Ok((0..row.len()).map(text).collect())
    }

    fn id(&self) -> &'static str {
        "serial primary key"
    }

    /// Text of the type's input form; what follows `=` is an expression.
    fn value(&self, edge: &str) -> String {
        edge.strip_prefix('=').map_or_else(|| quoted(edge), str::to_owned)
    }

    fn literal(&self, column: &Column, field: &Field, got: &Got, reading: Reading) -> String {
        match moment(column, field, got, reading) {
            Some(moment) => moment,
            None => format!("{}::{}", quoted(&plain(field, got)), base_type(column.sql_type)),
        }
    }

    /// The whole output form, also where a type's own equality is coarser (blanks, areas, 30 days for a month).
    fn same(&self, column: &Column) -> &'static str {
        match column.sql_type {
            _ if column.avro == "string" => "row({got})::text = row({col})::text",
            // Decimals of one value and another number of zeros.
            of_type if of_type.contains("numeric") && !of_type.contains('[') => "{got} is not distinct from {col}",
            "cents" => "{got} is not distinct from {col}",
            _ => "row({got})::text = row({col})::text",
        }
    }

    fn shown(&self, column: &str) -> String {
        format!("left({column}::text, 100)")
    }
}

pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn plain(field: &Field, got: &Got) -> String {
    match got {
        Got::Null => unreachable!("nulls are no literals"),
        Got::Boolean(value) => u8::from(*value).to_string(),
        Got::Integer(value) => value.to_string(),
        Got::Float(value) => value.to_string(),
        Got::Double(value) => value.to_string(),
        Got::Text(text) => text.clone(),
        Got::Bytes(bytes) if field.meaning == "decimal" => render::decimal(bytes, field.scale),
        Got::Bytes(bytes) => format!("\\x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

/// The type without its modifier, which a cast would cut a value to.
fn base_type(sql_type: &str) -> String {
    let sql_type = sql_type.trim_end_matches(" not null");
    let bare = match (sql_type.find('('), sql_type.find(')')) {
        (Some(open), Some(close)) => format!("{}{}", &sql_type[..open], &sql_type[close + 1..]),
        _ => sql_type.to_owned(),
    };
    match bare.as_str() {
        "char" => "bpchar".to_owned(),
        "bit" => "varbit".to_owned(),
        // Their input forgives what comes after a value.
        "\"char\"" | "macaddr8" | "tid" => "text".to_owned(),
        _ => bare,
    }
}

/// Dates and times, by the schema's logical type and the connector's granularity.
fn moment(column: &Column, field: &Field, got: &Got, reading: Reading) -> Option<String> {
    let zoned = column.sql_type.starts_with("timestamptz");
    let is_moment = column.sql_type.starts_with("timestamp") && !column.sql_type.contains('[');
    let stamp = |micros: i128| {
        let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
        let suffix = if zoned { "+00" } else { "" };
        let of_type = if zoned { "timestamptz" } else { "timestamp" };
        format!("{of_type} '{}'", date(days as i64, reading, &format!(" {}{suffix}", render::time(rest as i64))))
    };
    Some(match (field.meaning.as_str(), got) {
        ("date", Got::Integer(days)) => format!("date '{}'", date(*days, reading, "")),
        ("time-millis", Got::Integer(millis)) => format!("time '{}'", render::time(millis * 1_000)),
        // What pgjdbc makes of the infinities.
        ("timestamp-millis", Got::Integer(9_223_372_036_825_200_000)) => "'infinity'".to_owned(),
        ("timestamp-millis", Got::Integer(-9_223_372_036_832_400_000)) => "'-infinity'".to_owned(),
        ("timestamp-millis", Got::Integer(millis)) => stamp(i128::from(*millis) * 1_000),
        ("", got) if is_moment => match (reading.granularity, got) {
            ("micros_long", Got::Integer(micros)) => stamp(i128::from(*micros)),
            ("nanos_long", Got::Integer(nanos)) => stamp(micros(i128::from(*nanos))),
            ("micros_string", Got::Text(text)) => stamp(text.parse().expect("a number")),
            ("nanos_string", Got::Text(text)) => stamp(micros(text.parse().expect("a number"))),
            // Java writes years of five digits with a sign.
            (_, Got::Text(text)) if zoned => format!("timestamptz '{}+00'", text.trim_start_matches('+')),
            (_, Got::Text(text)) => format!("timestamp '{}'", text.trim_start_matches('+')),
            _ => return None,
        },
        _ => return None,
    })
}

/// PostgreSQL has none of the last three digits.
fn micros(nanos: i128) -> i128 {
    assert_eq!(nanos % 1_000, 0, "nanoseconds out of nowhere");
    nanos / 1_000
}

fn date(days: i64, reading: Reading, time: &str) -> String {
    let (year, month, day) = render::label(days, reading.hybrid_calendar);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    format!("{year:04}-{month:02}-{day:02}{time}{era}")
}

#[test]
fn every_postgresql_type_arrives_as_it_is_also_as_key() {
    let oracle = PostgresOracle::new();
    let mut columns = COLUMNS.to_vec();
    for (extension, extras) in EXTENSIONS {
        match oracle.ask(&format!("create extension {extension}")) {
            Ok(_) => columns.extend(*extras),
            Err(error) => println!("NOT TESTED, the extension {extension} is not installed: {error}"),
        }
    }
    create(&oracle, &columns);
    let connector = keyed(connector(&oracle, &[]), &columns);
    read(&[&connector]);
    none(&differences(&oracle, &columns, &connector, Reading::default()));
    none(&unnoticed(&oracle, &columns, &connector, Reading::default()));
}

#[test]
fn postgresql_values_that_no_field_holds_stop_their_table() {
    assert_refused(&PostgresOracle::new(), COLUMNS, &[]);
}

#[test]
fn postgresql_is_exact_under_the_settings_that_lose_nothing() {
    let oracle = PostgresOracle::new();
    create(&oracle, EXACT);
    let settings = [("decimal.handling", "string"), ("time.handling", "string"), ("zero.date", "string")];
    let connector = keyed(connector(&oracle, &settings), EXACT);
    read(&[&connector]);
    none(&differences(&oracle, EXACT, &connector, Reading::default()));
}

#[test]
fn postgresql_moments_are_exact_in_every_granularity() {
    let oracle = PostgresOracle::new();
    create(&oracle, MOMENTS);
    let runs =
        ["micros_long", "micros_string", "micros_iso_datetime_string", "nanos_string", "nanos_iso_datetime_string"];
    let runs = runs.map(|granularity| {
        let settings = [("timestamp.granularity", granularity), ("date.calendar.system", "PROLEPTIC_GREGORIAN")];
        (granularity, connector(&oracle, &settings))
    });
    read(&runs.each_ref().map(|(_, connector)| connector));
    let mut failures = Vec::new();
    for (granularity, connector) in &runs {
        let avro = if *granularity == "micros_long" { "long" } else { "string" };
        let columns: Vec<Column> = MOMENTS
            .iter()
            .map(|column| if column.sql_type.starts_with("timestamp") { Column { avro, ..*column } } else { *column })
            .collect();
        let reading = Reading { granularity, hybrid_calendar: false };
        let found = differences(&oracle, &columns, connector, reading);
        failures.extend(found.into_iter().map(|failure| format!("{granularity}: {failure}")));
    }
    none(&failures);
}

#[test]
fn postgresql_nanoseconds_fit_their_long_or_stop_the_table() {
    let oracle = PostgresOracle::new();
    let settings = [("timestamp.granularity", "nanos_long")];
    create(&oracle, NANOS);
    let connector = connector(&oracle, &settings);
    read(&[&connector]);
    let reading = Reading { granularity: "nanos_long", ..Reading::default() };
    none(&differences(&oracle, NANOS, &connector, reading));
    assert_refused(&oracle, NANOS, &settings);
}

#[test]
fn postgresql_moments_that_would_read_as_others_stop_their_table() {
    assert_refused(&PostgresOracle::new(), ERAS, &[("timestamp.granularity", "nanos_iso_datetime_string")]);
    let settings = [("db.timezone", "America/New_York"), ("dst.overlap", "fail")];
    assert_refused(&PostgresOracle::new(), OVERLAPS, &settings);
}
