//! Tables of which the role may read some columns only (`GRANT SELECT (column)`). Such a table is described by the columns
//! that are granted if the configuration leaves out the others; else it is an error that names them.

use super::super::statement::Doing;
use super::super::syntax::double_quoted;
use super::session::{Session, answered, get};
use crate::error::{Error, Result};
use crate::model::{Relation, SkippedColumn, TableDefinition, TableId};

/// Each column with its type, whether the role may read it, and whether it is of the primary key.
const COLUMNS: &str = "
    select a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), has_column_privilege(c.oid, a.attnum, 'select'),
      exists (select 1 from pg_catalog.pg_index i
              where i.indrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey::int2[]))
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped order by a.attnum";

/// The columns of a table that the role may read, and the others, which nobody asks for.
pub(super) struct Granted {
    columns: Vec<String>,
    left_out: Vec<SkippedColumn>,
    /// True if the role may read all columns of the primary key, or there is none.
    has_key: bool,
}

/// The columns of a table that the role may read.
///
/// # Errors
/// The one of the table as a whole, with the columns that may be read, if others are wanted.
pub(super) async fn of(
    session: &mut Session,
    (id, relation): (&TableId, &Relation),
    base: &str,
    error: Error,
) -> Result<Granted> {
    let Ok(columns) = columns(session, id).await else { return Err(error) };
    let mut granted = Granted { columns: Vec::new(), left_out: Vec::new(), has_key: true };
    let mut missing = Vec::new();
    for (column, may_read, is_of_key) in columns {
        if may_read {
            granted.columns.push(column.name);
            continue;
        }
        granted.has_key &= !is_of_key;
        if !session.types.leaves_out(relation, &column.name) {
            missing.push(column.name.clone());
        }
        granted.left_out.push(column);
    }
    if granted.columns.is_empty() {
        return Err(error);
    }
    if missing.is_empty() {
        return Ok(granted);
    }
    let quoted = |names: &[String]| names.iter().map(|name| double_quoted(name)).collect::<Vec<_>>().join(", ");
    let (may, not) = (quoted(&granted.columns), quoted(&missing));
    Err(error.advise(format!(
        "the role may read only the columns {may}: grant select ({not}) on the table, leave the others out with \
         table.{id}.columns.exclude={}, or poll query=select {may} from {base}",
        missing.join(",")
    )))
}

async fn columns(session: &mut Session, id: &TableId) -> Result<Vec<(SkippedColumn, bool, bool)>> {
    // Behind a pooler the refused statement has ended the transaction.
    session.begin().await?;
    let call = sqlx::query(COLUMNS).bind(id.schema.as_deref().unwrap_or("public")).bind(&id.name).persistent(false);
    let rows = answered(&session.vigil, Doing::Describe, call.fetch_all(&mut session.connection)).await?;
    let column = |row| {
        let column = SkippedColumn { name: get(row, 0)?, database_type: get(row, 1)? };
        Ok((column, get(row, 2)?, get(row, 3)?))
    };
    rows.iter().map(column).collect()
}

impl Granted {
    /// The columns in the SELECT list of a statement that reads the table as `t`.
    pub(super) fn select_list(&self) -> String {
        self.columns.iter().map(|name| format!("t.{}", double_quoted(name))).collect::<Vec<_>>().join(", ")
    }

    /// Says in a definition that the others are not read. A key of which a part cannot be read tells nothing.
    pub(super) fn leave_out(self, definition: &mut TableDefinition) {
        definition.skipped.extend(self.left_out);
        definition.unique.keys.retain(|key| key.iter().all(|name| self.columns.contains(name)));
        if !self.has_key {
            definition.primary_key.clear();
        }
    }
}
