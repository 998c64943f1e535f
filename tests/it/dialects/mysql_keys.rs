//! Keys, ids and clocks of MySQL, MariaDB and TiDB.

use std::time::Duration;

use rowtide::config::spec::{TimeHandling, UnsignedBigint};
use rowtide::dialect::FactWeight;
use rowtide::error::ErrorKind;
use rowtide::model::{CursorKind, CursorValue, Mode, Position, Relation, Value};
use rowtide::zone::Zone;

use super::mysql::{Family, MARIADB, TIDB};
use super::place::{Place, read, read_pages, refused};

/// A set whose last label is the highest of 53 bits, as many as a double has.
const SET_OF_53: &str = "set('a0','a1','a2','a3','a4','a5','a6','a7','a8','a9','b0','b1','b2','b3','b4','b5','b6','b7','b8',\
     'b9','c0','c1','c2','c3','c4','c5','c6','c7','c8','c9','d0','d1','d2','d3','d4','d5','d6','d7','d8','d9',\
     'e0','e1','e2','e3','e4','e5','e6','e7','e8','e9','f0','f1','f2')";

/// Types that a primary key may have, with values in no order.
const KEYS: &[(&str, &str)] = &[
    ("enum('z','a','m')", "'a' 'z' 'm'"),
    ("set('q','b','x')", "'b' 'q,b' 'x' 'q'"),
    ("binary(4)", "'b' 'a' x'00ff' x'ff00'"),
    ("varbinary(8)", "'b' x'61' x'6100' x'00' x'ffff'"),
    ("decimal(20,2)", "10.00 9.99 -3.10 123456789012345678.90"),
    ("decimal(18,0)", "10 9 -3 999999999999999999"),
    ("decimal(20,0)", "10 9 -3 99999999999999999999"),
    ("time(6)", "'10:00:00' '09:59:59.999999' '-01:00:00' '100:00:00'"),
    ("bit(9)", "b'101' b'100000000' b'1'"),
    ("bit(63)", "9223372036854775807 9223372036854775806 1"),
    ("bit(64)", "18446744073709551615 9223372036854775808 9223372036854775807 18446744073709551614 1"),
    (SET_OF_53, "9007199254740991 1 4503599627370496 9007199254740990"),
    ("decimal(65,0)", "10 9 -3 99999999999999999999999999999999999999999999999999999999999999999"),
    ("decimal(65,30)", "1.000000000000000000000000000001 1 -1.000000000000000000000000000001 99999999999999999999.5"),
    ("bigint", "9223372036854775807 -9223372036854775808 0"),
    ("bigint unsigned", "18446744073709551615 9223372036854775808 1"),
    ("tinyint", "-128 127 0"),
    ("mediumint unsigned", "16777215 1 0"),
    ("year", "2024 1999 2000"),
    ("date", "'2024-02-29' '1999-12-31' '2000-01-01'"),
    ("datetime(6)", "'2024-02-29 12:00:00.000002' '2024-02-29 12:00:00.000001' '1000-01-01 00:00:00'"),
    ("timestamp(6)", "'2024-02-29 12:00:00.000002' '2024-02-29 12:00:00.000001' '1971-01-01 00:00:00'"),
    ("double", "0.1 0.30000000000000004 0.3 -1e300 1e-300"),
    ("char(5)", "'b' 'A' 'c d' 'é'"),
    ("varchar(9) character set latin1", "'b' 'A' 'é' 'Z'"),
    ("varchar(9) character set utf8mb4 collate utf8mb4_bin", "'b' 'A' '表' '_' 'x' 'x\\ty'"),
    ("varchar(9) character set ascii", "'b' 'A' '_'"),
    ("varchar(9) character set utf8mb4 collate utf8mb4_unicode_ci", "'b' 'A' 'ß' 'é' 'x\\ty' 'x'"),
];

pub(super) async fn keys_of_every_type_are_paged(family: &'static Family) {
    let mut keys = KEYS.to_vec();
    if *family == MARIADB {
        keys.push(("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' '00000000-0000-1000-8000-000000000001'"));
        keys.push(("inet6", "'2001:db8::1' '::1' 'ff::'"));
        keys.push(("inet4", "'10.0.0.9' '9.255.0.1'"));
    }
    let mut place = Place::new(family, "");
    place.source.types.all.time = TimeHandling::Text;
    place.source.types.all.unsigned_bigint = UnsignedBigint::Decimal;
    let mut connection = place.connect().await;
    for (n, (of_type, values)) in keys.iter().enumerate() {
        let name = format!("t{n}");
        let values = split(values);
        let rows: Vec<String> =
            values.iter().flat_map(|value| (0..3).map(move |b| format!("({value}, {b}, {})", b % 2))).collect();
        place.sql(&format!(
            "create table {name} (a {of_type} not null, b int not null, c int, primary key (a, b));
             insert into {name} values {};",
            rows.join(", ")
        ));
        let definition = connection.describe(&place.table(&name), &[]).await.unwrap();
        let query = place.select(&definition, "order by t.a, t.b");
        let expected = read(&mut *connection, &definition, &query).await;
        let expected = expected.unwrap_or_else(|error| panic!("{of_type}: {error:?}"));
        assert_eq!(expected.rows.len(), rows.len(), "{of_type}");
        let planner = place.planner(&definition, &Mode::Bulk).unwrap();
        assert_eq!(planner.tuple_len(), 2, "{of_type}");
        let paged = read_pages(&mut *connection, &definition, &planner, None, 2).await;
        let paged = paged.unwrap_or_else(|error| panic!("{of_type}: {error:?}"));
        assert_eq!(paged.rows, expected.rows, "{of_type}");
        let after = Position(paged.cursor[1].clone());
        let report = connection.explain(&planner.page(Some(&after), None, 2)).await.unwrap();
        // Labels have an order, but no server of MySQL's has a range of them in an index.
        let has_range = !of_type.starts_with("enum") && !of_type.starts_with("set");
        assert!(report.index_serves || !has_range, "{of_type}: {:?}", report.lines);
    }
}

/// Literals apart, at the spaces outside of their quotes.
fn split(values: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for character in values.chars() {
        quoted ^= character == '\'';
        match character {
            ' ' if !quoted => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(character),
        }
    }
    parts
}

pub(super) async fn the_server_s_own_rules_for_a_cursor_are_told(family: &'static Family) {
    let place = Place::new(
        family,
        "create table t (id int auto_increment primary key, at datetime,
                         moved timestamp(6) not null default current_timestamp(6) on update current_timestamp(6));",
    );
    let mut connection = place.connect().await;
    let names = ["ID", "at", "moved"].map(str::to_owned);
    let facts = connection.cursor_facts(&place.table("t"), &names).await.unwrap();
    let about = |column: &str| facts.iter().filter(|fact| fact.column.eq_ignore_ascii_case(column)).collect::<Vec<_>>();
    assert!(
        matches!(about("at").as_slice(), [fact] if fact.weight == FactWeight::Note && fact.text.contains("whole seconds"))
    );
    assert!(
        matches!(about("moved").as_slice(), [fact] if fact.weight == FactWeight::Note && fact.text.contains("ON UPDATE"))
    );
    if *family == TIDB {
        assert!(
            matches!(about("id").as_slice(), [fact] if fact.weight == FactWeight::Warning && fact.text.contains("AUTO_ID_CACHE"))
        );
        place.sql(
            "create table c (id int auto_increment primary key) auto_id_cache 1;
             create table r (id bigint auto_random primary key);",
        );
        let names = ["id".to_owned()];
        assert_eq!(connection.cursor_facts(&place.table("c"), &names).await.unwrap(), []);
        let facts = connection.cursor_facts(&place.table("r"), &names).await.unwrap();
        assert!(matches!(facts.as_slice(), [fact] if fact.weight == FactWeight::Refusal), "{facts:?}");
    } else {
        assert_eq!(about("id"), Vec::<&rowtide::dialect::CursorFact>::new());
    }
    place.sql("create view v as select * from t");
    connection.cursor_facts(&place.table("v"), &["id".to_owned()]).await.unwrap();
    assert_eq!(connection.cursor_facts(&Relation::Query("select 1".to_owned()), &names).await.unwrap(), []);
}

pub(super) async fn the_last_id_is_known_after_its_row_is_gone(family: &'static Family) {
    let place = Place::new(
        family,
        "create table t (id int auto_increment primary key, n int); insert into t (n) values (1), (2), (3);
         delete from t where id = 3; create table e (id bigint auto_increment primary key);",
    );
    let mut connection = place.connect().await;
    let last = connection.last_id(&place.table("t"), "id").await.unwrap().unwrap();
    // TiDB has taken a block of ids.
    assert!(if *family == TIDB { last >= 3 } else { last == 3 }, "{last}");
    assert_eq!(connection.last_id(&place.table("t"), "n").await.unwrap(), None);
    place.sql("insert into t (n) values (4), (5)");
    assert!(connection.last_id(&place.table("t"), "id").await.unwrap().unwrap() >= 5);
    assert!(connection.last_id(&place.table("e"), "id").await.unwrap().is_none_or(|last| last == 0));
}

pub(super) async fn the_clock_of_a_column_is_that_of_its_zone(family: &'static Family) {
    let mut place = Place::new(family, "create table t (a datetime(6), b timestamp(6) null, c datetime, d date);");
    place.source.url.parameters.insert("sessionZone".to_owned(), "+05:30".to_owned());
    place.sql("set time_zone = '+05:30'; insert into t values (now(6), now(6), now(), curdate())");
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
    let query = place.select(&definition, "");
    let planner = place.planner(&definition, &Mode::Timestamp { columns: vec!["b".to_owned()] }).unwrap();
    let here = chrono::Utc::now().timestamp_micros();
    let half_day = 19_800_000_000;
    for (column, ahead) in [(0, half_day), (1, 0), (2, half_day)] {
        let kind = definition.columns[column].cursor.unwrap();
        let CursorValue::Timestamp(bound) = connection.upper_bound(kind, Duration::ZERO).await.unwrap() else {
            panic!("no time")
        };
        assert!((bound - ahead - here).abs() < 2_000_000, "{column}: {bound} {here}");
    }
    let Some(CursorKind::Timestamp { zoned: true, digits: 6 }) = definition.columns[1].cursor else {
        panic!("no instant")
    };
    // What was written before the bound lies below it, and a TIMESTAMP is an instant whatever the zone.
    let bound = connection.upper_bound(definition.columns[1].cursor.unwrap(), Duration::ZERO).await.unwrap();
    let rows = read_pages(&mut *connection, &definition, &planner, Some(&bound), 3).await.unwrap();
    let CursorValue::Timestamp(written) = rows.cursor[0][0] else { panic!("no time") };
    assert!((written - here).abs() < 10_000_000, "{written} {here}");
    let values = read(&mut *connection, &definition, &query).await.unwrap().rows;
    assert_eq!(values[0][1], Value::Integer(written.div_euclid(1_000)));
    let error = {
        let mut source = place.source.clone();
        source.url.parameters.insert("sessionZone".to_owned(), "Mars/Olympus".to_owned());
        refused(&source).await
    };
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

pub(super) async fn texts_of_a_query_are_read_in_the_zone_of_the_server(family: &'static Family) {
    let mut place = Place::new(family, "create table t (ts timestamp null); insert into t values (now());");
    place.source.url.parameters.insert("sessionZone".to_owned(), "-03:00".to_owned());
    let mut connection = place.connect().await;
    let query = Relation::Query("select cast(@@session.time_zone as char(9)) as zone, now(6) as at".to_owned());
    for _ in 0..2 {
        let definition = connection.describe(&query, &[]).await.unwrap();
        let rows = read(&mut *connection, &definition, &place.select(&definition, "")).await.unwrap();
        assert_eq!(rows.rows[0][0], super::place::text("-03:00"));
        let kind = definition.columns[1].cursor.unwrap();
        let bound = connection.upper_bound(kind, Duration::ZERO).await.unwrap();
        let bound = kind.to_instant(&bound, &Zone::UTC).unwrap();
        let here = chrono::Utc::now().timestamp();
        assert!((bound.seconds + 10_800 - here).abs() < 5, "{bound:?} {here}");
        // Between the two a table, which is read in UTC.
        let table = connection.describe(&place.table("t"), &[]).await.unwrap();
        read(&mut *connection, &table, &place.select(&table, "")).await.unwrap();
    }
}

pub(super) async fn nothing_is_written(family: &'static Family) {
    if *family == TIDB {
        // It has no functions that could write, and its read-only sessions stand behind a switch.
        return;
    }
    let place = Place::new(family, "create table t (a int);");
    place.sql("set global log_bin_trust_function_creators = 1");
    place.sql("create function w() returns int modifies sql data begin insert into t values (1); return 1; end");
    let query = Relation::Query(format!("select {}.w() as a", place.name));
    let error = place.read_all(&query).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    let (_, rows) = place.read_all(&place.table("t")).await.unwrap();
    assert_eq!(rows.rows.len(), 0);
}

pub(super) async fn ids_of_several_servers_are_a_warning(family: &'static Family) {
    let mut place = Place::new(family, "create table t (id int auto_increment primary key) /*T! auto_id_cache 1 */;");
    // A session has it from its server.
    let step = "auto_increment_increment=2".to_owned();
    place.source.url.parameters.insert("sessionVariables".to_owned(), step);
    let facts = place.connect().await.cursor_facts(&place.table("t"), &["id".to_owned()]).await.unwrap();
    assert!(matches!(facts.as_slice(), [fact] if fact.weight == FactWeight::Warning), "{facts:?}");
    assert!(facts[0].text.contains("auto_increment_increment is 2"));
}
