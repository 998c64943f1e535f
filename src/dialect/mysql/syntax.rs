//! The SQL syntax of the family. One for all three servers, so that a plan does not depend on which of them answers.

use super::super::calendar::{MICROS_PER_DAY, days_from_civil};
use super::super::syntax::{LeastTime, Mixed, SqlSyntax};
use super::types::ColumnType;
use super::wire::Kind;
use crate::model::{ColumnDefinition, ColumnOrder, CursorKind, Projection, TableId};
use crate::sql::Grammar;
use crate::zone::Zone;

pub(super) struct Syntax;

impl SqlSyntax for Syntax {
    fn grammar(&self) -> Grammar {
        Grammar::MySql
    }

    fn quote(&self, identifier: &str) -> String {
        back_quoted(identifier)
    }

    fn placeholder(&self, _n: usize, kind: CursorKind, database_type: &str) -> String {
        if kind != CursorKind::Text {
            return "?".to_owned();
        }
        let column = ColumnType::of_catalog(database_type);
        match column.kind {
            Kind::Decimal => format!("cast(? as decimal({},{}))", column.size, column.scale),
            Kind::Bytes => "unhex(?)".to_owned(),
            // Labels are ordered by their number, but compared with text as text. MySQL takes the parameter of
            // `cast(? as unsigned)` for a signed number, and cuts a text to what that holds.
            Kind::Bit | Kind::Enum | Kind::Set => "cast(cast(? as char) as unsigned)".to_owned(),
            Kind::Double => "(? + 0e0)".to_owned(),
            // Also TIME: MySQL 9 reads a parameter of `cast(? as time(6))` as midnight.
            _ => "?".to_owned(),
        }
    }

    fn as_text(&self, expression: &str, database_type: &str) -> String {
        match ColumnType::of_catalog(database_type).kind {
            Kind::Bytes => format!("hex({expression})"),
            // With `+ 0` a set becomes a double, whose text has an exponent.
            Kind::Bit | Kind::Enum | Kind::Set => format!("cast(cast({expression} as unsigned) as char)"),
            _ => format!("cast({expression} as char)"),
        }
    }

    fn project(&self, expression: &str, column: &ColumnDefinition) -> Option<String> {
        match column.projection {
            Projection::Column | Projection::CommitTime => None,
            Projection::Bytes => Some(format!("cast({expression} as binary)")),
            Projection::Text | Projection::Double | Projection::Numeric => {
                Some(self.as_text(expression, &column.database_type))
            }
        }
    }

    fn in_byte_order(&self, expression: &str, _column: &ColumnDefinition) -> Option<String> {
        // In one character set, so that it compares with a parameter, and without the padding of `_bin`.
        Some(format!("cast(convert({expression} using utf8mb4) as binary)"))
    }

    fn order_of(&self, kind: CursorKind, column: &ColumnDefinition, in_byte_order: bool) -> ColumnOrder {
        match (kind, ColumnType::of_catalog(&column.database_type).kind) {
            // In a session in another zone than UTC it is read as a wall clock, and compared as an instant.
            (CursorKind::Timestamp { zoned: false, .. }, Kind::Timestamp) => ColumnOrder::Hidden,
            (CursorKind::Text, Kind::Decimal | Kind::Bit | Kind::Enum | Kind::Set) => ColumnOrder::Numbers,
            (CursorKind::Text, Kind::Bytes) => ColumnOrder::Values,
            (CursorKind::Text, _) if in_byte_order => ColumnOrder::Values,
            (CursorKind::Text | CursorKind::TextTimestamp(_), _) => ColumnOrder::Unknown,
            _ => ColumnOrder::Values,
        }
    }

    fn use_index(&self, name: &str) -> Option<String> {
        // For a page of some ten thousand rows MySQL and TiDB rather scan and sort millions.
        Some(format!("force index ({})", back_quoted(name)))
    }

    fn primary_index(&self) -> Option<&'static str> {
        Some("PRIMARY")
    }

    fn checksum(&self, columns: &[String]) -> Option<String> {
        let told: Vec<String> = columns.iter().map(|column| format!("isnull({column}), {column}")).collect();
        let row = format!("conv(left(md5(concat_ws(0x01, {})), 16), 16, 10)", told.join(", "));
        Some(format!("cast(concat(count(*), ':', bit_xor(cast({row} as unsigned))) as char)"))
    }

    fn least_time(&self, database_type: &str) -> Option<LeastTime> {
        match ColumnType::of_catalog(database_type).kind {
            // MySQL takes an earlier bound for the zero date itself, and `>=` finds it.
            Kind::Timestamp => Some(LeastTime::Instant(1_000_000)),
            Kind::DateTime | Kind::Date => Some(LeastTime::Wall(days_from_civil(0, 1, 1) * MICROS_PER_DAY)),
            _ => None,
        }
    }

    fn is_date(&self, expression: &str) -> Option<String> {
        // NULL for those without month.
        Some(format!("dayofmonth({expression}) between 1 and dayofmonth(last_day({expression}))"))
    }

    fn mixed(&self, _: &Zone, session: &Zone) -> Mixed {
        // The session of a table shows instants in UTC.
        match session {
            session if session.is_utc() => Mixed::AsWallClocks("{}".to_owned()),
            Zone::Fixed(offset) => Mixed::AsWallClocks(format!("convert_tz({{}}, '+00:00', '{offset}')")),
            // It needs tables that the server may not have. A query runs in the session's own zone, as in Kafka Connect.
            Zone::Named(_) => Mixed::No("{}".to_owned()),
        }
    }

    fn has_row_values(&self) -> bool {
        false
    }
}

/// The table's name in SQL, written as the pages write it.
pub(super) fn sql_name(id: &TableId) -> String {
    id.parts().map(back_quoted).collect::<Vec<_>>().join(".")
}

/// `` `name` ``.
pub(super) fn back_quoted(identifier: &str) -> String {
    format!("`{}`", identifier.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_compare_in_the_type_of_the_column() {
        let hole = |database_type| Syntax.placeholder(1, CursorKind::Text, database_type);
        assert_eq!(Syntax.placeholder(3, CursorKind::Integer, "int"), "?");
        assert_eq!(hole("decimal(20,2)"), "cast(? as decimal(20,2))");
        assert_eq!(hole("binary(16)"), "unhex(?)");
        assert_eq!(hole("enum('b','a')"), "cast(cast(? as char) as unsigned)");
        assert_eq!(hole("varchar(10)"), "?");
        assert_eq!(Syntax.quote("a`b"), "`a``b`");
    }
}
