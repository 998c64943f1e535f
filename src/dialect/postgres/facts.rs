//! Facts about cursor columns from the server's rules: how a sequence hands out ids, what a default makes, how many
//! digits a timestamp keeps. Asks the catalog only.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::super::statement::Doing;
use super::super::syntax::double_quoted;
use super::session::{Session, answered};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorFact, FactWeight, TableId};
use crate::zone::Zone;

const FACTS: &str = "
    select a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid),
      s.seqrelid::regclass::text, s.seqcache, s.seqincrement, s.seqcycle
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    left join lateral (
      select s.* from pg_catalog.pg_depend p join pg_catalog.pg_sequence s on s.seqrelid = p.refobjid
      where p.classid = 'pg_catalog.pg_attrdef'::regclass and p.objid = d.oid
        and p.refclassid = 'pg_catalog.pg_class'::regclass
      union all
      select s.* from pg_catalog.pg_depend p join pg_catalog.pg_sequence s on s.seqrelid = p.objid
      where a.attidentity <> '' and p.classid = 'pg_catalog.pg_class'::regclass and p.deptype = 'i'
        and p.refclassid = 'pg_catalog.pg_class'::regclass and p.refobjid = c.oid and p.refobjsubid = a.attnum
      limit 1
    ) s on true
    where n.nspname = $1 and c.relname = $2 and a.attname = any($3::text[])
    order by array_position($3::text[], a.attname::text)";

/// A column as the catalog knows it.
#[derive(Debug, Default)]
struct Known {
    column: String,
    formatted: String,
    default: Option<String>,
    sequence: Option<Sequence>,
}

/// The sequence behind a column.
#[derive(Debug)]
struct Sequence {
    name: String,
    cache: i64,
    increment: i64,
    cycles: bool,
}

pub(super) async fn cursor_facts(session: &mut Session, id: &TableId, columns: &[String]) -> Result<Vec<CursorFact>> {
    let mut facts = Vec::new();
    ask(session, id, columns).await?.iter().for_each(|known| known.facts(&mut facts));
    Ok(facts)
}

/// The number of ids a session, or a client that counts between the steps of a sequence, takes at once; 0 if one at a
/// time.
pub(super) async fn ids_kept(session: &mut Session, id: &TableId, column: &str) -> Result<u64> {
    let known = ask(session, id, &[column.to_owned()]).await?;
    let sequence = known.first().and_then(|known| known.sequence.as_ref());
    let at_once = sequence.map_or(1, |sequence| sequence.cache.saturating_mul(sequence.increment));
    Ok(u64::try_from(at_once).ok().filter(|ids| *ids > 1).unwrap_or(0))
}

/// The zones that the database, or its server, gives to sessions that ask for none. Of the server's own setting nothing can
/// be seen once a session has asked for another, but its log is written in the same zone unless somebody said otherwise.
const ZONES: &str = "select setting from (
    select split_part(one, '=', 2) as setting, case when s.setdatabase <> 0 then 0 else 1 end as place
    from pg_db_role_setting s cross join unnest(s.setconfig) as one
    where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
      and lower(split_part(one, '=', 1)) = 'timezone'
    union all select current_setting('log_timezone'), 2) as settings order by place";

pub(super) async fn server_zones(session: &mut Session) -> Result<Vec<Zone>> {
    let call = sqlx::query(ZONES).persistent(false).fetch_all(&mut session.connection);
    let rows = answered(&session.vigil, Doing::Describe, call).await?;
    let name = |row: &PgRow| row.try_get::<String, _>(0).ok()?.parse().ok();
    Ok(rows.iter().filter_map(name).collect())
}

async fn ask(session: &mut Session, id: &TableId, columns: &[String]) -> Result<Vec<Known>> {
    let schema = id.schema.as_deref().unwrap_or("public");
    let call = sqlx::query(FACTS).bind(schema).bind(&id.name).bind(columns).persistent(!session.pooled);
    let rows = answered(&session.vigil, Doing::Describe, call.fetch_all(&mut session.connection)).await?;
    rows.iter()
        .map(|row| known(row).map_err(|_| Error::internal("the catalog answers in another form than expected")))
        .collect()
}

fn known(row: &PgRow) -> sqlx::Result<Known> {
    let sequence = match row.try_get::<Option<String>, _>(3)? {
        None => None,
        Some(name) => {
            Some(Sequence { name, cache: row.try_get(4)?, increment: row.try_get(5)?, cycles: row.try_get(6)? })
        }
    };
    Ok(Known { column: row.try_get(0)?, formatted: row.try_get(1)?, default: row.try_get(2)?, sequence })
}

impl Known {
    fn facts(&self, facts: &mut Vec<CursorFact>) {
        let mut say = |weight, text: String| facts.push(CursorFact { column: self.column.clone(), weight, text });
        if let Some(Sequence { name, cache, increment, cycles }) = &self.sequence {
            if *increment < 0 {
                say(FactWeight::Refusal, format!("sequence {name} counts down (increment {increment})"));
            }
            if *cache > 1 {
                say(
                    FactWeight::Warning,
                    format!(
                        "sequence {name} hands out {cache} ids at a time to each session (CACHE {cache}), so a smaller \
                         id may become visible after a greater one was read"
                    ),
                );
            }
            if *cycles {
                say(FactWeight::Warning, format!("sequence {name} begins again at its end (CYCLE)"));
            }
        }
        if let Some(why) = self.default.as_deref().and_then(random_default) {
            say(FactWeight::Refusal, format!("its default makes {why}, so a new row can sort before the position"));
        }
        if let Some(digits) = coarse_digits(&self.formatted) {
            say(
                FactWeight::Note,
                format!(
                    "it keeps {} only, so rows may share a timestamp; of a timestamp already read, a row that comes \
                     later is found only if it sorts after those",
                    if digits == 0 { "whole seconds".to_owned() } else { format!("{digits} digits of a second") }
                ),
            );
        }
    }
}

/// The function in a default that makes UUIDs that do not sort by time.
fn random_default(expression: &str) -> Option<&'static str> {
    let calls = |name: &str| expression.contains(&format!("{name}("));
    if calls("gen_random_uuid") || calls("uuid_generate_v4") || calls("uuidv4") {
        Some("UUIDs of version 4, which are random")
    } else if calls("uuid_generate_v1") || calls("uuid_generate_v1mc") {
        Some("UUIDs of version 1, which do not begin with the high digits of their time")
    } else {
        None
    }
}

/// The fraction digits of a timestamp that keeps less than microseconds.
fn coarse_digits(formatted: &str) -> Option<u8> {
    let (digits, _) = formatted.strip_prefix("timestamp(")?.split_once(')')?;
    digits.parse().ok().filter(|digits| *digits <= 3)
}

/// The last value of the sequence behind a serial or identity column; none if there is no such sequence, it
/// may not be looked at, or it has not begun.
pub(super) async fn last_id(session: &mut Session, id: &TableId, column: &str) -> Result<Option<i64>> {
    let table = id.parts().map(double_quoted).collect::<Vec<_>>().join(".");
    let sql = "select case when has_sequence_privilege(seq, 'usage, select') then pg_sequence_last_value(seq) end
               from (select pg_get_serial_sequence($1, $2)::regclass::oid as seq) s";
    let call = sqlx::query(sql).bind(table).bind(column).persistent(false).fetch_one(&mut session.connection);
    match answered(&session.vigil, Doing::Page, call).await {
        Ok(row) => row.try_get(0).map_err(|_| Error::internal("a sequence answers in another form than expected")),
        Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Query | ErrorKind::TimeLimit) => {
            Err(error)
        }
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(known: Known) -> Vec<(FactWeight, String)> {
        let mut facts = Vec::new();
        known.facts(&mut facts);
        facts.into_iter().map(|fact| (fact.weight, fact.text)).collect()
    }

    fn of_sequence(cache: i64, increment: i64, cycles: bool) -> Vec<FactWeight> {
        let sequence = Some(Sequence { name: "s".into(), cache, increment, cycles });
        facts(Known { sequence, ..Known::default() }).into_iter().map(|(weight, _)| weight).collect()
    }

    #[test]
    fn sequences_are_judged_by_how_they_hand_out_ids() {
        assert_eq!(of_sequence(1, 1, false), []);
        assert_eq!(of_sequence(1, 10, false), [], "steps are no harm");
        assert_eq!(of_sequence(50, 1, false), [FactWeight::Warning]);
        assert_eq!(of_sequence(50, 1, true), [FactWeight::Warning, FactWeight::Warning]);
        assert_eq!(of_sequence(1, -1, false), [FactWeight::Refusal]);
    }

    #[test]
    fn defaults_that_make_random_ids_are_refused_and_time_ordered_ones_are_not() {
        let of = |default: &str| facts(Known { default: Some(default.into()), ..Known::default() });
        for default in ["gen_random_uuid()", "(public.uuid_generate_v4())::text", "uuid_generate_v1mc()", "uuidv4()"] {
            assert_eq!(of(default)[0].0, FactWeight::Refusal, "{default}");
        }
        for default in ["uuidv7()", "uuid_generate_v7()", "'a'::text", "nextval('s'::regclass)"] {
            assert!(of(default).is_empty(), "{default}");
        }
    }

    #[test]
    fn timestamps_that_keep_less_than_microseconds_are_noted() {
        for (formatted, digits) in [
            ("timestamp(0) without time zone", Some(0)),
            ("timestamp(3) with time zone", Some(3)),
            ("timestamp(4) with time zone", None),
            ("timestamp with time zone", None),
            ("numeric(3,0)", None),
        ] {
            assert_eq!(coarse_digits(formatted), digits, "{formatted}");
        }
    }
}
