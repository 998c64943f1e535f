//! Incarnations of tables: the ids that InnoDB or TiDB has given them, when they were made, and how far their ids have been
//! counted.

use std::collections::BTreeMap;

use super::super::connection::Counted;
use super::super::statement::{Doing, statement};
use super::bind;
use super::server::Server;
use super::session::{Session, answered, text};
use crate::error::{ErrorKind, Result};
use crate::model::Incarnation;

/// MariaDB finds a table in its catalog without looking at all the others only if it is asked for one by its name.
const MOST_BY_NAME: usize = 50;

/// A table as the catalog has it.
#[derive(Default)]
struct Shown {
    made: Option<String>,
    next_id: Option<i64>,
    /// Its id, or those of its partitions.
    ids: Vec<String>,
}

/// A TRUNCATE gives a table another id and leaves the time it was made; all else that gives it another id (OPTIMIZE,
/// ALTER, DROP and CREATE, a swap of two tables) changes that too. InnoDB shows its ids with the privilege PROCESS; to
/// others the time has to do.
pub(super) async fn of(session: &mut Session, tables: &[Counted]) -> Result<Vec<Option<Incarnation>>> {
    // MySQL's statistics may be a day old unless this is set; the others have no such variable.
    if session.kind == Server::MySql && !session.notes.fresh_statistics {
        session.run("set session information_schema_stats_expiry = 0").await?;
        session.notes.fresh_statistics = true;
    }
    let database = session.database.clone().unwrap_or_default();
    let names: Vec<(&str, &str)> =
        tables.iter().map(|(id, _)| (id.catalog.as_deref().unwrap_or(&database), id.name.as_str())).collect();
    let shown = match ask(session, &names, !session.notes.hides_engine).await {
        Err(error) if error.kind() == ErrorKind::Privilege && !session.notes.hides_engine => {
            session.notes.hides_engine = true;
            ask(session, &names, false).await?
        }
        shown => shown?,
    };
    let is_tidb = session.kind == Server::TiDb;
    Ok(names
        .iter()
        .zip(tables)
        .map(|(name, (_, id))| shown.get(name).map(|shown| read(shown, is_tidb, id.is_some())))
        .collect())
}

fn read(shown: &Shown, is_tidb: bool, is_counted: bool) -> Incarnation {
    let made = shown.made.clone();
    // Each server of a TiDB cluster counts for itself.
    let last_id = shown.next_id.filter(|_| is_counted && !is_tidb).map(|next| next - 1);
    match shown.ids.as_slice() {
        [] => Incarnation { storage: format!("made {}", made.unwrap_or_default()), made: None, counter: None, last_id },
        ids => Incarnation { storage: format!("id {}", ids.join(",")), made, counter: None, last_id },
    }
}

type ByName<'n> = BTreeMap<(&'n str, &'n str), Shown>;

async fn ask<'n>(session: &mut Session, names: &[(&'n str, &'n str)], of_engine: bool) -> Result<ByName<'n>> {
    let of_engine = of_engine && session.kind != Server::TiDb;
    let (sql, binds) = question(session.kind, names, of_engine);
    session.tidy().await?;
    let call = bind::texts(sqlx::query(statement(&sql)), &binds).persistent(true);
    let rows = answered(&session.vigil, Doing::Describe, call.fetch_all(&mut session.connection)).await?;
    let by_inner_name: BTreeMap<String, (&str, &str)> =
        names.iter().filter_map(|name| Some((inner_name(*name)?, *name))).collect();
    let mut found = ByName::new();
    for row in &rows {
        let part = |place| text(row, place).map(Option::unwrap_or_default);
        let (kind, schema, name) = (part(0)?, part(1)?, part(2)?);
        if kind == "i" {
            let of = by_inner_name.get(name.split('#').next().unwrap_or_default());
            if let Some(shown) = of.and_then(|of| found.get_mut(of)) {
                shown.ids.push(part(3)?.to_owned());
            }
            continue;
        }
        // Where case does not count, the catalog writes names as it likes.
        let is_it = |known: &&(&str, &str)| known.0.eq_ignore_ascii_case(schema) && known.1.eq_ignore_ascii_case(name);
        let Some(known) = names.iter().find(|known| **known == (schema, name)).or_else(|| names.iter().find(is_it))
        else {
            continue;
        };
        let next_id = Some(text(row, 4)?.and_then(|next| next.parse().ok()).unwrap_or(1));
        let ids = text(row, 5)?.map(str::to_owned).into_iter().collect();
        found.insert(*known, Shown { made: text(row, 3)?.map(str::to_owned), next_id, ids });
    }
    found.values_mut().for_each(|shown| shown.ids.sort());
    Ok(found)
}

/// The engine's name of a table.
fn inner_name((schema, name): (&str, &str)) -> Option<String> {
    Some(format!("{}/{}", encoded(schema)?, encoded(name)?))
}

/// One statement: the time of creation of each table, its next id and, on TiDB, its own id; then the ids of the engine.
/// A table made within these seconds has no time yet that would tell it from one made just before.
fn question(kind: Server, names: &[(&str, &str)], of_engine: bool) -> (String, Vec<String>) {
    let mut by_schema: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    names.iter().for_each(|(schema, name)| by_schema.entry(schema).or_default().push(name));
    let groups: Vec<(&str, Vec<&str>)> = if kind == Server::MariaDb && names.len() <= MOST_BY_NAME {
        names.iter().map(|(schema, name)| (*schema, vec![*name])).collect()
    } else {
        by_schema.into_iter().collect()
    };
    let id = if kind == Server::TiDb { "cast(tidb_table_id as char)" } else { "cast(null as char)" };
    let (mut arms, mut binds) = (Vec::new(), Vec::new());
    for (schema, names) in groups {
        let places = vec!["?"; names.len()].join(", ");
        let condition = if names.len() == 1 { "= ?".to_owned() } else { format!("in ({places})") };
        arms.push(format!(
            "select 't', cast(table_schema as char), cast(table_name as char),
               if(create_time < now() - interval 2 second, cast(unix_timestamp(create_time) as char), null),
               cast(auto_increment as char), {id}
             from information_schema.tables where table_schema = ? and table_name {condition} and table_type <> 'VIEW'"
        ));
        binds.push(schema.to_owned());
        binds.extend(names.into_iter().map(str::to_owned));
    }
    let inner: Vec<String> = names.iter().filter_map(|name| inner_name(*name)).collect();
    if of_engine && !inner.is_empty() {
        let engine = if kind == Server::MariaDb { "innodb_sys_tables" } else { "innodb_tables" };
        let places = vec!["?"; inner.len()].join(", ");
        // The tables of partitions are named after their table.
        arms.push(format!(
            "select 'i', '', cast(name as char), cast(table_id as char), null, null
             from information_schema.{engine} where substring_index(name, '#', 1) in ({places})"
        ));
        binds.extend(inner);
    }
    (arms.join(" union all "), binds)
}

/// A name as the engine writes it: as that of a file. None for one with letters beyond ASCII, which have codes of their own.
fn encoded(name: &str) -> Option<String> {
    let mut encoded = String::new();
    for letter in name.chars() {
        match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => encoded.push(letter),
            _ if letter.is_ascii() => encoded.push_str(&format!("@{:04x}", u32::from(letter))),
            _ => return None,
        }
    }
    Some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_the_engine_does() {
        assert_eq!(encoded("test_table_1").as_deref(), Some("test_table_1"));
        assert_eq!(encoded("my-t.b#1").as_deref(), Some("my@002dt@002eb@00231"));
        assert_eq!(encoded("t\u{e4}"), None);
    }

    #[test]
    fn the_ids_are_asked_for_in_the_same_statement_and_each_table_by_name_on_mariadb() {
        let names = [("a", "t"), ("a", "u"), ("b", "t")];
        let (sql, binds) = question(Server::MySql, &names, true);
        assert_eq!((sql.matches("union all").count(), binds.len()), (2, 8));
        let (sql, binds) = question(Server::MariaDb, &names, false);
        assert_eq!(
            (sql.matches("union all").count(), binds),
            (2, ["a", "t", "a", "u", "b", "t"].map(str::to_owned).to_vec())
        );
    }
}
