//! SQL syntax of a dialect: the little that differs, pure, so that plans can be tested without a database.

use crate::model::{ColumnDefinition, ColumnOrder, CursorKind, CursorValue, Micros, Projection};
use crate::sql::Grammar;
use crate::zone::Zone;

/// The first time of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeastTime {
    /// A wall clock, whatever the zone.
    Wall(Micros),
    /// An instant.
    Instant(Micros),
}

/// The way from times with and without a zone to one column; `{}` in the SQL is the column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mixed {
    /// The expression by which those without a zone become instants.
    AsInstants(String),
    /// The expression by which those with a zone become wall clocks.
    AsWallClocks(String),
    /// The database would not do it exactly; the expression does it in a query, as its author may know.
    No(String),
}

/// The differences between SQL dialects that planning needs.
pub trait SqlSyntax: Send + Sync {
    /// The grammar by which users' SQL is read.
    fn grammar(&self) -> Grammar;

    /// An identifier in quotes, embedded quotes doubled.
    fn quote(&self, identifier: &str) -> String;

    /// The placeholder of the n-th bind (from 1), cast so that it compares in the column's own type.
    /// `database_type` is the column's type as [`ColumnDefinition::database_type`] has it.
    fn placeholder(&self, n: usize, kind: CursorKind, database_type: &str) -> String;

    /// The text form of an expression of this type, for a hidden cursor column of kind `Text` and for columns
    /// delivered as text.
    fn as_text(&self, expression: &str, database_type: &str) -> String;

    /// The expression that the SELECT list has instead of a column (`expression`, quoted and qualified), if the plain
    /// column will not do; the result is to be named as the column. If every column answers none and the definition
    /// skips none, `select t.*` is right.
    fn project(&self, expression: &str, column: &ColumnDefinition) -> Option<String> {
        match column.projection {
            Projection::Column | Projection::CommitTime => None,
            Projection::Text | Projection::Bytes | Projection::Double | Projection::Numeric => {
                Some(self.as_text(expression, &column.database_type))
            }
        }
    }

    /// The expression (`expression`, quoted and qualified) under a collation that compares by bytes, for an
    /// incrementing column that has another [`ColumnDefinition::collation`]: case-insensitive or linguistic
    /// orders may hold two texts for equal, and change with the database's libraries. None where the dialect
    /// has no such collation; the column cannot be an incrementing one then.
    fn in_byte_order(&self, expression: &str, column: &ColumnDefinition) -> Option<String> {
        let _ = (expression, column);
        None
    }

    /// The order of a cursor column's values that were read as this kind; `in_byte_order` if they are compared as
    /// [`SqlSyntax::in_byte_order`] says. An uncertain order is unknown: a relation whose rows seem to come out of
    /// order is stopped.
    fn order_of(&self, kind: CursorKind, column: &ColumnDefinition, in_byte_order: bool) -> ColumnOrder {
        let _ = in_byte_order;
        match kind {
            CursorKind::Text => ColumnOrder::Unknown,
            CursorKind::TextTimestamp(_) if column.collation.is_some() => ColumnOrder::Unknown,
            _ => ColumnOrder::Values,
        }
    }

    /// The hint after the table's alias that makes the database walk an index, for a dialect whose optimizer else sorts
    /// the whole table for each large page; none where it chooses well by itself.
    fn use_index(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// The index of the primary key by its name, where that is the same for all tables: by it rows are stored.
    fn primary_index(&self) -> Option<&'static str> {
        None
    }

    /// The expression for the id of the transaction that wrote a row of the relation named `alias`, its low 32 bits as a
    /// number; none where rows do not tell.
    fn row_id(&self, alias: &str) -> Option<String> {
        let _ = alias;
        None
    }

    /// The condition that a number lies in one of some ranges, which ascend, ends included, with the text that is bound as
    /// its n-th parameter; none where the dialect has no such condition, or rows that tell no transaction to ask for.
    fn in_ranges(&self, expression: &str, n: usize, ranges: &[(u32, u32)]) -> Option<(String, CursorValue<'static>)> {
        let _ = (expression, n, ranges);
        None
    }

    /// An aggregate over all rows, as text: how many there are, and a checksum of 64 bits of these columns (quoted and
    /// qualified) of each, whatever their order; none where the dialect has nothing of the kind.
    fn checksum(&self, columns: &[String]) -> Option<String> {
        let _ = columns;
        None
    }

    /// The first time that a column of this type holds, where the database also keeps dates that are none
    /// (`0000-00-00`), which sort before it.
    fn least_time(&self, database_type: &str) -> Option<LeastTime> {
        let _ = database_type;
        None
    }

    /// The condition that a value is of another class than a cursor of this kind, where a column keeps any (SQLite) and
    /// the database sorts those first: such a row is read, so that it is seen.
    fn is_of_other_class(&self, kind: CursorKind, expression: &str) -> Option<String> {
        let _ = (kind, expression);
        None
    }

    /// The condition that an expression is a date that exists, for a column that has others, too.
    fn is_date(&self, expression: &str) -> Option<String> {
        let _ = expression;
        None
    }

    /// The form in which times with and without a zone are one column; `zone` is `db.timezone`, `session` the zone whose wall clocks
    /// the server's own `now()` writes.
    fn mixed(&self, zone: &Zone, session: &Zone) -> Mixed {
        let _ = (zone, session);
        Mixed::No("{}".to_owned())
    }

    /// True if `(a, b) > (x, y)` is understood and served by an index.
    fn has_row_values(&self) -> bool;
}

/// `"name"`, as PostgreSQL and SQLite quote.
pub(crate) fn double_quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A text without backslashes in single quotes.
pub(crate) fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
