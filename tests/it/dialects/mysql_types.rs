//! Types of MySQL, MariaDB and TiDB: what arrives, from a table and from a query.

use rowtide::config::spec::UnsignedBigint;
use rowtide::error::ErrorKind;
use rowtide::model::{FieldType, Mode, Relation, Value};

use super::mysql::{Family, MARIADB, MYSQL, TIDB};
use super::place::{Place, read, read_pages, text};

/// Type, literal, field and value.
type Case = (&'static str, &'static str, FieldType, Value<'static>);

fn bytes(bytes: &[u8]) -> Value<'static> {
    Value::Bytes(bytes.to_vec().into())
}

fn decimal(precision: i32, scale: i32) -> FieldType {
    FieldType::Decimal { precision: Some(precision), scale }
}

/// `family`: MariaDB's newest driver has booleans, and drivers see a digit more in an unsigned decimal of TiDB.
fn numbers(family: &Family) -> Vec<Case> {
    use FieldType as F;
    let of_mariadb = *family == MARIADB;
    let flag = |value: i64| {
        if of_mariadb { (F::Boolean, Value::Boolean(value != 0)) } else { (F::Int8, Value::Integer(value)) }
    };
    let (five, yes, bit) = (flag(5), flag(1), flag(1));
    let unsigned_digits = if *family == TIDB { 11 } else { 10 };
    let integer = Value::Integer;
    let unscaled = |bytes: &[u8]| Value::Decimal(bytes.to_vec().into());
    vec![
        ("tinyint(1)", "5", five.0, five.1),
        ("boolean", "true", yes.0, yes.1),
        ("tinyint", "-128", F::Int8, integer(-128)),
        ("tinyint unsigned", "255", F::Int16, integer(255)),
        ("smallint", "-32768", F::Int16, integer(-32_768)),
        ("smallint unsigned", "65535", F::Int32, integer(65_535)),
        ("mediumint", "-8388608", F::Int32, integer(-8_388_608)),
        ("mediumint unsigned", "16777215", F::Int64, integer(16_777_215)),
        ("int", "-2147483648", F::Int32, integer(i64::from(i32::MIN))),
        ("int unsigned", "4294967295", F::Int64, integer(4_294_967_295)),
        ("int(5) unsigned zerofill", "7", F::Int64, integer(7)),
        ("bigint", "-9223372036854775808", F::Int64, integer(i64::MIN)),
        ("bigint unsigned", "9223372036854775807", F::Int64, integer(i64::MAX)),
        ("float", "1.5", F::Float32, Value::Float32(1.5)),
        ("float unsigned", "2.5", F::Float32, Value::Float32(2.5)),
        ("double", "-1.7976931348623157e308", F::Float64, Value::Float64(f64::MIN)),
        ("decimal(10,2)", "-12345678.9", decimal(10, 2), unscaled(&(-1_234_567_890_i32).to_be_bytes())),
        ("decimal(10,2) unsigned", "0.07", decimal(unsigned_digits, 2), unscaled(&[7])),
        (
            "decimal(38,0)",
            "99999999999999999999999999999999999999",
            decimal(38, 0),
            unscaled(&99_999_999_999_999_999_999_999_999_999_999_999_999_i128.to_be_bytes()),
        ),
        ("decimal(30,30)", "0.000000000000000000000000000001", decimal(30, 30), unscaled(&[1])),
        ("bit(1)", "b'1'", bit.0, bit.1),
        ("bit(7)", "b'1111111'", F::Int8, Value::Integer(127)),
        ("bit(8)", "b'10101010'", F::Int16, Value::Integer(170)),
        ("bit(16)", "b'1111111111111111'", F::Int32, Value::Integer(65_535)),
        ("bit(63)", "9223372036854775807", F::Int64, Value::Integer(i64::MAX)),
        ("double(10,3)", "-0.001", F::Float64, Value::Float64(-0.001)),
        ("float(7,3)", "1.2345", F::Float32, Value::Float32(1.234)),
    ]
}

fn texts() -> Vec<Case> {
    use FieldType as F;
    vec![
        ("char(4)", "'ab'", F::String, text("ab")),
        ("varchar(9)", "'żółw'", F::String, text("żółw")),
        ("varchar(9) character set latin1", "'é'", F::String, text("é")),
        ("varchar(9) character set ascii collate ascii_bin", "'e'", F::String, text("e")),
        ("tinytext", "''", F::String, text("")),
        ("text", "'a\\nb'", F::String, text("a\nb")),
        ("mediumtext", "'m'", F::String, text("m")),
        ("longtext", "'😀'", F::String, text("😀")),
        ("enum('z','a,b','it''s')", "'a,b'", F::String, text("a,b")),
        ("set('x','y','z')", "'z,x'", F::String, text("x,z")),
        ("json", "'{\"a\": 1}'", F::String, text("{\"a\": 1}")),
        ("binary(4)", "'ab'", F::Bytes, bytes(b"ab\0\0")),
        ("varbinary(4)", "x'00ff'", F::Bytes, bytes(&[0, 255])),
        ("tinyblob", "x'01'", F::Bytes, bytes(&[1])),
        ("blob", "x'02'", F::Bytes, bytes(&[2])),
        ("mediumblob", "x'03'", F::Bytes, bytes(&[3])),
        ("longblob", "x''", F::Bytes, bytes(&[])),
    ]
}

fn times() -> Vec<Case> {
    use FieldType as F;
    let integer = Value::Integer;
    vec![
        ("date", "'2024-02-29'", F::Date, integer(19_782)),
        ("date", "'9999-12-31'", F::Date, integer(2_932_896)),
        ("time", "'23:59:59'", F::Time, integer(86_399_000)),
        ("time(6)", "'00:00:00.123456'", F::Time, integer(123)),
        ("datetime", "'2024-02-29 12:00:00'", F::Timestamp, integer(1_709_208_000_000)),
        ("datetime(3)", "'2024-02-29 12:00:00.123'", F::Timestamp, integer(1_709_208_000_123)),
        ("datetime(6)", "'2024-02-29 12:00:00.123999'", F::Timestamp, integer(1_709_208_000_123)),
        ("datetime", "'1000-01-01 00:00:00'", F::Timestamp, integer(-30_609_792_000_000)),
        ("timestamp null", "'2024-02-29 12:00:00'", F::Timestamp, integer(1_709_208_000_000)),
        ("timestamp(6) null", "'2038-01-19 03:14:07.999999'", F::Timestamp, integer(2_147_483_647_999)),
        ("year", "2024", F::Date, integer(19_723)),
        ("year", "1901", F::Date, integer(-25_202)),
    ]
}

/// Types that only some of the servers have.
fn own(family: &Family) -> Vec<Case> {
    use FieldType as F;
    let point = [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x40];
    let mut cases = Vec::new();
    if *family != TIDB {
        cases.push(("geometry", "st_geomfromtext('point(1 2)')", F::Bytes, bytes(&point)));
        cases.push(("point", "st_geomfromtext('point(1 2)')", F::Bytes, bytes(&point)));
    }
    if *family == MARIADB {
        let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        cases.push(("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", F::String, text(uuid)));
        cases.push(("inet6", "'2001:db8::1'", F::String, text("2001:db8::1")));
        cases.push(("inet4", "'10.0.0.1'", F::String, text("10.0.0.1")));
    }
    if *family == MYSQL {
        let vector = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40];
        cases.push(("vector(2)", "string_to_vector('[1,2]')", F::Bytes, bytes(&vector)));
    }
    if *family == TIDB {
        cases.push(("vector(2)", "'[1,2]'", F::String, text("[1,2]")));
    }
    cases
}

pub(super) async fn every_type_arrives(family: &'static Family) {
    let cases = [numbers(family), texts(), times(), own(family)].concat();
    let columns: Vec<String> = cases.iter().enumerate().map(|(n, (of_type, ..))| format!("c{n} {of_type}")).collect();
    // The driver cannot name a vector of MySQL in a result.
    let in_query = |n: usize| *family != MYSQL || !cases[n].0.starts_with("vector");
    let values: Vec<&str> = cases.iter().map(|(_, literal, ..)| *literal).collect();
    let place = Place::new(
        family,
        &format!(
            "create table t ({}); insert into t values ({}); insert into t (c0) values (null);",
            columns.join(", "),
            values.join(", ")
        ),
    );
    let (definition, of_table) = place.read_all(&place.table("t")).await.unwrap();
    for (n, (of_type, literal, field_type, value)) in cases.iter().enumerate() {
        assert_eq!(&definition.columns[n].field.field_type, field_type, "{of_type}");
        assert!(definition.columns[n].field.optional, "{of_type}");
        assert_eq!(&of_table.rows[0][n], value, "{of_type} {literal}");
        assert_eq!(of_table.rows[1][n], Value::Null, "{of_type}");
    }
    // A query is described by its result, and says the same.
    let names: Vec<String> = (0..cases.len()).filter(|n| in_query(*n)).map(|n| format!("c{n}")).collect();
    let query = Relation::Query(format!("select {} from {}", names.join(", "), place.from("t")));
    let (described, of_query) = place.read_all(&query).await.unwrap();
    for (place, n) in (0..cases.len()).filter(|n| in_query(*n)).enumerate() {
        let (column, other, of_type) = (&described.columns[place], &definition.columns[n], cases[n].0);
        assert_eq!(column.field.field_type, other.field.field_type, "{of_type} of a query: {}", column.database_type);
        assert_eq!(of_query.rows[0][place], of_table.rows[0][n], "{of_type} of a query");
    }
}

/// Expressions over the table below; what is no aggregate is made one.
const EXPRESSIONS: &[&str] = &[
    "price * qty",
    "sum(price)",
    "avg(price)",
    "sum(price * qty)",
    "price / 3",
    "price + 1",
    "-price",
    "round(price, 1)",
    "coalesce(price, 0)",
    "cast(price as decimal(20,4))",
    "1.50",
    "count(*)",
    "max(u)",
    "sum(qty)",
    "avg(qty)",
    "qty * 2",
    "max(name)",
    "concat(max(name), 'x')",
    "max(d)",
    "max(at)",
    "max(day)",
    "date_add(max(at), interval 1 day)",
    "max(f)",
    "sum(f)",
    "max(data)",
    "length(max(name))",
    "max(y)",
    "greatest(max(price), 2.125)",
    "case when max(qty) > 1 then max(price) else 1.5 end",
    "max(t6)",
];

const TABLE: &str = "create table t (price decimal(10,2), qty int, u bigint unsigned, name varchar(9), d decimal(8,3) unsigned,
                                     at datetime(6), day date, f float, data varbinary(9), y year, t6 time(3));
     insert into t values (12.34, 3, 5, 'n', 1.125, '2024-02-29 12:00:00.123456', '2024-02-29', 1.5, 'd', 2024, '1:2:3.5');";

pub(super) async fn expressions_have_the_type_the_server_gives_them(family: &'static Family) {
    let list: Vec<String> = EXPRESSIONS
        .iter()
        .enumerate()
        .map(|(n, sql)| {
            let is_aggregate = ["max(", "sum(", "avg(", "count("].iter().any(|name| sql.contains(name));
            let sql = if is_aggregate || *sql == "1.50" { (*sql).to_owned() } else { format!("max({sql})") };
            format!("{sql} as e{n}")
        })
        .collect();
    let setup = format!("{TABLE} create view v as select {} from t;", list.join(", "));
    let place = Place::new(family, &setup);
    let (of_view, rows_of_view) = place.read_all(&place.table("v")).await.unwrap();
    let query = Relation::Query(format!("select {} from {}", list.join(", "), place.from("t")));
    let (of_query, rows_of_query) = place.read_all(&query).await.unwrap();
    let mut wrong = Vec::new();
    for (n, expression) in EXPRESSIONS.iter().enumerate() {
        let (view, query) = (&of_view.columns[n], &of_query.columns[n]);
        if view.field.field_type != query.field.field_type || rows_of_view.rows[0][n] != rows_of_query.rows[0][n] {
            wrong.push(format!(
                "{expression}: {} {:?} {:?}; {} {:?} {:?}",
                view.database_type,
                view.field.field_type,
                rows_of_view.rows[0][n],
                query.database_type,
                query.field.field_type,
                rows_of_query.rows[0][n]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let scale = |n: usize| match of_query.columns[n].field.field_type {
        FieldType::Decimal { scale, .. } => scale,
        _ => -1,
    };
    assert_eq!([scale(0), scale(1), scale(2), scale(4)], [2, 2, 6, 6]);
}

pub(super) async fn unsigned_ids_go_beyond_63_bits(family: &'static Family) {
    let mut place = Place::new(
        family,
        "create table t (id bigint unsigned not null primary key, n int);
         insert into t values (1, 1), (9223372036854775807, 2), (9223372036854775808, 3), (18446744073709551614, 4),
                              (18446744073709551615, 5);",
    );
    let relation = place.table("t");
    let error = place.read_all(&relation).await.err().unwrap();
    assert_eq!((error.kind(), error.context("column")), (ErrorKind::Value, Some("id")));
    place.source.types.all.unsigned_bigint = UnsignedBigint::Text;
    let mut connection = place.connect().await;
    let definition = connection.describe(&relation, &[]).await.unwrap();
    let planner = place.planner(&definition, &Mode::Incrementing { column: "id".to_owned() }).unwrap();
    let rows = read_pages(&mut *connection, &definition, &planner, None, 2).await.unwrap();
    assert_eq!(rows.column(1), (1..=5).map(Value::Integer).collect::<Vec<_>>());
    assert_eq!(rows.rows[4][0], text("18446744073709551615"));
    assert_eq!(connection.last_id(&relation, "id").await.unwrap(), None);
}

pub(super) async fn dates_and_times_that_are_none_do_what_is_asked(family: &'static Family) {
    let place = Place::new(
        family,
        "set session sql_mode = ''; create table t (d date, at datetime, ts timestamp null, y year);
         insert into t values ('0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', 0);
         create table u (a time); insert into u values ('-01:00:00');
         create table w (a time); insert into w values ('24:00:00');
         create table n (d date not null); insert into n values ('0000-00-00');",
    );
    let (_, read) = place.read_all(&place.table("t")).await.unwrap();
    assert_eq!(read.rows, [vec![Value::Null; 4]]);
    for table in ["u", "w", "n"] {
        let error = place.read_all(&place.table(table)).await.err().expect(table);
        assert_eq!(error.kind(), ErrorKind::Value, "{table}");
    }
}

pub(super) async fn another_type_is_noticed_between_two_pages(family: &'static Family) {
    let changes = [
        ("int", "int unsigned", "1"),
        ("int", "bigint", "1"),
        ("smallint", "year", "2024"),
        ("float", "double", "1.5"),
        ("date", "datetime", "'2024-02-29'"),
        ("datetime", "timestamp", "'2024-02-29 12:00:00'"),
        ("varchar(9)", "varbinary(9)", "'a'"),
        ("blob", "text", "'a'"),
        ("decimal(10,2)", "varchar(20)", "1.50"),
        ("bit(8)", "varchar(9)", "b'1'"),
        ("datetime", "varchar(40)", "'2024-02-29 12:00:00'"),
    ];
    let place = Place::new(family, "");
    let mut connection = place.connect().await;
    for (n, (from, to, value)) in changes.iter().enumerate() {
        let name = format!("t{n}");
        place.sql(&format!("create table {name} (a {from} null); insert into {name} values ({value});"));
        let definition = connection.describe(&place.table(&name), &[]).await.unwrap();
        let query = place.select(&definition, "");
        assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 1, "{from}");
        // Not every server changes every type in place.
        place.sql(&format!(
            "drop table {name}; create table {name} (a {to} null); insert into {name} values ({value});"
        ));
        let error = read(&mut *connection, &definition, &query).await.err().expect(from);
        assert_eq!(error.kind(), ErrorKind::SchemaChanged, "{from} to {to}: {error:?}");
    }
}
