//! The server's plan for a page. The text is the plan the server chooses now; the verdict is asked with the
//! table's indexes forced, because a small table is scanned whatever indexes it has.

use sqlx::mysql::MySqlRow;
use sqlx::{Column, Row};

use super::super::connection::PlanReport;
use super::super::statement::{Doing, statement};
use super::bind;
use super::classify::number_of;
use super::server::Server;
use super::session::{Session, answered, bytes, text};
use crate::error::{Error, Result};
use crate::model::PlannedQuery;

impl Server {
    /// The statement that gives a table of steps, whatever the server's own format is (a tree, from MySQL 9 on).
    fn explain(self) -> &'static str {
        match self {
            Server::MySql => "explain format = traditional",
            Server::MariaDb | Server::TiDb => "explain",
        }
    }
}

pub(super) async fn explain(session: &mut Session, query: &PlannedQuery) -> Result<PlanReport> {
    let (kind, has_range) = (session.kind, !query.binds.is_empty());
    let explain = kind.explain();
    let rows = match run(session, &format!("{explain} {}", query.sql), query).await {
        // The right to read a view does not include the right to see its plan.
        Err(error) if is_about_a_view(&error) => {
            let lines = vec![format!("not shown: {error}")];
            return Ok(PlanReport { lines, index_serves: true });
        }
        rows => rows?,
    };
    let lines = rows.iter().map(|row| line(row, kind)).collect();
    let mut index_serves = serves(kind, &rows, has_range);
    if !index_serves && let Some(forced) = forced(session, &query.sql).await? {
        for sql in forced {
            // A statement that cannot be forced to use the index proves nothing.
            if let Ok(rows) = run(session, &format!("{explain} {sql}"), query).await {
                index_serves |= serves(kind, &rows, has_range);
            }
        }
    }
    Ok(PlanReport { lines, index_serves })
}

/// The servers' two ways to say that the right to read does not include a plan: the plan of a view, or SHOW VIEW.
fn is_about_a_view(error: &Error) -> bool {
    match number_of(error) {
        Some(1345) => true,
        // The name of the privilege is the same in every language.
        Some(1142) => error.report().contains("SHOW VIEW"),
        _ => false,
    }
}

async fn run(session: &mut Session, sql: &str, query: &PlannedQuery) -> Result<Vec<MySqlRow>> {
    let call = sqlx::query_with(statement(sql), bind::arguments(&query.binds)?).persistent(false);
    answered(&session.vigil, Doing::Page, call.fetch_all(&mut session.connection)).await
}

/// The statement with each index of its table forced; none if it reads no table.
async fn forced(session: &mut Session, sql: &str) -> Result<Option<Vec<String>>> {
    let Some((before, rest)) = sql.split_once(" from `") else { return Ok(None) };
    let Some((table, after)) = rest.split_once(" as t") else { return Ok(None) };
    let rows = session.rows(&format!("show index from `{table}"), &[], Doing::Describe).await;
    // A view has none.
    let Ok(rows) = rows else { return Ok(None) };
    let mut names: Vec<String> = Vec::new();
    for row in &rows {
        let name = text(row, 2)?.unwrap_or_default().to_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let force = |name: &String| {
        format!("{before} from `{table} as t force index ({}){after}", super::syntax::back_quoted(name))
    };
    Ok(Some(names.iter().map(force).collect()))
}

fn field(row: &MySqlRow, name: &str) -> String {
    let index = row.columns().iter().position(|column| column.name().eq_ignore_ascii_case(name));
    let found = index.and_then(|index| text(row, index).ok().flatten());
    found.unwrap_or_default().to_owned()
}

/// A row of the plan on one line: `type=range key=PRIMARY rows=3 Using where`.
fn line(row: &MySqlRow, kind: Server) -> String {
    let names: &[&str] = match kind {
        Server::TiDb => &["id", "estRows", "access object", "operator info"],
        _ => &["table", "type", "key", "key_len", "rows", "Extra"],
    };
    let mut parts = Vec::new();
    for name in names {
        let index = row.columns().iter().position(|column| column.name().eq_ignore_ascii_case(name));
        let Some(index) = index else { continue };
        let shown = match bytes(row, index) {
            Ok(Some(bytes)) if bytes.len() == 8 && *name == "rows" => {
                bytes.try_into().map(u64::from_le_bytes).unwrap_or_default().to_string()
            }
            _ => field(row, name),
        };
        if shown.is_empty() {
            continue;
        }
        parts.push(match *name {
            "Extra" | "id" | "operator info" => shown,
            _ => format!("{name}={shown}"),
        });
    }
    parts.join(" ")
}

/// True if a plan of one table needs no full scan and no sort, and if something is bound, its range is one of an index.
fn serves(kind: Server, rows: &[MySqlRow], has_range: bool) -> bool {
    if kind == Server::TiDb {
        let plan: Vec<String> = rows.iter().map(|row| line(row, kind)).collect();
        return tidb_serves(&plan, has_range);
    }
    let steps: Vec<(String, String, String)> =
        rows.iter().map(|row| (field(row, "type"), field(row, "key"), field(row, "Extra"))).collect();
    !steps.is_empty() && steps.iter().all(|(access, key, extra)| step_serves(access, key, extra, has_range))
}

fn step_serves(access: &str, key: &str, extra: &str, has_range: bool) -> bool {
    if extra.contains("no matching row") || extra.contains("Impossible WHERE") {
        return true;
    }
    let in_range = matches!(access, "range" | "ref" | "eq_ref" | "const" | "system" | "ref_or_null");
    !key.is_empty() && !extra.contains("filesort") && (in_range || (access == "index" && !has_range))
}

fn tidb_serves(plan: &[String], has_range: bool) -> bool {
    // The rows of an index are fetched in any order, and put back into that of the index.
    let scans = || plan.iter().filter(|line| !line.contains("TableRowIDScan_"));
    let has = |words: &[&str]| scans().any(|line| words.iter().any(|word| line.contains(word)));
    // A table without an index over the cursor is sorted: TopN.
    let sorted = has(&["TopN_", "Sort_", "keep order:false"]);
    let scanned = has_range && has(&["TableFullScan_", "IndexFullScan_"]);
    !plan.is_empty() && !sorted && !scanned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_index_walk_without_a_sort_serves() {
        assert!(step_serves("range", "PRIMARY", "Using where", true));
        assert!(step_serves("index", "PRIMARY", "", false));
        assert!(!step_serves("index", "PRIMARY", "Using where", true));
        assert!(!step_serves("ALL", "", "Using filesort", true));
        assert!(!step_serves("range", "by_time", "Using where; Using filesort", true));
        let plan = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert!(tidb_serves(&plan(&["IndexRangeScan_1 estRows=3 range:(1,+inf], keep order:true"]), true));
        let looked_up =
            ["IndexRangeScan_1 range:(1,+inf], keep order:true", "TableRowIDScan_2 table:t keep order:false"];
        assert!(tidb_serves(&plan(&looked_up), true));
        assert!(!tidb_serves(&plan(&["TopN_7", "TableFullScan_5 keep order:false"]), true));
        let whole = plan(&["Limit_9", "  TableFullScan_5 table:t keep order:true"]);
        assert!(tidb_serves(&whole, false) && !tidb_serves(&whole, true));
    }
}
