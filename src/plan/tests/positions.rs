//! Positions against stored offsets.

use super::*;

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
