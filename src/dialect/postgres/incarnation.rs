//! Incarnations of tables: their files, those of their partitions and children, and the sequences behind their ids.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::super::connection::Counted;
use super::super::statement::Doing;
use super::session::{Session, answered};
use crate::error::{Error, Result};
use crate::model::Incarnation;

/// A TRUNCATE that restarts the ids gives table and sequence new files. VACUUM FULL and every other rewrite of a table
/// leaves the sequence alone, unless its settings or its persistence change with those of the column or table. The
/// functions show what is committed now, also where the statement sees an older catalog.
const INCARNATIONS: &str = "
    select w.n, k.storage, s.made, s.counter, s.last_id
    from unnest($1::text[], $2::text[], $3::text[]) with ordinality as w (schema, name, id, n)
    join pg_catalog.pg_namespace n on n.nspname = w.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relkind in ('r', 'p')
    cross join lateral (
      with recursive part (oid) as (
        select c.oid union all select i.inhrelid from pg_catalog.pg_inherits i join part on i.inhparent = part.oid
      )
      select case count(*)
          when 1 then min(part.oid::text || ':' || coalesce(pg_relation_filenode(part.oid), 0))
          else md5(string_agg(part.oid || ':' || coalesce(pg_relation_filenode(part.oid), 0), ',' order by part.oid))
        end as storage
      from part
    ) k
    left join lateral (
      select q.seqrelid || ':' || pg_relation_filenode(q.seqrelid) as counter,
        concat_ws(' ', c.oid, c.relpersistence, a.atttypid, q.seqtypid, q.seqstart, q.seqincrement, q.seqmin, q.seqmax,
          q.seqcache, q.seqcycle) as made,
        case when has_sequence_privilege(q.seqrelid, 'usage, select')
          then coalesce(pg_sequence_last_value(q.seqrelid), q.seqstart - q.seqincrement) end as last_id
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid
        and d.refobjsubid = a.attnum and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i')
      join pg_catalog.pg_sequence q on q.seqrelid = d.objid
      where a.attrelid = c.oid and a.attname = w.id and not a.attisdropped
      limit 1
    ) s on true";

pub(super) async fn of(session: &mut Session, tables: &[Counted]) -> Result<Vec<Option<Incarnation>>> {
    let schemas: Vec<&str> = tables.iter().map(|(id, _)| id.schema.as_deref().unwrap_or("public")).collect();
    let names: Vec<&str> = tables.iter().map(|(id, _)| id.name.as_str()).collect();
    let ids: Vec<Option<&str>> = tables.iter().map(|(_, id)| id.as_deref()).collect();
    session.begin().await?;
    let call = sqlx::query(INCARNATIONS).bind(schemas).bind(names).bind(ids).persistent(!session.pooled);
    let rows = answered(&session.vigil, Doing::Page, call.fetch_all(&mut session.connection)).await?;
    session.end().await?;
    let mut found = vec![None; tables.len()];
    for row in &rows {
        let (place, incarnation) =
            read(row).map_err(|_| Error::internal("the catalog answers in another form than expected"))?;
        if let Some(slot) = found.get_mut(place) {
            *slot = Some(incarnation);
        }
    }
    Ok(found)
}

fn read(row: &PgRow) -> sqlx::Result<(usize, Incarnation)> {
    let place = usize::try_from(row.try_get::<i64, _>(0)? - 1).unwrap_or(usize::MAX);
    let incarnation = Incarnation {
        storage: row.try_get(1)?,
        made: row.try_get(2)?,
        counter: row.try_get(3)?,
        last_id: row.try_get(4)?,
    };
    Ok((place, incarnation))
}
