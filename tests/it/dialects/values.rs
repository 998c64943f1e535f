//! Values that every database has.

use rowtide::model::{Relation, Value};

use super::place::{Database, Place, text};

pub(super) async fn nulls_are_delivered(database: &'static dyn Database) {
    let place = Place::new(
        database,
        "create table t (a int, b text, c numeric(9,2), d timestamp null, e date, f double precision, g boolean);
         insert into t (a) values (null);",
    );
    let (_, read) = place.read_all(&place.table("t")).await.unwrap();
    assert_eq!(read.rows, [vec![Value::Null; 7]]);
}

pub(super) async fn the_ends_of_every_integer_type_arrive(database: &'static dyn Database) {
    let place = Place::new(
        database,
        "create table t (a smallint, b int, c bigint);
         insert into t values (-32768, -2147483648, -9223372036854775808), (0, 0, 0),
                              (32767, 2147483647, 9223372036854775807);",
    );
    let (_, read) = place.read_all(&place.table("t")).await.unwrap();
    let row = |a, b, c| [a, b, c].map(Value::Integer).to_vec();
    let lowest = row(-32_768, -2_147_483_648, i64::MIN);
    assert_eq!(read.rows, [lowest, row(0, 0, 0), row(32_767, 2_147_483_647, i64::MAX)]);
}

pub(super) async fn a_value_of_twenty_megabytes_arrives(database: &'static dyn Database) {
    let place = Place::new(database, "");
    let length = database.longest_text();
    let query = Relation::Query(format!("select 'before' as a, {} as b, 'behind' as c", database.repeat("x", length)));
    let (_, read) = place.read_all(&query).await.unwrap();
    assert_eq!((&read.rows[0][0], &read.rows[0][2]), (&text("before"), &text("behind")));
    let Value::Text(found) = &read.rows[0][1] else { panic!("no text") };
    assert!(found.len() == length && found.bytes().all(|byte| byte == b'x'));
}
