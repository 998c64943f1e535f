//! PostgreSQL's SQL, as far as plans need it. Pure.

use super::super::syntax::{Mixed, SqlSyntax, double_quoted, single_quoted};
use crate::model::{ColumnDefinition, ColumnOrder, CursorKind, CursorValue, Projection};
use crate::sql::Grammar;
use crate::zone::Zone;

pub(super) struct Syntax;

impl SqlSyntax for Syntax {
    fn grammar(&self) -> Grammar {
        Grammar::Postgres
    }

    fn mixed(&self, zone: &Zone, _: &Zone) -> Mixed {
        // A wall clock that comes twice is the later instant, as Java reads it.
        Mixed::AsInstants(match zone {
            Zone::Named(zone) => format!("{{}} at time zone {}", single_quoted(zone.name())),
            Zone::Fixed(offset) => format!("{{}} at time zone interval '{offset}'"),
        })
    }

    fn quote(&self, identifier: &str) -> String {
        double_quoted(identifier)
    }

    fn placeholder(&self, n: usize, kind: CursorKind, database_type: &str) -> String {
        match kind {
            CursorKind::Text => format!("${n}::text::{database_type}"),
            CursorKind::Integer if database_type == "oid" => format!("${n}::int8::oid"),
            _ => format!("${n}"),
        }
    }

    fn as_text(&self, expression: &str, _database_type: &str) -> String {
        format!("{expression}::text")
    }

    fn in_byte_order(&self, expression: &str, _column: &ColumnDefinition) -> Option<String> {
        Some(format!("{expression} collate \"C\""))
    }

    fn order_of(&self, kind: CursorKind, column: &ColumnDefinition, _in_byte_order: bool) -> ColumnOrder {
        let name = column.database_type.split('(').next().unwrap_or_default();
        match (kind, name) {
            (CursorKind::Text, "numeric") => ColumnOrder::Numbers,
            (CursorKind::Text, "uuid") => ColumnOrder::Values,
            // The database may have another encoding than the texts that are read.
            (CursorKind::Text | CursorKind::TextTimestamp(_), _) => ColumnOrder::Unknown,
            _ => ColumnOrder::Values,
        }
    }

    fn has_row_values(&self) -> bool {
        true
    }

    fn row_id(&self, alias: &str) -> Option<String> {
        Some(format!("{alias}.xmin::text::bigint"))
    }

    fn in_ranges(&self, expression: &str, n: usize, ranges: &[(u32, u32)]) -> Option<(String, CursorValue<'static>)> {
        let bounds = ranges.iter().flat_map(|(from, to)| [u64::from(*from), u64::from(*to) + 1]);
        let bounds: Vec<String> = bounds.map(|bound| bound.to_string()).collect();
        let bind = CursorValue::Text(format!("{{{}}}", bounds.join(",")).into());
        // A search by halves for each row; the text is made a list once, not for each row.
        Some((format!("width_bucket({expression}, (select ${n}::text::bigint[])) % 2 = 1"), bind))
    }

    fn project(&self, expression: &str, column: &ColumnDefinition) -> Option<String> {
        match column.projection {
            Projection::Column => None,
            Projection::Text | Projection::Bytes => Some(self.as_text(expression, &column.database_type)),
            Projection::Double => Some(format!("cast(cast({expression} as numeric) as double precision)")),
            Projection::Numeric => Some(format!("cast({expression} as numeric)")),
            Projection::CommitTime => {
                Some(format!("floor(extract(epoch from pg_xact_commit_timestamp({expression})) * 1000)::bigint"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_compare_in_the_type_of_the_column() {
        assert_eq!(Syntax.placeholder(1, CursorKind::Integer, "integer"), "$1");
        assert_eq!(Syntax.placeholder(2, CursorKind::Timestamp { zoned: true, digits: 6 }, "x"), "$2");
        assert_eq!(Syntax.placeholder(3, CursorKind::Text, "numeric(10,2)"), "$3::text::numeric(10,2)");
        assert_eq!(Syntax.quote("a\"b.c"), "\"a\"\"b.c\"");
    }
}
