//! The database, and when it is read.

use std::time::Duration;

use super::{AIVEN, types};
use crate::config::judge::Judge;
use crate::config::keys;
use crate::config::spec::{
    ColumnTypes, Isolation, LoadOrder, PlanGuard, PollSpec, PollWindows, Secret, SourceSpec, TableRules,
};
use crate::config::url;
use crate::retry::RetryPolicy;
use crate::sql::{self, Grammar, Reading};
use crate::zone::Zone;

pub(super) fn build(judge: &mut Judge) -> Option<SourceSpec> {
    let types = types::build(judge);
    let quote_identifiers = quoting(judge);
    let passed_on = passed_on(judge);
    let connection = match url::parse(judge.text("connection.url"), &passed_on) {
        Ok(connection) => connection,
        Err(message) => {
            judge.problem("connection.url", message, &[]);
            return None;
        }
    };
    for found in &connection.problems {
        judge.problem(&found.key, found.message.clone(), &[]);
    }
    for found in &connection.warnings {
        let warning = judge.about(&found.key, found.message.clone()).meant(found.nearest.clone());
        judge.report.warnings.push(warning);
    }
    if !connection.ignored.is_empty() {
        let names = connection.ignored.join(", ");
        judge.notes.push(format!("connection.url: ignored parameters that only tune the Java driver: {names}"));
    }
    check_dialect(judge, &connection.url.dialect);
    check_drivers(judge, &connection.url.dialect, &types);
    // User and password are taken as they are, with the spaces they may have.
    let as_written =
        |key: &str| judge.settings.get(key).map(|entry| entry.text.clone()).filter(|text| !text.is_empty());
    let (user, password) = (as_written("connection.user"), as_written("connection.password"));
    if connection.user.is_some() && user.is_some() && connection.user != user {
        let message = if connection.keys_win {
            "wins over another user in connection.url"
        } else {
            "differs from the user in connection.url, which wins"
        };
        judge.warning("connection.user", message);
    }
    let limit = |key: &str, of_url: Option<Duration>| match (judge.given(key), of_url) {
        (None, Some(limit)) => limit,
        _ => millis(judge, key),
    };
    let password = password.map(Secret::new);
    let (user, password) = if connection.keys_win {
        (user.or(connection.user), password.or(connection.password))
    } else {
        (connection.user.or(user), connection.password.or(password))
    };
    Some(SourceSpec {
        user: user.filter(|user| !user.is_empty()),
        password,
        types,
        quote_identifiers,
        isolation: isolation(judge.text("transaction.isolation.mode")),
        connect_timeout: limit("connect.timeout.ms", connection.connect_timeout),
        statement_timeout: limit("statement.timeout.ms", connection.socket_timeout),
        pool_size: usize::try_from(judge.number("connection.pool.size")).unwrap_or(usize::MAX),
        url: connection.url,
    })
}

impl SourceSpec {
    /// The same, knowing which columns tables leave out.
    pub(super) fn with_tables(self, tables: &TableRules) -> Self {
        Self { types: self.types.without_left_out(tables.clone()), ..self }
    }
}

/// `connection.<other>`, names without the prefix.
fn passed_on(judge: &Judge) -> Vec<(String, String)> {
    let entries = judge.settings.connector.iter();
    entries
        .filter(|(key, _)| keys::find(key).is_some_and(|known| known.name == "connection.*"))
        .filter_map(|(key, entry)| Some((key.strip_prefix("connection.")?.to_owned(), entry.text.trim().to_owned())))
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

fn check_dialect(judge: &mut Judge, dialect: &str) {
    let named: &[&str] = match judge.text("dialect.name") {
        "PostgreSqlDatabaseDialect" => &["postgresql"],
        "MySqlDatabaseDialect" => &["mysql", "mariadb", "tidb"],
        "SqliteDatabaseDialect" => &["sqlite"],
        _ => return,
    };
    if !named.contains(&dialect) {
        let message = format!("is the dialect of {}, but connection.url is one of {dialect}", named.join(", "));
        judge.problem("dialect.name", message, &["connection.url"]);
    }
}

/// `driver.types` names drivers of one family.
fn check_drivers(judge: &mut Judge, dialect: &str, types: &ColumnTypes) {
    if types.names_a_driver() && !["mysql", "mariadb", "tidb"].contains(&dialect) {
        let message = format!("names a driver for MySQL, MariaDB and TiDB, but connection.url is one of {dialect}");
        judge.problem("driver.types", message, &["connection.url"]);
    }
}

fn quoting(judge: &mut Judge) -> bool {
    let confluent = judge.given("quote.sql.identifiers").map(|text| text.eq_ignore_ascii_case("always"));
    let aiven = judge.given("sql.quote.identifiers").map(|text| text.eq_ignore_ascii_case("true"));
    if let (Some(one), Some(other)) = (confluent, aiven)
        && one != other
    {
        judge.problem("sql.quote.identifiers", "contradicts quote.sql.identifiers", &["quote.sql.identifiers"]);
    }
    confluent.or(aiven).unwrap_or(true)
}

fn isolation(text: &str) -> Option<Isolation> {
    match text {
        "READ_UNCOMMITTED" => Some(Isolation::ReadUncommitted),
        "READ_COMMITTED" => Some(Isolation::ReadCommitted),
        "REPEATABLE_READ" => Some(Isolation::RepeatableRead),
        "SERIALIZABLE" => Some(Isolation::Serializable),
        _ => None,
    }
}

const DELAY: &str = "timestamp.delay.interval.ms";
const REPLICA_LAG: &str = "replica.lag.max.ms";
/// The longest lead: beyond it nobody has rows, and calendars have an end.
const LONGEST_LEAD: Duration = Duration::from_secs(100 * 366 * 86_400);

pub(super) fn polling(judge: &mut Judge, grammar: Option<Grammar>) -> PollSpec {
    let is_aiven = judge.text("connector.class") == AIVEN;
    let rows = match judge.given("batch.max.rows") {
        None if is_aiven => 100,
        _ => judge.number("batch.max.rows"),
    };
    let attempts = u32::try_from(judge.number("query.retry.attempts")).ok().filter(|attempts| *attempts > 0);
    let suffix = suffix(judge, grammar);
    let text = judge.text("poll.windows").to_owned();
    let windows = windows(judge, "poll.windows", &text).unwrap_or_default();
    without_replicas(judge, grammar);
    PollSpec {
        interval: millis(judge, "poll.interval.ms"),
        longest_interval: millis(judge, "poll.interval.max.ms"),
        table_interval: millis(judge, "table.poll.interval.ms"),
        batch_max_rows: usize::try_from(rows).unwrap_or(1000),
        delay: millis(judge, DELAY),
        lead: Duration::from_millis(judge.number(DELAY).min(0).unsigned_abs()).min(LONGEST_LEAD),
        suffix,
        load_order: match judge.text("load.order").to_ascii_lowercase().as_str() {
            "cursor" => LoadOrder::Cursor,
            "primary_key" => LoadOrder::PrimaryKey,
            _ => LoadOrder::Auto,
        },
        load_rate: usize::try_from(judge.number("load.rows.per.second")).unwrap_or_default(),
        plan_guard: match judge.text("plan.guard").to_ascii_lowercase().as_str() {
            "off" => PlanGuard::Off,
            "refuse" => PlanGuard::Refuse,
            _ => PlanGuard::Warn,
        },
        windows,
        replica_lag_max: millis(judge, REPLICA_LAG),
        retry: RetryPolicy { attempts, ..RetryPolicy::default() },
    }
}

/// `poll.windows` of the connector or of a table.
pub(super) fn windows(judge: &mut Judge, key: &str, text: &str) -> Option<PollWindows> {
    let zone = judge.text("db.timezone").parse().unwrap_or(Zone::UTC);
    PollWindows::parse(text, zone).map_err(|fault| judge.problem(key, fault, &[])).ok()
}

/// Says where `replica.lag.max.ms` means nothing.
fn without_replicas(judge: &mut Judge, grammar: Option<Grammar>) {
    if judge.number(REPLICA_LAG) > 0 && matches!(grammar, Some(Grammar::TiDb | Grammar::Sqlite)) {
        judge.warning(REPLICA_LAG, "has no effect: the database has no replicas that lag");
    }
}

/// `query.suffix` as the database takes it.
fn suffix(judge: &mut Judge, grammar: Option<Grammar>) -> Option<String> {
    const KEY: &str = "query.suffix";
    let text = judge.settings.get(KEY)?.text.clone();
    let taken = match grammar {
        Some(grammar) => sql::suffix(&text, grammar, reading(judge)),
        None => Ok(text.trim().to_owned()),
    };
    match taken {
        Ok(suffix) => Some(suffix).filter(|suffix| !suffix.is_empty()),
        Err(findings) => {
            findings.iter().for_each(|finding| judge.problem(KEY, finding.to_string(), &[]));
            None
        }
    }
}

/// The way in which the modes read statements.
pub(super) fn reading(judge: &Judge) -> Reading {
    let of_tables = judge
        .settings
        .connector
        .iter()
        .filter(|(key, _)| keys::table_setting(key).is_some_and(|(_, setting)| setting == "mode"));
    let is_bulk = |text: &str| text.trim() == "bulk";
    let all_bulk =
        judge.given("mode").is_some_and(is_bulk) && of_tables.into_iter().all(|(_, entry)| is_bulk(&entry.text));
    if all_bulk { Reading::Whole } else { Reading::Paged }
}

/// A time in milliseconds; a negative one is none at all.
fn millis(judge: &Judge, key: &str) -> Duration {
    Duration::from_millis(u64::try_from(judge.number(key)).unwrap_or(0))
}
