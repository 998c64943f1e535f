//! Plans: fixtures for the golden SQL per mode ([`pages`]), and for positions against stored offsets ([`positions`]).

mod pages;
mod positions;

use super::*;
use crate::dialect::{Dialect, mysql::MySql, postgres::Postgres, sqlite::Sqlite};
use crate::model::{Field, FieldType, Instant, Projection, SourceOffset, TableId, UniqueKeys};
use crate::sql::Grammar;
use crate::zone::Zone;

const MICROS: CursorKind = CursorKind::Timestamp { zoned: false, digits: 6 };

pub(super) fn column(name: &str, database_type: &str, cursor: Option<CursorKind>) -> ColumnDefinition {
    ColumnDefinition {
        field: Field { name: name.into(), field_type: FieldType::Int64, optional: false, doc: None },
        database_type: database_type.into(),
        not_null: true,
        is_visible: true,
        has_broken_dates: false,
        may_be_null: false,
        collation: None,
        seen_in: None,
        auto_increment: false,
        cursor,
        projection: Projection::Column,
    }
}

fn unique(keys: &[&[&str]]) -> UniqueKeys {
    let keys = keys.iter().map(|key| key.iter().map(|name| (*name).to_owned()).collect());
    UniqueKeys { keys: keys.collect(), none_because: None }
}

pub(super) fn orders() -> TableDefinition {
    TableDefinition {
        relation: Relation::Table(TableId { catalog: None, schema: Some("shop".into()), name: "Or\"ders".into() }),
        columns: vec![
            column("id", "uuid", Some(CursorKind::Text)),
            column("seq", "int8", Some(CursorKind::Integer)),
            column("created", "timestamp", Some(MICROS)),
            column("changed", "timestamp(3)", Some(CursorKind::Timestamp { zoned: false, digits: 3 })),
            column("place", "point", None),
            column("label", "character varying(20)", Some(CursorKind::Text)),
            column("exactly", "numeric(30,0)", Some(CursorKind::Text)),
            column("state", "order_state", Some(CursorKind::Text)),
            column("big", "bigint unsigned", Some(CursorKind::Unsigned)),
        ],
        skipped: Vec::new(),
        by_driver: Vec::new(),
        primary_key: vec!["id".into()],
        indexes: Vec::new(),
        unique: unique(&[&["id"], &["seq"], &["label"], &["exactly"], &["big"]]),
        comment: None,
    }
}

fn planner(mode: &Mode) -> Planner {
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: false, suffix: None, zone: Zone::UTC };
    Planner::new(&orders(), mode, style).unwrap()
}

fn both() -> Mode {
    Mode::TimestampIncrementing { columns: vec!["changed".into()], column: "seq".into() }
}

const UPPER: CursorValue<'static> = CursorValue::Timestamp(99);

/// A dialect whose optimizer does not see through row values.
struct Expanding;

impl SqlSyntax for Expanding {
    fn grammar(&self) -> Grammar {
        Grammar::MySql
    }
    fn quote(&self, identifier: &str) -> String {
        format!("`{identifier}`")
    }
    fn placeholder(&self, _n: usize, _kind: CursorKind, _database_type: &str) -> String {
        "?".into()
    }
    fn as_text(&self, expression: &str, _database_type: &str) -> String {
        format!("cast({expression} as char)")
    }
    fn has_row_values(&self) -> bool {
        false
    }
}

fn instant(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

fn incrementing(column: &str) -> Mode {
    Mode::Incrementing { column: column.into() }
}

/// The planner of `planner`, with a collation of its own for `label`.
fn collated(mode: &Mode) -> Planner {
    let mut definition = orders();
    definition.columns[5].collation = Some("en_US".into());
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: true, suffix: None, zone: Zone::UTC };
    Planner::new(&definition, mode, style).unwrap()
}

/// The plan of `incrementing` over `seq` if the catalog has these keys.
fn with_keys(keys: &[&[&str]], mode: &Mode) -> Planner {
    let definition = TableDefinition { unique: unique(keys), ..orders() };
    let style = SqlStyle { syntax: Postgres.syntax(), quote: false, unqualified: true, suffix: None, zone: Zone::UTC };
    Planner::new(&definition, mode, style).unwrap()
}
