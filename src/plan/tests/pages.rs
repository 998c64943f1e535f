//! Golden SQL per mode.

use super::*;

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
