//! The keys of a table, as the catalog has them: the primary key, the indexes that could serve an order, and the columns that
//! no two rows share.

use super::super::statement::Doing;
use super::server::Server;
use super::session::{Session, text};
use crate::error::{Error, Result};
use crate::model::{Index, TableId, UniqueKeys};

/// The primary key's name among the indexes.
const PRIMARY: &str = "PRIMARY";

/// The primary key of a relation and the indexes that could serve an order.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) primary: Vec<String>,
    pub(super) indexes: Vec<Index>,
    pub(super) unique: UniqueKeys,
}

/// A part of an index.
#[derive(Debug, Clone)]
struct Part {
    /// The column; none for an expression.
    column: Option<String>,
    /// True if it is of an index that is used, ascending, and the whole column.
    in_order: bool,
    /// True if the index keeps it unique together with its other parts: it is used and unique, the column whole and NOT
    /// NULL.
    is_unique: bool,
}

impl Keys {
    pub(super) fn none_because(reason: &'static str) -> Self {
        Self { unique: UniqueKeys::none_because(reason), ..Self::default() }
    }

    /// The same where columns are hidden: of a key that one of them belongs to, the catalog shows the rest.
    pub(super) fn of_hidden_columns(self) -> Self {
        let unique = UniqueKeys::none_because("the account may not read all of its columns");
        Self { primary: Vec::new(), unique, ..self }
    }

    /// Takes the parts of an index.
    fn add(&mut self, name: &str, parts: &[Part], ends_with_key: bool) {
        let ordered = parts.iter().map_while(|part| part.column.clone().filter(|_| part.in_order));
        let mut columns: Vec<String> = ordered.collect();
        let unique = parts.iter().map(|part| part.column.clone().filter(|_| part.is_unique));
        self.unique.keys.extend(unique.collect::<Option<Vec<String>>>());
        if name == PRIMARY {
            self.primary = parts.iter().filter_map(|part| part.column.clone()).collect();
        } else if ends_with_key && columns.len() == parts.len() {
            let key = self.primary.iter().filter(|column| !columns.contains(column)).cloned().collect::<Vec<_>>();
            columns.extend(key);
        }
        if !columns.is_empty() {
            self.indexes.push(Index { name: name.to_owned(), columns });
        }
    }
}

/// Engines that keep a key unique over all rows they show; those that merge tables, or reach for them elsewhere, do not.
const ENGINES: &[&str] = &["innodb", "myisam", "aria", "memory", "rocksdb", "ndbcluster", "ndb", "tokudb"];

pub(super) async fn of(session: &mut Session, id: &TableId) -> Result<Keys> {
    let used = if session.kind == Server::MariaDb { "ignored = 'NO'" } else { "is_visible = 'YES'" };
    let of_table = "table_schema = coalesce(nullif(?, ''), database()) and table_name = ?";
    let sql = format!(
        "select index_name, column_name,
                if(sub_part is null and collation = 'A' and index_type = 'BTREE' and {used}, 'yes', 'no'),
                if(sub_part is null and non_unique = 0 and coalesce(nullable, '') <> 'YES' and {used}, 'yes', 'no')
         from information_schema.statistics where {of_table}
         order by index_name <> '{PRIMARY}', index_name, seq_in_index"
    );
    let names = [id.catalog.as_deref().unwrap_or_default(), &id.name];
    let rows = session.rows(&sql, &names, Doing::Describe).await?;
    let mut parts = Vec::with_capacity(rows.len());
    for row in &rows {
        let is = |place| Ok::<_, Error>(text(row, place)? == Some("yes"));
        let part = Part { column: text(row, 1)?.map(str::to_owned), in_order: is(2)?, is_unique: is(3)? };
        parts.push((text(row, 0)?.unwrap_or_default(), part));
    }
    let sql = format!(
        "select coalesce(table_type, ''), coalesce(engine, ''), {} from information_schema.tables where {of_table}",
        if session.kind == Server::TiDb { "tidb_pk_type" } else { "''" }
    );
    let rows = session.rows(&sql, &names, Doing::Describe).await?;
    let of = |place| -> Result<String> {
        let text = rows.first().map_or(Ok(None), |row| text(row, place))?;
        Ok(text.unwrap_or_default().to_ascii_lowercase())
    };
    let (table_type, engine) = (of(0)?, of(1)?);
    // Where rows are stored by the primary key, every other index ends with it.
    let ends_with_key = if session.kind == Server::TiDb { of(2)? == "clustered" } else { engine == "innodb" };
    let mut keys = Keys::default();
    for index in parts.chunk_by(|(one, _), (other, _)| one == other) {
        let parts: Vec<Part> = index.iter().map(|(_, part)| part.clone()).collect();
        keys.add(index[0].0, &parts, ends_with_key);
    }
    if table_type.ends_with("view") {
        keys.unique = UniqueKeys::none_because("it is a view");
    } else if !ENGINES.contains(&engine.as_str()) {
        keys.unique = UniqueKeys::none_because("its storage engine need not keep keys unique over all rows");
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_serves_as_far_as_its_parts_are_in_order_and_ends_with_the_key_rows_are_stored_by() {
        let part = |column: &str, in_order| Part { column: Some(column.to_owned()), in_order, is_unique: in_order };
        let expression = Part { column: None, in_order: true, is_unique: true };
        let mut keys = Keys::default();
        keys.add(PRIMARY, &[part("tenant", true), part("label", false)], true);
        keys.add("by_time", &[part("changed", true), part("tenant", true)], true);
        keys.add("by_half", &[part("changed", true), part("note", false)], true);
        keys.add("by_expression", &[expression, part("changed", true)], true);
        keys.add("apart", &[part("changed", true)], false);
        assert_eq!(keys.unique.keys, [&["changed", "tenant"][..], &["changed"]], "all parts of it, and no expression");
        assert_eq!(keys.primary, ["tenant", "label"]);
        let index = |name: &str, columns: &[&str]| Index {
            name: name.to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        };
        let expected = [
            index(PRIMARY, &["tenant"]),
            index("by_time", &["changed", "tenant", "label"]),
            index("by_half", &["changed"]),
            index("apart", &["changed"]),
        ];
        assert_eq!(keys.indexes, expected);
    }
}
