//! Golden SQL per mode, and positions against stored offsets.

use super::*;
use crate::dialect::{Dialect, postgres::Postgres, sqlite::Sqlite};
use crate::model::{Field, FieldType, Instant, Projection, SourceOffset, TableId};
use crate::zone::Zone;

const MICROS: CursorKind = CursorKind::Timestamp { zoned: false, digits: 6 };

fn column(name: &str, database_type: &str, cursor: Option<CursorKind>) -> ColumnDefinition {
    ColumnDefinition {
        field: Field { name: name.into(), field_type: FieldType::Int64, optional: false },
        database_type: database_type.into(),
        not_null: true,
        auto_increment: false,
        cursor,
        projection: Projection::Column,
    }
}

fn orders() -> TableDefinition {
    TableDefinition {
        relation: Relation::Table(TableId { catalog: None, schema: Some("shop".into()), name: "Or\"ders".into() }),
        columns: vec![
            column("id", "uuid", Some(CursorKind::Text)),
            column("seq", "int8", Some(CursorKind::Integer)),
            column("created", "timestamp", Some(MICROS)),
            column("changed", "timestamp(3)", Some(CursorKind::Timestamp { zoned: false, digits: 3 })),
            column("place", "point", None),
        ],
        skipped: Vec::new(),
        primary_key: vec!["id".into()],
    }
}

fn planner(mode: &Mode) -> Planner {
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: false, suffix: None };
    Planner::new(&orders(), mode, style).unwrap()
}

fn both() -> Mode {
    Mode::TimestampIncrementing { columns: vec!["changed".into()], column: "seq".into() }
}

const UPPER: CursorValue<'static> = CursorValue::Timestamp(99);

#[test]
fn the_first_page_has_no_lower_bound_and_the_next_ones_are_sargable() {
    let planner = planner(&both());
    let first = planner.page(None, Some(&UPPER), 10);
    assert_eq!(
        first.sql,
        r#"select t.* from "shop"."Or""ders" as t where t."changed" < $1 order by t."changed", t."seq" limit 10"#
    );
    let next =
        planner.page(Some(&Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)])), Some(&UPPER), 10);
    assert_eq!(
        next.sql,
        r#"select t.* from "shop"."Or""ders" as t where (t."changed", t."seq") > ($1, $2) and t."changed" < $3 order by t."changed", t."seq" limit 10"#
    );
    assert_eq!(next.binds.len(), 3);
    assert_eq!(next.cursor.iter().map(|column| column.index).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(planner.index_ddl().unwrap(), r#"create index on "shop"."Or""ders" ("changed", "seq")"#);
}

#[test]
fn a_coalesced_timestamp_and_a_text_key_ride_in_hidden_columns() {
    let planner = planner(&Mode::Timestamp { columns: vec!["changed".into(), "created".into()] });
    let after = Position(vec![CursorValue::Timestamp(5), CursorValue::Text("k".into())]);
    let page = planner.page(Some(&after), Some(&UPPER), 2);
    assert_eq!(
        page.sql,
        concat!(
            r#"select t.*, coalesce(t."changed", t."created"), t."id"::text from "shop"."Or""ders" as t "#,
            r#"where (coalesce(t."changed", t."created"), t."id") > ($1, $2::text::uuid) and coalesce(t."changed", t."created") < $3 "#,
            r#"order by coalesce(t."changed", t."created"), t."id" limit 2"#
        )
    );
    assert_eq!((page.hidden, page.cursor[0].index, page.cursor[1].index), (2, 5, 6));
    assert_eq!(planner.time_kind(), Some(MICROS), "the finer of the two counts");
    assert!(planner.cuts_anywhere());
}

#[test]
fn a_query_is_wrapped_so_that_a_trailing_comment_ends_with_its_line() {
    let mut definition = orders();
    definition.relation = Relation::Query("select * from x -- all".into());
    definition.primary_key.clear();
    let style = SqlStyle { syntax: Sqlite.syntax(), quote: false, unqualified: false, suffix: Some("limit 5") };
    let planner = Planner::new(&definition, &Mode::Incrementing { column: "seq".into() }, style).unwrap();
    assert_eq!(
        planner.page(Some(&Position(vec![CursorValue::Integer(1)])), None, 10).sql,
        "select t.* from (\nselect * from x -- all\n) as t where t.seq > ?1 order by t.seq limit 5"
    );
    assert_eq!(
        planner.page(None, None, 10).sql,
        "select t.* from (\nselect * from x -- all\n) as t where t.seq is not null order by t.seq limit 5"
    );
    assert!(planner.index_ddl().is_none());
}

#[test]
fn bulk_reads_by_primary_key_and_with_a_suffix_in_one_piece() {
    let page = planner(&Mode::Bulk).page(None, None, 10);
    assert_eq!(page.sql, r#"select t.*, t."id"::text from "shop"."Or""ders" as t order by t."id" limit 10"#);
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: true, suffix: Some("where seq > 5") };
    let whole = Planner::new(&orders(), &Mode::Bulk, style).unwrap().page(None, None, 10);
    assert_eq!(whole.sql, r#"select t.* from "Or""ders" as t where seq > 5"#);
    assert_eq!(whole.limit, None);
}

#[test]
fn unusable_cursor_columns_are_refused_with_their_type() {
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: false, suffix: None };
    let refuse = |mode: Mode| Planner::new(&orders(), &mode, style).unwrap_err().report();
    assert!(
        refuse(Mode::Incrementing { column: "id".into() })
            .contains("column `id` of type uuid cannot serve as incrementing column")
    );
    assert!(refuse(Mode::Timestamp { columns: vec!["seq".into()] }).contains("cannot serve as timestamp column"));
    assert!(refuse(Mode::Timestamp { columns: vec!["place".into()] }).contains("point"));
    let mut keyless = orders();
    keyless.primary_key.clear();
    let limited = SqlStyle { suffix: Some("LIMIT 5"), ..style };
    let error = Planner::new(&keyless, &Mode::Timestamp { columns: vec!["created".into()] }, limited).unwrap_err();
    assert!(error.report().contains("query.suffix with LIMIT"), "{}", error.report());
}

/// A dialect whose optimizer does not see through row values.
struct Expanding;

impl SqlSyntax for Expanding {
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

#[test]
fn without_row_values_the_tuple_is_spelled_out_around_a_range() {
    let style = SqlStyle { syntax: &Expanding, quote: true, unqualified: true, suffix: None };
    let planner = Planner::new(&orders(), &both(), style).unwrap();
    let page = planner.page(Some(&Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)])), None, 3);
    assert!(
        page.sql
            .contains("where t.`changed` >= ? and ((t.`changed` > ?) or (t.`changed` = ? and t.`seq` > ?)) order by"),
        "{}",
        page.sql
    );
    assert_eq!(page.binds.len(), 4);
}

fn instant(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

#[test]
fn offsets_are_connects_own_where_those_say_everything() {
    let planner = planner(&both());
    let position = Position(vec![CursorValue::Timestamp(1_709_208_000_123_456), CursorValue::Integer(7)]);
    let offset = planner.offset_of(&position, None, None, &Zone::UTC).unwrap();
    let expected = SourceOffset {
        incrementing: Some(7),
        timestamp: Some(instant(1_709_208_000_123_456)),
        has_nanos: true,
        ..SourceOffset::default()
    };
    assert_eq!(offset, expected);
    assert_eq!(planner.position_of(&offset, &Zone::UTC).unwrap(), Some(position));
}

#[test]
fn an_ambiguous_wall_clock_keeps_its_exact_position() {
    let (planner, zone) = (planner(&both()), "America/New_York".parse::<Zone>().unwrap());
    // 02:30 on the night the clocks go forward does not exist; as an instant it would come back as 03:30.
    let gap = 1_710_037_800_000_000;
    let position = Position(vec![CursorValue::Timestamp(gap), CursorValue::Integer(7)]);
    let offset = planner.offset_of(&position, None, None, &zone).unwrap();
    assert!(offset.exact.is_some());
    assert_eq!(planner.position_of(&offset, &zone).unwrap(), Some(position));
}

#[test]
fn inside_a_tie_connects_timestamp_stays_behind_and_the_exact_position_goes_on() {
    let planner = planner(&Mode::Timestamp { columns: vec!["created".into()] });
    let position = Position(vec![CursorValue::Timestamp(11_000_000), CursorValue::Text("b".into())]);
    let before = SourceOffset { timestamp: Some(instant(9_000_000)), has_nanos: true, ..SourceOffset::default() };
    let inside =
        planner.offset_of(&position, Some(&CursorValue::Timestamp(10_000_000)), Some(&before), &Zone::UTC).unwrap();
    assert_eq!(inside.timestamp, Some(instant(10_000_000)));
    assert_eq!(planner.position_of(&inside, &Zone::UTC).unwrap(), Some(position.clone()));
    let unknown = planner.offset_of(&position, None, Some(&before), &Zone::UTC).unwrap();
    assert_eq!(unknown.timestamp, Some(instant(9_000_000)));
    // Somebody moved Connect's own field ahead: it wins.
    let edited = SourceOffset { timestamp: Some(instant(12_000_000)), ..inside };
    assert_eq!(
        planner.position_of(&edited, &Zone::UTC).unwrap(),
        Some(Position(vec![CursorValue::Timestamp(12_000_000)]))
    );
}

#[test]
fn a_mode_change_reuses_what_connect_would() {
    let stored = SourceOffset { incrementing: Some(42), ..SourceOffset::default() };
    assert_eq!(planner(&both()).position_of(&stored, &Zone::UTC).unwrap(), None, "no timestamp: from the beginning");
    let incrementing = planner(&Mode::Incrementing { column: "seq".into() });
    assert_eq!(incrementing.position_of(&stored, &Zone::UTC).unwrap(), Some(Position(vec![CursorValue::Integer(42)])));
    let empty = SourceOffset::default();
    assert_eq!(incrementing.position_of(&empty, &Zone::UTC).unwrap(), None);
}

#[test]
fn cursor_values_out_of_range_stop_with_the_setting_that_allows_them() {
    let limits = cursor::TimeLimits { before_epoch_fails: true, future_fails: true };
    let now = instant(1_700_000_000_000_000);
    let day = 86_400_000_000;
    let far = instant(1_700_000_000_000_000 + 2 * day);
    assert!(limits.check(Some(instant(-1)), None, now).unwrap_err().advice().contains("cursor.before.epoch"));
    assert!(limits.check(None, Some(far), now).unwrap_err().advice().contains("cursor.future"));
    assert!(limits.check(Some(instant(0)), Some(instant(1_700_000_000_000_000 + day)), now).is_ok());
    let relaxed = cursor::TimeLimits { before_epoch_fails: false, future_fails: false };
    assert!(relaxed.check(Some(instant(-1)), Some(far), now).is_ok());
}

#[test]
fn a_position_is_held_against_the_greatest_value_in_its_own_order() {
    let incrementing = planner(&Mode::Incrementing { column: "seq".into() });
    let probe = incrementing.extreme_probe(false).unwrap();
    assert_eq!(
        probe.sql,
        r#"select t."seq" from "shop"."Or""ders" as t where t."seq" is not null order by t."seq" desc limit 1"#
    );
    let at = |value| Position(vec![value]);
    assert!(incrementing.is_beyond(&at(CursorValue::Integer(10)), &CursorValue::Integer(9)));
    assert!(!incrementing.is_beyond(&at(CursorValue::Integer(9)), &CursorValue::Integer(9)));
    assert!(!incrementing.is_beyond(&at(CursorValue::Integer(9)), &CursorValue::Unsigned(u64::MAX)));
    let mut definition = orders();
    definition.columns[1] = column("seq", "numeric(20,0)", Some(CursorKind::Text));
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: false, suffix: None };
    let numeric = Planner::new(&definition, incrementing.mode(), style).unwrap();
    let text = |text: &'static str| CursorValue::Text(text.into());
    assert!(numeric.is_beyond(&at(text("10")), &text("9")) && !numeric.is_beyond(&at(text("9")), &text("10")));
    let timed = planner(&both());
    let position = Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)]);
    assert!(timed.is_beyond(&position, &CursorValue::Timestamp(4)));
    assert!(!timed.is_beyond(&position, &CursorValue::Timestamp(5)));
    assert!(planner(&Mode::Bulk).extreme_probe(false).is_none());
}

#[test]
fn only_a_column_the_database_counts_has_ids_that_were_handed_out() {
    let position = Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)]);
    let mut definition = orders();
    assert_eq!(planner(&both()).handed_out(&definition, &position), None);
    definition.columns[1].auto_increment = true;
    assert_eq!(planner(&both()).handed_out(&definition, &position), Some(("seq", 7)));
    assert_eq!(planner(&both()).handed_out(&definition, &Position(vec![CursorValue::Timestamp(5)])), None);
}
