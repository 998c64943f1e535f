//! SQLite's SQL, as far as plans need it. Pure.

use super::super::syntax::{SqlSyntax, double_quoted};
use crate::model::{ColumnDefinition, CursorKind};
use crate::sql::Grammar;

pub(super) struct Syntax;

impl SqlSyntax for Syntax {
    fn is_of_other_class(&self, kind: CursorKind, expression: &str) -> Option<String> {
        // Numbers come before text. What an empty table will hold is a guess.
        matches!(kind, CursorKind::TextTimestamp(_)).then(|| format!("typeof({expression}) in ('integer', 'real')"))
    }

    fn grammar(&self) -> Grammar {
        Grammar::Sqlite
    }

    fn quote(&self, identifier: &str) -> String {
        double_quoted(identifier)
    }

    fn placeholder(&self, n: usize, _kind: CursorKind, _database_type: &str) -> String {
        format!("?{n}")
    }

    /// A real with all its digits, of which a plain cast keeps 15; a blob stays one, which no text can hold.
    fn as_text(&self, expression: &str, _database_type: &str) -> String {
        let (plain, exact) = (format!("cast({expression} as text)"), format!("printf('%!.17g', {expression})"));
        format!(
            "case typeof({expression}) when 'blob' then {expression} when 'real' then \
             case when cast({plain} as real) = {expression} then {plain} else {exact} end else {plain} end"
        )
    }

    fn in_byte_order(&self, expression: &str, _column: &ColumnDefinition) -> Option<String> {
        Some(format!("{expression} collate binary"))
    }

    /// Never: every value carries its class, and the database's text cuts numbers to 15 digits.
    fn project(&self, _expression: &str, _column: &ColumnDefinition) -> Option<String> {
        None
    }

    fn has_row_values(&self) -> bool {
        true
    }
}
