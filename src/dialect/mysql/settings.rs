//! Settings of a session, so that no default of a server (`SET GLOBAL`, `init_connect`) changes the rows that are read
//! or the life of a transaction. Set in one round trip after the start, and read back: a proxy may swallow it.
//!
//! Left to the server are the settings that give an expression its meaning to every other client, too: `sql_mode` but
//! for the padding of values, the zone of queries, `div_precision_increment`, `group_concat_max_len`, languages; and
//! those that only cost time.

use std::collections::BTreeMap;

use sqlx::mysql::MySqlConnection;

use super::super::statement::{Doing, statement};
use super::super::syntax::single_quoted;
use super::super::vigil::Vigil;
use super::server::Server;
use super::session::{answered, text};
use crate::config::spec::{Isolation, SourceSpec};
use crate::error::{Error, ErrorKind, Result};

/// A variable of the session.
struct Variable {
    name: &'static str,
    /// Its value, as SQL.
    set_to: &'static str,
    /// The same as the server shows it.
    shown: &'static str,
    /// The reason why a user may not set it to something else; empty if that is allowed.
    relied_on: &'static str,
}

const fn variable(name: &'static str, set_to: &'static str, shown: &'static str) -> Variable {
    Variable { name, set_to, shown, relied_on: "" }
}

impl Variable {
    const fn relied_on(self, why: &'static str) -> Self {
        Self { relied_on: why, ..self }
    }
}

const ALL: &str = "18446744073709551615";
const ONE_VIEW: &str = "every poll would read the same old view, and the open transaction would block ALTER TABLE";
const PAST: &str = "rows would be read as of the past";
const LEFT_OUT: &str = "rows would be left out";

/// The variables, in an order in which they can be set. A server is not asked for those that it does not know.
const VARIABLES: &[Variable] = &[
    // The life of a transaction.
    variable("autocommit", "1", "ON").relied_on(ONE_VIEW),
    variable("completion_type", "'NO_CHAIN'", "NO_CHAIN").relied_on(ONE_VIEW),
    // Nothing stays open while idle, but for a process that is stopped in the middle.
    variable("idle_transaction_timeout", "300", "300"),
    variable("idle_readonly_transaction_timeout", "0", "0"),
    variable("idle_write_transaction_timeout", "0", "0"),
    variable("tidb_idle_transaction_timeout", "300", "300"),
    // The rows that a statement finds.
    variable("sql_select_limit", ALL, ALL).relied_on(LEFT_OUT),
    variable("max_join_size", ALL, ALL),
    variable("sql_big_selects", "1", "ON"),
    variable("sql_auto_is_null", "0", "OFF").relied_on("a comparison with NULL would find a row"),
    variable("system_versioning_asof", "default", "DEFAULT").relied_on(PAST),
    variable("tidb_snapshot", "''", "").relied_on(PAST),
    variable("tidb_read_staleness", "0", "0"),
    variable("tidb_enable_external_ts_read", "0", "OFF").relied_on(PAST),
    variable("tidb_low_resolution_tso", "0", "OFF"),
    variable("tidb_read_consistency", "'strict'", "strict").relied_on("rows would be read before they are committed"),
    variable("use_secondary_engine", "'ON'", "ON"),
    // The order of rows: a sort looks at no more bytes than these.
    variable("max_sort_length", "1024", "1024").relied_on("keys would be out of order"),
    // The form of the catalog's answers.
    variable("sql_quote_show_create", "1", "ON"),
    variable("show_gipk_in_create_table_and_information_schema", "1", "ON"),
];

/// A session is closed by the server after so many seconds without a statement.
const PATIENT: u64 = 28_800;

/// The first statement of a session: under a limit of rows the server would not even show its version and its
/// variables.
pub(super) async fn make_readable(connection: &mut MySqlConnection, vigil: &Vigil) -> Result<()> {
    let sql = format!("set autocommit = 1, sql_select_limit = {ALL}, max_join_size = {ALL}, sql_big_selects = 1");
    answered(vigil, Doing::Connect, sqlx::raw_sql(statement(&sql)).execute(connection)).await.map(|_| ())
}

/// Puts the session in order.
pub(super) async fn apply(
    connection: &mut MySqlConnection,
    source: &SourceSpec,
    kind: Server,
    vigil: &Vigil,
) -> Result<()> {
    let parameters = &source.url.parameters;
    let own = split_variables(parameters.get("sessionVariables").map_or("", String::as_str));
    refuse_what_is_relied_on(&own)?;
    let present = present(connection, vigil).await?;
    let mut sql = assignments(source, kind, &present, &own);
    for variable in &own {
        let scope = if variable.starts_with('@') { "" } else { "session " };
        sql.push(format!("set {scope}{variable}"));
    }
    if let Some(zone) = parameters.get("sessionZone").filter(|zone| !zone.is_empty()) {
        sql.push(format!("set session time_zone = {}", single_quoted(zone)));
    }
    // One by one: a proxy may know a SET, but not several statements at once.
    for sql in sql {
        let call = sqlx::raw_sql(statement(&sql)).execute(&mut *connection);
        answered(vigil, Doing::Connect, call).await?;
    }
    let kept = self::present(connection, vigil).await?;
    let lost = VARIABLES
        .iter()
        .filter(|variable| !is_among(&own, variable.name))
        .find(|variable| kept.get(variable.name).is_some_and(|value| value != variable.shown));
    match lost {
        None => Ok(()),
        Some(Variable { name, shown, .. }) => {
            Err(Error::new(ErrorKind::Config, format!("the session does not keep {name} = {shown}")).advise(
                "a proxy before the server drops SET statements; let it pass them on, or name the server itself",
            ))
        }
    }
}

/// The session's present values of the variables of this file.
async fn present(connection: &mut MySqlConnection, vigil: &Vigil) -> Result<BTreeMap<String, String>> {
    let names = VARIABLES.iter().map(|variable| variable.name).chain(["wait_timeout", "sql_mode"]);
    let names: Vec<String> = names.map(single_quoted).collect();
    let sql = format!("show session variables where variable_name in ({})", names.join(", "));
    let rows = answered(vigil, Doing::Connect, sqlx::raw_sql(statement(&sql)).fetch_all(connection)).await?;
    let pair =
        |row| Ok((text(row, 0)?.unwrap_or_default().to_lowercase(), text(row, 1)?.unwrap_or_default().to_owned()));
    rows.iter().map(pair).collect()
}

/// The statements that set the session's variables. Nothing is written in it, and no statement outlives its limit.
fn assignments(source: &SourceSpec, kind: Server, present: &BTreeMap<String, String>, own: &[String]) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for Variable { name, set_to, shown, .. } in VARIABLES {
        if present.get(*name).is_some_and(|value| value != shown) {
            values.push(format!("{name} = {set_to}"));
        }
    }
    // No limit on a statement's time: a silent one is found by asking the server (`vigil`).
    values.push(match kind {
        Server::MariaDb => "max_statement_time = 0".to_owned(),
        Server::MySql | Server::TiDb => "max_execution_time = 0".to_owned(),
    });
    // While a result waits for Kafka the server must not hang up on its reader; nor between two polls.
    values.push("net_write_timeout = 600".to_owned());
    if present
        .get("wait_timeout")
        .and_then(|seconds| seconds.parse().ok())
        .is_some_and(|seconds: u64| seconds < PATIENT)
    {
        values.push(format!("wait_timeout = {PATIENT}"));
    }
    // The mode changes values, and only of columns that are read in some ways.
    let modes: Vec<&str> = present.get("sql_mode").map_or("", String::as_str).split(',').collect();
    if modes.contains(&PADDING) && !is_among(own, "sql_mode") {
        let others: Vec<&str> = modes.into_iter().filter(|mode| *mode != PADDING).collect();
        values.push(format!("sql_mode = {}", single_quoted(&others.join(","))));
    }
    // The built-in one of the family. A statement outside of a transaction has one view at every level but the lowest.
    let level = match source.isolation.unwrap_or(Isolation::RepeatableRead) {
        Isolation::ReadUncommitted => "read uncommitted",
        Isolation::ReadCommitted => "read committed",
        Isolation::RepeatableRead => "repeatable read",
        Isolation::Serializable => "serializable",
    };
    let mut sql = vec![
        format!("set {}", values.join(", ")),
        format!("set session transaction isolation level {level}"),
        // `init_connect` may have stopped the session's clock.
        "set timestamp = default".to_owned(),
    ];
    // TiDB knows read-only sessions only behind a switch.
    if kind != Server::TiDb {
        sql.push("set session transaction read only".to_owned());
    }
    sql
}

const PADDING: &str = "PAD_CHAR_TO_FULL_LENGTH";

fn refuse_what_is_relied_on(own: &[String]) -> Result<()> {
    for part in own {
        let name = name_of(part);
        let Some(variable) = VARIABLES.iter().find(|known| known.name == name && !known.relied_on.is_empty()) else {
            continue;
        };
        let value = part.split_once('=').map_or("", |(_, value)| value).trim();
        if !means(value, variable) {
            return Err(Error::config(format!(
                "sessionVariables of connection.url changes {name}: {}",
                variable.relied_on
            ))
            .advise(format!("remove {name}; rowtide sets it to {}", variable.set_to)));
        }
    }
    Ok(())
}

/// True if a value as a user writes it is ours.
fn means(value: &str, variable: &Variable) -> bool {
    let plain = |value: &str| match value.trim_matches(['\'', '"']).to_ascii_lowercase().as_str() {
        "on" | "true" => "1".to_owned(),
        "off" | "false" => "0".to_owned(),
        other => other.to_owned(),
    };
    [variable.set_to, variable.shown].into_iter().any(|ours| plain(value) == plain(ours))
}

fn is_among(own: &[String], name: &str) -> bool {
    own.iter().any(|part| name_of(part) == name)
}

/// The name of the variable that `@@session.name = value` or `name := value` sets.
fn name_of(part: &str) -> String {
    let name = part.split(['=', ':']).next().unwrap_or_default().trim().to_ascii_lowercase();
    let name = name.strip_prefix("@@").unwrap_or(&name);
    let scopes = ["session.", "local.", "session ", "local "];
    let name = scopes.iter().find_map(|scope| name.strip_prefix(scope)).unwrap_or(name);
    name.trim().trim_matches('`').to_owned()
}

/// `a=1,b='x,y'` at its commas (or semicolons), as Connector/J splits it.
fn split_variables(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (None, ',' | ';') => parts.push(String::new()),
            _ => {
                if matches!(character, '\'' | '"' | '`') {
                    quote = match quote {
                        None => Some(character),
                        Some(open) if open == character => None,
                        open => open,
                    };
                }
                parts.last_mut().into_iter().for_each(|part| part.push(character));
            }
        }
    }
    let scope = |part: &String| {
        let part = part.trim();
        ["session ", "SESSION "].iter().find_map(|scope| part.strip_prefix(scope)).unwrap_or(part).to_owned()
    };
    parts.iter().map(scope).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_variables_are_split_outside_of_quotes() {
        assert_eq!(split_variables("sql_mode='A,B', @x = 1;SESSION y=2"), ["sql_mode='A,B'", "@x = 1", "y=2"]);
        assert!(split_variables(" , ").is_empty());
    }

    #[test]
    fn what_rows_hang_on_cannot_be_changed() {
        let refused = |text: &str| refuse_what_is_relied_on(&split_variables(text)).map_err(|error| error.to_string());
        assert!(refused("autocommit=0").unwrap_err().contains("ALTER TABLE"));
        assert!(refused("@@session.Sql_Select_Limit := 3").unwrap_err().contains("rows would be left out"));
        assert!(refused("tidb_snapshot='2024-01-01 00:00:00'").unwrap_err().contains("of the past"));
        for harmless in ["autocommit=ON", "autocommit = 1", "tidb_snapshot=''", "wait_timeout=60", "@autocommit=0"] {
            assert_eq!(refused(harmless), Ok(()), "{harmless}");
        }
    }
}
