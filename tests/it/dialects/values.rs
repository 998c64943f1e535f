//! Values that every database has.

use rowtide::model::Value;

use super::place::{Database, Place};

pub(super) async fn nulls_are_delivered(database: &'static dyn Database) {
    let place = Place::new(
        database,
        "create table t (a int, b text, c numeric(9,2), d timestamp null, e date, f double precision, g boolean);
         insert into t (a) values (null);",
    );
    let (_, read) = place.read_all(&place.table("t")).await.unwrap();
    assert_eq!(read.rows, [vec![Value::Null; 7]]);
}
