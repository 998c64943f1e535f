//! Golden SQL per mode, and positions against stored offsets.

use super::*;
use crate::dialect::{Dialect, mysql::MySql, postgres::Postgres, sqlite::Sqlite};
use crate::model::{Field, FieldType, Instant, Projection, SourceOffset, TableId, UniqueKeys};
use crate::sql::Grammar;
use crate::zone::Zone;

const MICROS: CursorKind = CursorKind::Timestamp { zoned: false, digits: 6 };

pub(super) fn column(name: &str, database_type: &str, cursor: Option<CursorKind>) -> ColumnDefinition {
    ColumnDefinition {
        field: Field { name: name.into(), field_type: FieldType::Int64, optional: false },
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

#[test]
fn late_rows_are_those_of_the_window_whose_transaction_is_one_of_some() {
    let planner = planner(&both());
    let upto = Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)]);
    let late = planner.late(&CursorValue::Timestamp(2), &upto, Some(&[(10, 19), (30, 30)])).unwrap();
    assert_eq!(
        late.sql,
        r#"select t.*, t.xmin::text::bigint from "shop"."Or""ders" as t where t."changed" >= $1 and (t."changed", t."seq") <= ($2, $3) and width_bucket(t.xmin::text::bigint, (select $4::text::bigint[])) % 2 = 1 order by t."changed" asc, t."seq" asc"#
    );
    let texts: Vec<_> = late.binds[3..].iter().map(|bind| bind.value.clone()).collect();
    assert_eq!(texts, [CursorValue::Text("{10,20,30,31}".into())]);
    let cursor: Vec<_> = late.cursor.iter().map(|column| column.index).collect();
    assert_eq!((cursor, late.hidden, late.limit), (vec![3, 1, 9], 1, None), "the id of the transaction comes last");
    let page = planner.with_row_ids(planner.page(Some(&upto), Some(&UPPER), 10));
    assert!(page.sql.starts_with("select t.*, t.xmin::text::bigint from ") && page.sql.ends_with(" limit 10"));
    let style = SqlStyle { syntax: Sqlite.syntax(), quote: true, unqualified: false, suffix: None, zone: Zone::UTC };
    assert_eq!(Planner::new(&orders(), &both(), style).unwrap().late(&UPPER, &upto, None), None);
}

#[test]
fn the_first_page_has_no_lower_bound_and_the_next_ones_are_sargable() {
    let planner = planner(&both());
    let first = planner.page(None, Some(&UPPER), 10);
    assert_eq!(
        first.sql,
        r#"select t.* from "shop"."Or""ders" as t where t."changed" < $1 order by t."changed" asc, t."seq" asc limit 10"#
    );
    let next =
        planner.page(Some(&Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)])), Some(&UPPER), 10);
    assert_eq!(
        next.sql,
        r#"select t.* from "shop"."Or""ders" as t where (t."changed", t."seq") > ($1, $2) and t."changed" < $3 order by t."changed" asc, t."seq" asc limit 10"#
    );
    assert_eq!(next.binds.len(), 3);
    assert_eq!(next.cursor.iter().map(|column| column.index).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(
        planner.index_ddl().unwrap(),
        r#"create index "Or""ders_changed_seq_idx" on "shop"."Or""ders" ("changed", "seq")"#
    );
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
            r#"order by coalesce(t."changed", t."created") asc, t."id" asc limit 2"#
        )
    );
    assert_eq!((page.hidden, page.cursor[0].index, page.cursor[1].index), (2, 9, 10));
    assert_eq!(planner.time_kind(), Some(MICROS), "the finer of the two counts");
    assert_eq!(planner.unique_by(), Some(&["id".to_owned()][..]));
}

#[test]
fn a_query_is_wrapped_so_that_a_trailing_comment_ends_with_its_line() {
    let mut definition = orders();
    definition.relation = Relation::Query("select * from x -- all".into());
    definition.primary_key.clear();
    let style = SqlStyle {
        syntax: Sqlite.syntax(),
        quote: false,
        unqualified: false,
        suffix: Some("limit 5"),
        zone: Zone::UTC,
    };
    let planner = Planner::new(&definition, &Mode::Incrementing { column: "seq".into() }, style).unwrap();
    assert_eq!(
        planner.page(Some(&Position(vec![CursorValue::Integer(1)])), None, 10).sql,
        "select t.* from (\nselect * from x -- all\n) as t where t.seq > ?1 order by t.seq asc limit 5"
    );
    assert_eq!(
        planner.page(None, None, 10).sql,
        "select t.* from (\nselect * from x -- all\n) as t where t.seq is not null order by t.seq asc limit 5"
    );
    assert!(planner.index_ddl().is_none());
}

#[test]
fn a_query_that_is_loaded_whole_is_read_in_its_own_words() {
    let mut definition = orders();
    definition.relation = Relation::Query("select SQL_NO_CACHE * from x".into());
    definition.primary_key.clear();
    let suffixed = |syntax, suffix| SqlStyle { syntax, quote: true, unqualified: false, suffix, zone: Zone::UTC };
    let page = |mode: &Mode, style| Planner::new(&definition, mode, style).unwrap().page(None, None, 10).sql;
    let mysql = MySql.syntax();
    assert_eq!(page(&Mode::Bulk, suffixed(mysql, None)), "select SQL_NO_CACHE * from x");
    assert_eq!(page(&Mode::Bulk, suffixed(mysql, Some("where a > 1"))), "select SQL_NO_CACHE * from x\nwhere a > 1");
    assert_eq!(
        page(&Mode::Incrementing { column: "seq".into() }, suffixed(mysql, None)),
        "select t.* from (\nselect  * from x\n) as t where t.`seq` is not null order by t.`seq` asc limit 10"
    );
    assert_eq!(
        page(&Mode::Bulk, suffixed(Sqlite.syntax(), Some("where a > 1"))),
        "select t.* from (\nselect SQL_NO_CACHE * from x\nwhere a > 1\n) as t"
    );
}

#[test]
fn only_a_plain_cursor_column_goes_without_quotes() {
    let mut definition = orders();
    let named = |name: &str, column: &ColumnDefinition| {
        let field = Field { name: name.into(), ..column.field.clone() };
        ColumnDefinition { field, ..column.clone() }
    };
    let style = SqlStyle { syntax: Postgres.syntax(), quote: false, unqualified: false, suffix: None, zone: Zone::UTC };
    let mode = |column: &str| Mode::Incrementing { column: column.into() };
    let plain = Planner::new(&definition, &mode("seq"), style).unwrap().page(None, None, 10).sql;
    assert!(plain.contains(r#"from "shop"."Or""ders" as t where t.seq is not null order by t.seq asc"#), "{plain}");
    let index = definition.column_index("seq").unwrap();
    definition.columns[index] = named("lineNo", &definition.columns[index]);
    let mixed = Planner::new(&definition, &mode("lineNo"), style).unwrap().page(None, None, 10).sql;
    assert!(mixed.contains(r#"order by t."lineNo" asc"#), "{mixed}");
}

#[test]
fn bulk_reads_by_primary_key_and_with_a_suffix_in_one_piece() {
    let page = planner(&Mode::Bulk).page(None, None, 10);
    assert_eq!(page.sql, r#"select t.*, t."id"::text from "shop"."Or""ders" as t order by t."id" asc limit 10"#);
    let style = SqlStyle {
        syntax: Postgres.syntax(),
        quote: true,
        unqualified: true,
        suffix: Some("where seq > 5"),
        zone: Zone::UTC,
    };
    let whole = Planner::new(&orders(), &Mode::Bulk, style).unwrap().page(None, None, 10);
    assert_eq!(whole.sql, r#"select t.* from "Or""ders" as t where seq > 5"#);
    assert_eq!(whole.limit, None);
}

#[test]
fn unusable_cursor_columns_are_refused_with_their_type() {
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: false, suffix: None, zone: Zone::UTC };
    let refuse = |mode: Mode| Planner::new(&orders(), &mode, style).unwrap_err().report();
    assert!(
        refuse(Mode::Incrementing { column: "state".into() })
            .contains("column `state` of type order_state cannot serve as incrementing column: its order is not known")
    );
    assert!(refuse(Mode::Incrementing { column: "created".into() }).contains("it is a time"));
    assert!(refuse(Mode::Timestamp { columns: vec!["seq".into()] }).contains("cannot serve as timestamp column"));
    assert!(refuse(Mode::Timestamp { columns: vec!["place".into()] }).contains("point"));
}

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

#[test]
fn without_row_values_the_tuple_is_spelled_out_around_a_range() {
    let style = SqlStyle { syntax: &Expanding, quote: true, unqualified: true, suffix: None, zone: Zone::UTC };
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
        planner.offset_of(&position, Some(&[CursorValue::Timestamp(10_000_000)]), Some(&before), &Zone::UTC).unwrap();
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
    let timestamp = SourceOffset { timestamp: Some(instant(5)), has_nanos: true, ..SourceOffset::default() };
    let least = Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(-1)]);
    assert_eq!(planner(&both()).position_of(&timestamp, &Zone::UTC).unwrap(), Some(least), "no id: -1");
    let incrementing = planner(&Mode::Incrementing { column: "seq".into() });
    assert_eq!(incrementing.position_of(&stored, &Zone::UTC).unwrap(), Some(Position(vec![CursorValue::Integer(42)])));
    let empty = SourceOffset::default();
    assert_eq!(incrementing.position_of(&empty, &Zone::UTC).unwrap(), None);
}

#[test]
fn instants_are_stored_as_the_wall_clock_connect_would_have_seen() {
    // The session of Kafka Connect shows 10:00 in New York for 15:00 UTC, and takes it for 10:00 UTC.
    let mut definition = orders();
    let time = CursorKind::Timestamp { zoned: true, digits: 6 };
    definition.columns[3] = ColumnDefinition {
        seen_in: Some("America/New_York".parse().unwrap()),
        ..column("changed", "timestamp(6)", Some(time))
    };
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: false, suffix: None, zone: Zone::UTC };
    let planner = Planner::new(&definition, &both(), style).unwrap();
    let at = |micros| Position(vec![CursorValue::Timestamp(micros), CursorValue::Integer(7)]);
    let offset = |position: &Position| planner.offset_of(position, None, None, &Zone::UTC).unwrap();
    let winter = at(1_579_100_400_123_456);
    let stored = offset(&winter);
    assert_eq!(stored.timestamp, Some(Instant::from_micros(1_579_100_400_123_456 - 5 * 3_600_000_000)));
    assert_eq!(stored.exact, None);
    assert_eq!(planner.position_of(&stored, &Zone::UTC).unwrap(), Some(winter));
    // 2024-11-03 06:30 UTC is the second 01:30 of that night in New York, which Connect cannot tell from the first.
    let twice = at(1_730_615_400_000_000);
    let stored = offset(&twice);
    assert!(stored.exact.is_some());
    assert_eq!(planner.position_of(&stored, &Zone::UTC).unwrap(), Some(twice));
    let of_connect = SourceOffset { exact: None, ..stored };
    let first = at(1_730_611_800_000_000);
    assert_eq!(planner.position_of(&of_connect, &Zone::UTC).unwrap(), Some(first), "rows come again, none is lost");
}

#[test]
fn a_wall_clock_that_db_timezone_skips_is_stored_before_the_gap_and_read_as_the_first_it_may_be() {
    // The session is in UTC; New York has no 02:30 on 2024-03-10, and 03:30 EDT is 07:30 UTC.
    let mut definition = orders();
    let time = CursorKind::Timestamp { zoned: true, digits: 6 };
    definition.columns[3] =
        ColumnDefinition { seen_in: Some(Zone::UTC), ..column("changed", "timestamp(6)", Some(time)) };
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: false, suffix: None, zone: Zone::UTC };
    let planner = Planner::new(&definition, &both(), style).unwrap();
    let zone: Zone = "America/New_York".parse().unwrap();
    let at = |wall: &str| {
        let micros =
            chrono::NaiveDateTime::parse_from_str(wall, "%Y-%m-%d %H:%M").unwrap().and_utc().timestamp_micros();
        Position(vec![CursorValue::Timestamp(micros), CursorValue::Integer(7)])
    };
    let instant = |text: &str| {
        let Position(values) = at(text);
        let CursorValue::Timestamp(micros) = values[0] else { panic!("a time") };
        Some(Instant::from_micros(micros))
    };
    for (wall, stored_as, read_as) in [
        // Five hours ahead in winter, four in summer.
        ("2024-02-29 12:00", "2024-02-29 17:00", "2024-02-29 12:00"),
        ("2024-07-01 12:00", "2024-07-01 16:00", "2024-07-01 12:00"),
        ("2024-03-10 01:59", "2024-03-10 06:59", "2024-03-10 01:59"),
        // Connect would store 07:30 and go on after 03:30.
        ("2024-03-10 02:30", "2024-03-10 06:30", "2024-03-10 01:30"),
        ("2024-03-10 03:30", "2024-03-10 07:30", "2024-03-10 02:30"),
        ("2024-03-10 04:00", "2024-03-10 08:00", "2024-03-10 04:00"),
        // The second 01:30 of the night, as Java has it; both are one wall clock of the session.
        ("2024-11-03 01:30", "2024-11-03 06:30", "2024-11-03 01:30"),
    ] {
        let stored = planner.offset_of(&at(wall), None, None, &zone).unwrap();
        assert_eq!(stored.timestamp, instant(stored_as), "{wall}");
        assert_eq!(planner.position_of(&stored, &zone).unwrap(), Some(at(wall)), "{wall} of rowtide itself");
        let of_connect = SourceOffset { exact: None, ..stored };
        assert_eq!(planner.position_of(&of_connect, &zone).unwrap(), Some(at(read_as)), "{wall} of Connect");
    }
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

#[test]
fn an_id_of_text_is_compared_by_its_bytes_and_says_so_in_the_index() {
    let planner = collated(&incrementing("label"));
    let page = planner.page(Some(&Position(vec![CursorValue::Text("b".into())])), None, 5);
    assert_eq!(
        page.sql,
        concat!(
            r#"select t.*, t."label"::text from "Or""ders" as t "#,
            r#"where t."label" collate "C" > $1::text::character varying(20) order by t."label" collate "C" asc limit 5"#
        )
    );
    assert_eq!(
        planner.index_ddl().unwrap(),
        r#"create index "Or""ders_label_idx" on "Or""ders" ("label" collate "C")"#
    );
    assert_eq!(
        planner.id_probe(false, 2).unwrap().sql,
        concat!(
            r#"select t."label"::text from "Or""ders" as t where t."label" collate "C" is not null "#,
            r#"order by t."label" collate "C" desc limit 1 offset 2"#
        )
    );
    let both = Mode::TimestampIncrementing { columns: vec!["changed".into()], column: "label".into() };
    let after = Position(vec![CursorValue::Timestamp(5), CursorValue::Text("b".into())]);
    let page = collated(&both).page(Some(&after), None, 5);
    assert!(
        page.sql.contains(r#"(t."changed", t."label" collate "C") > ($1, $2::text::character varying(20)) order by"#)
    );
    assert!(collated(&both).id_probe(true, 0).is_none(), "inside one timestamp any order will do");
}

#[test]
fn only_an_id_is_pinned_and_only_where_its_own_order_is_another() {
    let mut definition = orders();
    definition.columns[5].collation = Some("en_US".into());
    definition.primary_key = vec!["label".into()];
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: true, suffix: None, zone: Zone::UTC };
    let tie = Planner::new(&definition, &Mode::Timestamp { columns: vec!["created".into()] }, style).unwrap();
    assert!(!tie.page(None, Some(&UPPER), 5).sql.contains("collate"));
    assert!(!planner(&incrementing("label")).page(None, None, 5).sql.contains("collate"));
    let expanding = SqlStyle { syntax: &Expanding, ..style };
    let error = Planner::new(&definition, &incrementing("label"), expanding).unwrap_err();
    assert!(error.report().contains("compares by the collation en_US"), "{}", error.report());
}

#[test]
fn an_id_of_text_is_stored_exactly_and_never_as_a_number() {
    let planner = planner(&incrementing("label"));
    let position = Position(vec![CursorValue::Text("0010".into())]);
    let offset = planner.offset_of(&position, None, None, &Zone::UTC).unwrap();
    assert_eq!((offset.incrementing, offset.exact.as_deref()), (None, Some(r#"[{"s":"0010"}]"#)));
    assert_eq!(planner.position_of(&offset, &Zone::UTC).unwrap(), Some(position));
    let number = SourceOffset { incrementing: Some(10), ..offset };
    let error = planner.position_of(&number, &Zone::UTC).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offsets);
    assert!(error.report().contains("column `label` is of type character varying(20)"), "{}", error.report());
    assert_eq!(planner.text_id(), Some(("label", "character varying(20)")));
    assert!(planner.initial_position(None, Some(7)).is_err());
    assert_eq!(planner.initial_position(None, None).unwrap(), None);
}

#[test]
fn a_start_at_a_time_reads_the_rows_of_that_time_also_with_ids_of_text() {
    let at = |column: &str| {
        let mode = Mode::TimestampIncrementing { columns: vec!["changed".into()], column: column.into() };
        planner(&mode).initial_position(Some(CursorValue::Timestamp(5)), None).unwrap().unwrap().0.remove(1)
    };
    assert_eq!(at("seq"), CursorValue::Integer(-1));
    assert_eq!(at("exactly"), CursorValue::Text("-1".into()));
    assert_eq!(at("label"), CursorValue::Text("".into()));
    assert_eq!(at("id"), CursorValue::Text("00000000-0000-0000-0000-000000000000".into()));
}

#[test]
fn ids_beyond_63_bits_keep_their_exact_position_in_every_mode() {
    let huge = "100000000000000000000000000000";
    for (column, small, big) in [
        ("big", CursorValue::Integer(7), CursorValue::Unsigned(u64::MAX)),
        ("exactly", CursorValue::Text("7".into()), CursorValue::Text(huge.into())),
    ] {
        let timed = Mode::TimestampIncrementing { columns: vec!["changed".into()], column: column.into() };
        for mode in [incrementing(column), timed] {
            let planner = planner(&mode);
            let position = |id: &CursorValue<'static>| {
                let time = (planner.tuple_len() == 2).then_some(CursorValue::Timestamp(5_000_000));
                Position(time.into_iter().chain([id.clone()]).collect())
            };
            let offset = planner.offset_of(&position(&small), None, None, &Zone::UTC).unwrap();
            assert_eq!((offset.incrementing, &offset.exact), (Some(7), &None), "{column}: as Connect writes it");
            assert_eq!(planner.position_of(&offset, &Zone::UTC).unwrap(), Some(position(&small)));
            let offset = planner.offset_of(&position(&big), None, None, &Zone::UTC).unwrap();
            assert_eq!((offset.incrementing, offset.exact.is_some()), (None, true), "{column}");
            assert_eq!(planner.position_of(&offset, &Zone::UTC).unwrap(), Some(position(&big)));
            let page = planner.page(Some(&position(&big)), None, 5);
            assert_eq!(page.binds.last().unwrap().value, big);
            // Somebody set Connect's field: it wins.
            let edited = SourceOffset { incrementing: Some(9), ..offset };
            assert_ne!(planner.position_of(&edited, &Zone::UTC).unwrap(), Some(position(&big)));
        }
    }
}

#[test]
fn a_position_is_held_against_the_greatest_value_in_its_own_order() {
    let incrementing = planner(&Mode::Incrementing { column: "seq".into() });
    let probe = incrementing.extreme_probe().unwrap();
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
    let style = SqlStyle { syntax: Postgres.syntax(), quote: true, unqualified: false, suffix: None, zone: Zone::UTC };
    let numeric = Planner::new(&definition, incrementing.mode(), style).unwrap();
    let text = |text: &'static str| CursorValue::Text(text.into());
    assert!(numeric.is_beyond(&at(text("10")), &text("9")) && !numeric.is_beyond(&at(text("9")), &text("10")));
    let timed = planner(&both());
    let position = Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)]);
    assert!(timed.is_beyond(&position, &CursorValue::Timestamp(4)));
    assert!(!timed.is_beyond(&position, &CursorValue::Timestamp(5)));
    assert!(planner(&Mode::Bulk).extreme_probe().is_none());
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

#[test]
fn an_id_that_is_not_a_number_is_never_a_position_but_a_text_may_read_so() {
    let nan = Position(vec![CursorValue::Text("NaN".into())]);
    let stored = |column: &str| planner(&incrementing(column)).offset_of(&nan, None, None, &Zone::UTC);
    assert_eq!(stored("exactly").unwrap_err().kind(), ErrorKind::Cursor);
    assert!(stored("label").is_ok());
}

#[test]
fn a_dialect_that_wants_to_be_told_is_told_the_index_that_begins_with_the_whole_cursor() {
    let index = |name: &str, columns: &[&str]| Index {
        name: name.into(),
        columns: columns.iter().map(|column| (*column).into()).collect(),
    };
    let mut definition = orders();
    definition.indexes = vec![
        index("short", &["changed"]),
        index("turned", &["seq", "changed"]),
        index("by_time", &["changed", "seq", "id"]),
    ];
    let sql = |syntax, mode: &Mode| {
        let style = SqlStyle { syntax, quote: true, unqualified: false, suffix: None, zone: Zone::UTC };
        Planner::new(&definition, mode, style).unwrap().page(None, None, 10).sql
    };
    let told = |mode: &Mode| sql(MySql.syntax(), mode).contains("` as t force index (`by_time`) ");
    assert!(told(&both()));
    assert!(!sql(Postgres.syntax(), &both()).contains("force"));
    assert!(!told(&Mode::Incrementing { column: "id".into() }), "no index begins with it");
    assert!(sql(MySql.syntax(), &Mode::Incrementing { column: "seq".into() }).contains("force index (`turned`)"));
    let coalesced = Mode::Timestamp { columns: vec!["changed".into(), "created".into()] };
    assert!(!sql(MySql.syntax(), &coalesced).contains("force"), "an expression is in no index");
}

/// The plan of `incrementing` over `seq` if the catalog has these keys.
fn with_keys(keys: &[&[&str]], mode: &Mode) -> Planner {
    let definition = TableDefinition { unique: unique(keys), ..orders() };
    let style = SqlStyle { syntax: Postgres.syntax(), quote: false, unqualified: true, suffix: None, zone: Zone::UTC };
    Planner::new(&definition, mode, style).unwrap()
}

#[test]
fn an_id_that_is_not_unique_goes_on_by_the_primary_key_if_the_database_keeps_it_unique() {
    let order = |keys: &[&[&str]], mode: &Mode| {
        let sql = with_keys(keys, mode).page(None, None, 5).sql;
        sql.split(" order by ").nth(1).unwrap().trim_end_matches(" limit 5").replace(" asc", "")
    };
    let (by_id, by_time) = (incrementing("seq"), Mode::Timestamp { columns: vec!["changed".into()] });
    for (mode, keys, expected) in [
        (&by_id, &[&["seq"][..], &["id"]][..], "t.seq"),
        (&by_id, &[&["id"]], "t.seq, t.id"),
        (&by_id, &[&["seq", "big"], &["id"]], "t.seq, t.id"),
        (&by_id, &[&["seq", "big"]], "t.seq"),
        (&by_id, &[], "t.seq"),
        (&both(), &[&["changed", "seq"], &["id"]], "t.changed, t.seq"),
        (&both(), &[&["seq"]], "t.changed, t.seq"),
        (&both(), &[&["id"]], "t.changed, t.seq, t.id"),
        (&both(), &[], "t.changed, t.seq"),
        (&by_time, &[&["changed"], &["id"]], "t.changed, t.id"),
        (&by_time, &[&["changed"]], "t.changed"),
        (&by_time, &[], "t.changed"),
    ] {
        assert_eq!(order(keys, mode), expected, "{mode:?} {keys:?}");
    }
    let bulk = |keys: &[&[&str]]| with_keys(keys, &Mode::Bulk).tuple_len();
    assert_eq!((bulk(&[&["id"]]), bulk(&[])), (1, 0), "a key that rows may share orders no load");
    let coalesced = Mode::Timestamp { columns: vec!["changed".into(), "created".into()] };
    assert_eq!(with_keys(&[&["changed"], &["created"]], &coalesced).unique_by(), None);
}

#[test]
fn all_rows_of_one_cursor_are_read_whatever_a_suffix_limits() {
    let tie = [CursorValue::Timestamp(5), CursorValue::Integer(7)];
    let sql = |suffix| {
        let definition = TableDefinition { unique: unique(&[]), ..orders() };
        let style = SqlStyle { syntax: Postgres.syntax(), quote: false, unqualified: true, suffix, zone: Zone::UTC };
        let planner = Planner::new(&definition, &both(), style).unwrap();
        (planner.tie(&tie).sql, planner.suffix_cuts_ties())
    };
    let whole = r#"select t.* from "Or""ders" as t where t.changed = $1 and t.seq = $2"#;
    assert_eq!(sql(None), (whole.to_owned(), false));
    assert_eq!(sql(Some("LIMIT 5")), (whole.to_owned(), true));
    assert_eq!(sql(Some("for share")), (format!("{whole} for share"), false));
}

#[test]
fn inside_rows_that_share_what_connect_stores_its_fields_stay_behind() {
    let position = |values: &[i64]| Position(values.iter().map(|value| CursorValue::Integer(*value)).collect());
    let mut definition = TableDefinition { unique: unique(&[&["big"]]), ..orders() };
    definition.primary_key = vec!["big".into()];
    let style = SqlStyle { syntax: Postgres.syntax(), quote: false, unqualified: true, suffix: None, zone: Zone::UTC };
    let planner = Planner::new(&definition, &incrementing("seq"), style).unwrap();
    let before = SourceOffset { incrementing: Some(3), ..SourceOffset::default() };
    let inside = planner.offset_of(&position(&[5, 9]), None, Some(&before), &Zone::UTC).unwrap();
    assert_eq!(inside.incrementing, Some(3), "of 5 there may be more");
    assert_eq!(planner.position_of(&inside, &Zone::UTC).unwrap(), Some(position(&[5, 9])));
    let settled = planner.offset_of(&position(&[5, 9]), Some(&[CursorValue::Integer(5)]), None, &Zone::UTC).unwrap();
    assert_eq!(settled.incrementing, Some(5));
    assert_eq!(planner.position_of(&settled, &Zone::UTC).unwrap(), Some(position(&[5, 9])));
    let edited = SourceOffset { incrementing: Some(6), ..settled.clone() };
    assert_eq!(planner.position_of(&edited, &Zone::UTC).unwrap(), Some(position(&[6])), "what Connect read is read");
    // What Kafka Connect, or an older rowtide, stored: all rows of its id have been read.
    let plain = SourceOffset { incrementing: Some(5), ..SourceOffset::default() };
    let next = planner.position_of(&plain, &Zone::UTC).unwrap();
    assert_eq!(next, Some(position(&[5])));
    assert!(planner.page(next.as_ref(), None, 2).sql.contains("where t.seq > $1 order by t.seq asc, t.big asc"));
    assert_eq!(planner.offset_of(&position(&[5]), None, None, &Zone::UTC).unwrap().exact, None);
    // Once the ids are unique, all rows like the one it was taken at have been read.
    let unique_now = TableDefinition { unique: unique(&[&["seq"]]), ..definition.clone() };
    let unique_now = Planner::new(&unique_now, &incrementing("seq"), style).unwrap();
    assert_eq!(unique_now.position_of(&inside, &Zone::UTC).unwrap(), None.or(Some(position(&[3]))));
    assert_eq!(unique_now.position_of(&settled, &Zone::UTC).unwrap(), Some(position(&[5])));
    let timed = Planner::new(&definition, &both(), style).unwrap();
    let at = Position(vec![CursorValue::Timestamp(8_000_000), CursorValue::Integer(5), CursorValue::Integer(9)]);
    let settled = [CursorValue::Timestamp(8_000_000), CursorValue::Integer(4)];
    let stored = timed.offset_of(&at, Some(&settled), None, &Zone::UTC).unwrap();
    assert_eq!((stored.timestamp, stored.incrementing), (Some(instant(8_000_000)), Some(4)));
    assert_eq!(timed.position_of(&stored, &Zone::UTC).unwrap(), Some(at));
}

#[test]
fn an_id_that_may_be_null_is_not_passed_over_page_after_page() {
    let mut definition = orders();
    definition.columns[1].not_null = false;
    definition.columns[1].may_be_null = true;
    let style = SqlStyle { syntax: Postgres.syntax(), quote: false, unqualified: true, suffix: None, zone: Zone::UTC };
    let planner = Planner::new(&definition, &both(), style).unwrap();
    let after = Position(vec![CursorValue::Timestamp(5), CursorValue::Integer(7)]);
    assert!(planner.page(Some(&after), Some(&UPPER), 2).sql.contains(" and t.seq is not null order by"));
    assert!(!with_keys(&[&["seq"]], &both()).page(Some(&after), Some(&UPPER), 2).sql.contains("null"));
}

#[test]
fn a_remembered_row_is_asked_for_by_its_key_and_without_its_time_where_that_is_one() {
    let at = [CursorValue::Timestamp(5), CursorValue::Integer(7)];
    let by_id = planner(&both()).landmark(&at);
    assert_eq!(by_id.sql, r#"select t.* from "shop"."Or""ders" as t where t."seq" = $1 limit 16"#);
    let mut shared = orders();
    (shared.unique, shared.primary_key) = (UniqueKeys::default(), Vec::new());
    let style = SqlStyle {
        syntax: Postgres.syntax(),
        quote: true,
        unqualified: false,
        suffix: Some("limit 1"),
        zone: Zone::UTC,
    };
    let planner = Planner::new(&shared, &both(), style).unwrap();
    let by_both = planner.landmark(&at);
    assert_eq!(
        by_both.sql,
        r#"select t.* from "shop"."Or""ders" as t where t."changed" = $1 and t."seq" = $2 limit 16"#
    );
    let upto = planner.upto_probe(&Position(at.to_vec()));
    assert_eq!(
        (upto.sql.as_str(), upto.binds.len(), upto.recurs),
        (r#"select 1 from "shop"."Or""ders" as t where (t."changed", t."seq") <= ($1, $2) limit 1"#, 2, false)
    );
    assert_eq!(planner.counted(&shared), None, "the time comes first");
    let mut counting = orders();
    counting.columns[1].auto_increment = true;
    let ids = Mode::Incrementing { column: "SEQ".into() };
    let planner = Planner::new(&counting, &ids, style).unwrap();
    assert_eq!(planner.counted(&counting), Some("seq"));
}
