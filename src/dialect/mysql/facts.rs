//! Facts about cursor columns: how ids are handed out and whether an update moves a timestamp.

use super::super::statement::Doing;
use super::server::Server;
use super::session::{Session, text};
use super::syntax::back_quoted;
use super::types::ColumnType;
use super::wire::Kind;
use crate::error::{ErrorKind, Result};
use crate::model::{CursorFact, FactWeight, TableId};

pub(super) async fn cursor_facts(session: &mut Session, id: &TableId, columns: &[String]) -> Result<Vec<CursorFact>> {
    let sql = "select column_name, column_type, extra from information_schema.columns
               where table_schema = coalesce(nullif(?, ''), database()) and table_name = ?";
    let rows = session.rows(sql, &[id.catalog.as_deref().unwrap_or_default(), &id.name], Doing::Describe).await?;
    let mut facts = Vec::new();
    for row in &rows {
        let name = text(row, 0)?.unwrap_or_default().to_owned();
        if !columns.iter().any(|wanted| wanted.eq_ignore_ascii_case(&name)) {
            continue;
        }
        let of = ColumnType::of_catalog(text(row, 1)?.unwrap_or_default());
        let extra = text(row, 2)?.unwrap_or_default().to_ascii_lowercase();
        let mut add = |weight, text: String| facts.push(CursorFact { column: name.clone(), weight, text });
        if matches!(of.kind, Kind::DateTime | Kind::Timestamp) {
            if extra.contains("on update current_timestamp") {
                add(FactWeight::Note, "the server moves it at every update (ON UPDATE CURRENT_TIMESTAMP)".to_owned());
            }
            if of.digits == 0 {
                add(
                    FactWeight::Note,
                    "it has whole seconds: rows of the present second are read once the second is over".to_owned(),
                );
            }
        }
        if extra.contains("auto_increment") && session.id_step > 1 {
            add(
                FactWeight::Warning,
                format!(
                    "auto_increment_increment is {}: several servers hand out ids side by side, so a smaller id may \
                     become visible after a greater one",
                    session.id_step
                ),
            );
        }
    }
    if session.kind == Server::TiDb {
        facts.extend(tidb_facts(session, id, columns).await?);
    }
    Ok(facts)
}

/// TiDB hands out ids in blocks to each of its servers, or at random.
async fn tidb_facts(session: &mut Session, id: &TableId, columns: &[String]) -> Result<Vec<CursorFact>> {
    let table = id.parts().map(back_quoted).collect::<Vec<_>>().join(".");
    let rows = match session.rows(&format!("show create table {table}"), &[], Doing::Describe).await {
        // A view, whose definition is shown only with SHOW VIEW; it hands out no ids.
        Err(error) if error.kind() == ErrorKind::Privilege => return Ok(Vec::new()),
        rows => rows?,
    };
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    // A view has its text in another column.
    let ddl = text(row, 1)?.unwrap_or_default().to_owned();
    let mut facts = Vec::new();
    for line in ddl.lines().map(str::trim) {
        let stands_for = |column: &&String| line.to_lowercase().starts_with(&back_quoted(column).to_lowercase());
        let Some(column) = columns.iter().find(stands_for) else { continue };
        let mut add = |weight, text: &str| {
            facts.push(CursorFact { column: column.clone(), weight, text: text.to_owned() });
        };
        if line.contains("AUTO_RANDOM") {
            add(
                FactWeight::Refusal,
                "AUTO_RANDOM ids are random in their upper bits: a new row can sort before rows that were read",
            );
        } else if line.contains("AUTO_INCREMENT")
            && !ddl.contains("AUTO_ID_CACHE=1 ")
            && !ddl.ends_with("AUTO_ID_CACHE=1")
        {
            add(
                FactWeight::Warning,
                "TiDB hands out AUTO_INCREMENT ids in blocks of 30000 to each of its servers, so a smaller id may \
                 become visible after a greater one; AUTO_ID_CACHE 1 makes them follow time",
            );
        }
    }
    Ok(facts)
}

/// The last id handed out, also if its row is gone.
pub(super) async fn last_id(session: &mut Session, id: &TableId, column: &str) -> Result<Option<i64>> {
    // MySQL's statistics may be a day old unless this is set; the others have no such variable.
    if session.kind == Server::MySql {
        session.rows("set session information_schema_stats_expiry = 0", &[], Doing::Describe).await?;
    }
    let sql = "select cast(t.auto_increment as char) from information_schema.tables t
               join information_schema.columns c on c.table_schema = t.table_schema and c.table_name = t.table_name
               where t.table_schema = coalesce(nullif(?, ''), database()) and t.table_name = ?
                 and c.column_name = ? and c.extra like '%auto_increment%'";
    let catalog = id.catalog.as_deref().unwrap_or_default();
    let rows = session.rows(sql, &[catalog, &id.name, column], Doing::Describe).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    // The next id; zero where a server of TiDB has not handed out any.
    Ok(text(row, 0)?.and_then(|next| next.parse::<i64>().ok()).filter(|next| *next > 0).map(|next| next - 1))
}
