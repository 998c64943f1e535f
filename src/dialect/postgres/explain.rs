//! The server's plan for a page. The text is the plan the server chooses now; the verdict is asked with
//! full scans discouraged, because a small table is scanned whatever indexes it has.

use serde_json::Value as Json;
use sqlx::postgres::PgRow;
use sqlx::{Row, ValueRef};

use super::super::connection::PlanReport;
use super::super::statement::{Doing, statement};
use super::bind;
use super::classify::classify;
use super::session::{Session, answered};
use crate::error::{Error, Result};
use crate::model::PlannedQuery;

pub(super) async fn explain(session: &mut Session, query: &PlannedQuery) -> Result<PlanReport> {
    session.begin().await?;
    let lines = rows(session, &format!("explain {}", query.sql), query).await?;
    if !session.notes.open_transaction {
        session.run("begin read only").await?;
        session.notes.open_transaction = true;
    }
    session.run("set local enable_seqscan = off; set local enable_bitmapscan = off").await?;
    let json = rows(session, &format!("explain (format json) {}", query.sql), query).await?;
    session.end().await?;
    let json: Json = serde_json::from_str(&json.concat())
        .map_err(|error| Error::internal("the server's plan cannot be read").caused_by(error))?;
    let plan = json.get(0).and_then(|entry| entry.get("Plan")).unwrap_or(&Json::Null);
    Ok(PlanReport { lines, index_serves: serves(plan, !query.binds.is_empty()) })
}

async fn rows(session: &mut Session, sql: &str, query: &PlannedQuery) -> Result<Vec<String>> {
    let call = sqlx::query_with(statement(sql), bind::arguments(&query.binds)?).persistent(false);
    let rows = answered(&session.vigil, Doing::Page, call.fetch_all(&mut session.connection)).await?;
    rows.iter().map(text).collect()
}

fn text(row: &PgRow) -> Result<String> {
    let value = row.try_get_raw(0).map_err(|error| classify(error, Doing::Page))?;
    if value.is_null() {
        return Ok(String::new());
    }
    let text = value.as_str().map_err(|_| Error::internal("the server's plan is not text"))?;
    Ok(text.to_owned())
}

/// True if a plan needs no full scan and no sort, and if something is bound, its range is one of an index.
fn serves(plan: &Json, has_range: bool) -> bool {
    let mut indexed = false;
    let mut ranged = false;
    let mut open = vec![plan];
    while let Some(node) = open.pop() {
        match node.get("Node Type").and_then(Json::as_str).unwrap_or_default() {
            "Seq Scan" | "Sort" | "Incremental Sort" | "Bitmap Heap Scan" => return false,
            "Index Scan" | "Index Only Scan" => {
                indexed = true;
                ranged |= node.get("Index Cond").is_some();
            }
            _ => {}
        }
        open.extend(node.get("Plans").and_then(Json::as_array).into_iter().flatten());
    }
    indexed && (ranged || !has_range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_an_index_walk_without_a_sort_serves() {
        let walk = json!({"Node Type": "Index Scan", "Index Cond": "(id > 1)"});
        assert!(serves(&json!({"Node Type": "Limit", "Plans": [walk]}), true));
        assert!(!serves(&json!({"Node Type": "Index Scan"}), true));
        assert!(serves(&json!({"Node Type": "Index Scan"}), false));
        assert!(!serves(&json!({"Node Type": "Sort", "Plans": [walk]}), true));
        assert!(!serves(&json!({"Node Type": "Seq Scan"}), false));
    }
}
