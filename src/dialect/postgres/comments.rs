//! Comments on relations and columns (`COMMENT ON`), as `pg_description` keeps them.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{Column, Row};

use super::super::statement::Doing;
use super::session::{Session, answered, get};
use super::shape::shape_of;
use crate::error::Result;
use crate::model::{Comments, Relation, TableId};

/// The comment on the relation has no column's name.
const OF_TABLE: &str = "
    select a.attname::text, d.description
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_description d on d.objoid = c.oid and d.classoid = 'pg_catalog.pg_class'::regclass
    left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
    where n.nspname = $1 and c.relname = $2 and (d.objsubid = 0 or not a.attisdropped)";

const OF_COLUMNS: &str = "
    select w.name, d.description
    from unnest($1::text[], $2::int8[], $3::int4[]) as w (name, relation, number)
    join pg_catalog.pg_description d on d.objoid = w.relation::oid and d.objsubid = w.number
      and d.classoid = 'pg_catalog.pg_class'::regclass";

/// The comments of a relation; of a query, those of its columns that are a table's.
pub(super) async fn of(session: &mut Session, relation: &Relation) -> Result<Comments> {
    session.begin().await?;
    let rows = match relation {
        Relation::Table(id) => of_table(session, id).await?,
        Relation::Query(sql) => of_query(session, sql).await?,
    };
    session.end().await?;
    let mut comments = Comments::default();
    for row in &rows {
        let comment: Arc<str> = get::<String>(row, 1)?.into();
        match get::<Option<String>>(row, 0)? {
            Some(column) => comments.columns.push((column, comment)),
            None => comments.relation = Some(comment),
        }
    }
    Ok(comments)
}

async fn of_table(session: &mut Session, id: &TableId) -> Result<Vec<PgRow>> {
    let call = sqlx::query(OF_TABLE).bind(id.schema.as_deref().unwrap_or("public")).bind(&id.name).persistent(false);
    answered(&session.vigil, Doing::Describe, call.fetch_all(&mut session.connection)).await
}

async fn of_query(session: &mut Session, sql: &str) -> Result<Vec<PgRow>> {
    let shape = shape_of(session, "t.*", &format!("({sql}\n)")).await?;
    let columns = || shape.columns().iter();
    let names: Vec<String> = columns().map(|column| column.name().to_owned()).collect();
    let relations: Vec<i64> = columns().map(|column| column.relation_id().map_or(0, |oid| i64::from(oid.0))).collect();
    let numbers: Vec<i32> = columns().map(|column| column.relation_attribute_no().map_or(0, i32::from)).collect();
    let call = sqlx::query(OF_COLUMNS).bind(names).bind(relations).bind(numbers).persistent(false);
    answered(&session.vigil, Doing::Describe, call.fetch_all(&mut session.connection)).await
}
