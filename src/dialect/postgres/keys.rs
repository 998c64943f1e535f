//! Unique keys of a relation, by the catalog: columns that no two of its rows share. A key counts if the server
//! enforces it at once, over whole columns that cannot be NULL, by the equality that statements compare with, and for
//! every row that a statement reads: not for those of tables that inherit.

use sqlx::postgres::PgColumn;

use super::super::statement::Doing;
use super::session::{Session, answered, get};
use crate::error::Result;
use crate::model::UniqueKeys;

const NATURE: &str = "
    select c.relkind::text, c.relkind <> 'p' and exists (select 1 from pg_catalog.pg_inherits h where h.inhparent = c.oid)
    from pg_catalog.pg_class c where c.oid = $1::int8::oid";

/// The key columns of an index come first, those it only includes after them. Collations that are deterministic hold
/// the same texts for equal, those of other operator classes than the default need not. A constraint NOT NULL may be
/// NOT VALID.
const KEYS: &str = "
    select array_agg(a.attname::text order by k.place)
    from pg_catalog.pg_index i
    join pg_catalog.pg_class x on x.oid = i.indexrelid
    join pg_catalog.pg_am m on m.oid = x.relam and m.amname = 'btree'
    cross join lateral generate_series(0, i.indnkeyatts - 1) as k (place)
    left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k.place] and a.attnum > 0
    left join pg_catalog.pg_opclass o on o.oid = i.indclass[k.place]
    left join pg_catalog.pg_collation own on own.oid = a.attcollation
    left join pg_catalog.pg_collation of_index on of_index.oid = i.indcollation[k.place]
    where i.indrelid = $1::int8::oid and i.indisunique and i.indisvalid and i.indisready and i.indislive and i.indimmediate
      and i.indpred is null and i.indexprs is null
    group by i.indexrelid, i.indisprimary
    having bool_and(coalesce(
      a.attnotnull
      and (o.opcdefault or o.opcname in ('text_pattern_ops', 'varchar_pattern_ops', 'bpchar_pattern_ops'))
      and (a.attcollation = i.indcollation[k.place]
        or coalesce(to_jsonb(own) ->> 'collisdeterministic', 'true') = 'true'
          and coalesce(to_jsonb(of_index) ->> 'collisdeterministic', 'true') = 'true')
      and not exists (
        select 1 from pg_catalog.pg_constraint n
        where n.conrelid = a.attrelid and n.contype = 'n' and not n.convalidated and a.attnum = any (n.conkey)),
      false))
    order by i.indisprimary desc, i.indexrelid";

/// The keys of the relation that a result of all its columns comes from.
pub(super) async fn unique(session: &mut Session, shape: &[PgColumn]) -> Result<UniqueKeys> {
    // Of a view the columns have no origin, or another one than the view.
    let Some(oid) = shape.iter().find_map(PgColumn::relation_id) else {
        return Ok(UniqueKeys::none_because("it has no columns of its own"));
    };
    let oid = i64::from(oid.0);
    let call = sqlx::query(NATURE).bind(oid).persistent(!session.pooled);
    let row = answered(&session.vigil, Doing::Describe, call.fetch_optional(&mut session.connection)).await?;
    let Some(row) = row else { return Ok(UniqueKeys::default()) };
    let kind: String = get(&row, 0)?;
    let has_heirs: bool = get(&row, 1)?;
    match kind.as_str() {
        "v" => return Ok(UniqueKeys::none_because("it is a view")),
        "f" => return Ok(UniqueKeys::none_because("it is a foreign table")),
        _ if has_heirs => {
            return Ok(UniqueKeys::none_because("tables inherit from it, and no key spans their rows"));
        }
        _ => {}
    }
    let call = sqlx::query(KEYS).bind(oid).persistent(!session.pooled);
    let rows = answered(&session.vigil, Doing::Describe, call.fetch_all(&mut session.connection)).await?;
    let keys: Result<Vec<Vec<String>>> = rows.iter().map(|row| get(row, 0)).collect();
    Ok(UniqueKeys { keys: keys?, none_because: None })
}
