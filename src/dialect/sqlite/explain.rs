//! The plan of a page, and whether an index serves it.

use super::super::connection::PlanReport;
use super::super::statement::Doing;
use super::bind::arguments;
use super::session::{Session, column};
use crate::error::Result;
use crate::model::PlannedQuery;

pub(super) async fn explain(session: &mut Session, query: &PlannedQuery) -> Result<PlanReport> {
    let sql = format!("explain query plan {}", query.sql);
    let rows = session.rows(&sql, arguments(&query.binds)?, Doing::Page).await?;
    let lines = rows.iter().map(|row| column::<String>(row, 3)).collect::<Result<Vec<_>>>()?;
    let index_serves = serves(&lines, !query.binds.is_empty());
    Ok(PlanReport { lines, index_serves })
}

/// True if a plan needs no full scan and no sort, and if something is bound, its range is one of an index.
fn serves(lines: &[String], has_range: bool) -> bool {
    let scans = |line: &str| line.starts_with("SCAN") && (has_range || !line.contains("USING"));
    let rowid_order = |line: &str| !has_range && line.starts_with("SCAN") && lines.len() == 1;
    !lines.iter().any(|line| line.contains("USE TEMP B-TREE"))
        && lines.iter().all(|line| !scans(line) || rowid_order(line))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_search_without_a_sort_serves() {
        let serves = |lines: &[&str], has_range| {
            super::serves(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), has_range)
        };
        assert!(serves(&["SEARCH t USING INDEX i (ts>?)"], true));
        assert!(serves(&["SEARCH t USING INTEGER PRIMARY KEY (rowid>?)"], true));
        assert!(serves(&["SCAN t USING INDEX i"], false));
        assert!(!serves(&["SCAN t USING INDEX i"], true));
        assert!(!serves(&["SCAN t", "USE TEMP B-TREE FOR ORDER BY"], false));
    }
}
