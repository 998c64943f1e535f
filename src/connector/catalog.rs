//! Which relations a connector polls: the database's list, through the connector's filters, spread over
//! tasks; and the watch that lets new tables appear without a restart.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;

use tokio::sync::watch;

use crate::config::spec::{ConnectorSpec, Selection, TableFilter};
use crate::dialect::{Dialect, SourceConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Relation, TableId};
use crate::task::server::ServerGuard;

/// What the connector polls now.
///
/// # Errors
/// `SourceSchema` if a table of `table.whitelist` does not exist, `Config` if two tables would share a topic.
pub async fn relations(
    spec: &ConnectorSpec,
    dialect: &dyn Dialect,
    connection: &mut dyn SourceConnection,
) -> Result<Vec<Relation>> {
    let filter = match &spec.selection {
        Selection::Query { sql, .. } => return Ok(vec![Relation::Query(sql.clone())]),
        Selection::Tables(filter) => filter,
    };
    let listed = connection.list_tables(&filter.catalog).await?;
    let selected = select(filter, dialect, &listed);
    check_names(filter, dialect, &listed)?;
    check_topics(&selected)?;
    Ok(selected.into_iter().map(Relation::Table).collect())
}

fn quoted(dialect: &dyn Dialect, table: &TableId) -> String {
    table.parts().map(|part| dialect.syntax().quote(part)).collect::<Vec<_>>().join(".")
}

fn select(filter: &TableFilter, dialect: &dyn Dialect, listed: &[TableId]) -> Vec<TableId> {
    let mut selected: Vec<TableId> = Vec::new();
    for table in listed.iter().filter(|table| filter.selects(table, &quoted(dialect, table))) {
        let seen = filter.unqualified && selected.iter().any(|known| known.name == table.name);
        if !seen {
            selected.push(table.clone());
        }
    }
    selected
}

/// Every name of the whitelist must be there; a typo would otherwise poll nothing, in silence.
fn check_names(filter: &TableFilter, dialect: &dyn Dialect, listed: &[TableId]) -> Result<()> {
    let missing: Vec<&String> = filter
        .whitelist
        .iter()
        .filter(|entry| {
            !listed
                .iter()
                .any(|table| **entry == table.to_string() || **entry == table.name || **entry == quoted(dialect, table))
        })
        .collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let error = Error::new(ErrorKind::SourceSchema, format!("table.whitelist: no such table: {}", names.join(", ")));
    Err(match nearest(first, listed) {
        Some(near) => error.advise(format!("did you mean `{near}`? names are case-sensitive; table.types and schema.pattern narrow the list")),
        None => error.advise(format!(
            "the database lists {} tables for this user; table.types, schema.pattern and catalog.pattern narrow the list",
            listed.len()
        )),
    })
}

fn nearest(name: &str, listed: &[TableId]) -> Option<String> {
    let wanted = name.to_lowercase();
    let distance = |table: &TableId| {
        let bare = strsim::damerau_levenshtein(&wanted, &table.name.to_lowercase());
        bare.min(strsim::damerau_levenshtein(&wanted, &table.to_string().to_lowercase()))
    };
    listed
        .iter()
        .map(|table| (distance(table), table))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, table)| table.to_string())
}

/// The topic is named by the bare table name, so two tables of one name would mix (`connector-config.md`, 6.4).
fn check_topics(selected: &[TableId]) -> Result<()> {
    let mut by_name: BTreeMap<&str, &TableId> = BTreeMap::new();
    for table in selected {
        if let Some(other) = by_name.insert(&table.name, table) {
            return Err(Error::config(format!("tables {other} and {table} would share one topic"))
                .advise("narrow the selection with schema.pattern, catalog.pattern or the table lists"));
        }
    }
    Ok(())
}

/// Spreads relations over at most `tasks_max` tasks in contiguous groups, the first ones one longer
/// (`connector-config.md`, 7). At least one group.
pub fn split(relations: &[Relation], tasks_max: usize) -> Vec<Vec<Relation>> {
    let count = relations.len().min(tasks_max).max(1);
    let (size, longer) = (relations.len() / count, relations.len() % count);
    let mut rest = relations;
    (0..count)
        .map(|index| {
            let (group, after) = rest.split_at(size + usize::from(index < longer));
            rest = after;
            group.to_vec()
        })
        .collect()
}

/// Lists the catalog every `table.poll.interval.ms` and tells the tasks what to poll. Never ends: a
/// listing that fails is said and tried again.
pub async fn watch(
    spec: &ConnectorSpec,
    dialect: &'static dyn Dialect,
    server: &ServerGuard,
    tasks: Vec<watch::Sender<Vec<Relation>>>,
) {
    if matches!(spec.selection, Selection::Query { .. }) {
        return pending().await;
    }
    let mut homes = HashMap::new();
    loop {
        tokio::time::sleep(spec.polling.table_interval).await;
        match list(spec, dialect, server).await {
            Ok(current) => reassign(&tasks, &current, named(spec), &mut homes),
            Err(error) => tracing::warn!(error = %error.report(), "cannot list the tables, trying again"),
        }
    }
}

/// A connection of its own for each listing: minutes apart, an idle one would only be in the way. Another
/// server's tables are not those of the connector.
async fn list(spec: &ConnectorSpec, dialect: &'static dyn Dialect, server: &ServerGuard) -> Result<Vec<Relation>> {
    let Selection::Tables(filter) = &spec.selection else { return Ok(Vec::new()) };
    let mut connection = dialect.connect(&spec.source).await?;
    server.agrees(connection.identity())?;
    let listed = connection.list_tables(&filter.catalog).await?;
    connection.close().await;
    let selected = select(filter, dialect, &listed);
    check_topics(&selected)?;
    Ok(selected.into_iter().map(Relation::Table).collect())
}

/// Whether the tables are named one by one; such a table is missed when it is gone, not forgotten.
fn named(spec: &ConnectorSpec) -> bool {
    matches!(&spec.selection, Selection::Tables(filter) if !filter.whitelist.is_empty())
}

/// Tables that stay keep their task; gone ones leave, unless they are `named`; new ones go to the task with
/// the fewest. One that comes back goes to the task it had: only that one knows how far it was read.
fn reassign(
    tasks: &[watch::Sender<Vec<Relation>>],
    current: &[Relation],
    named: bool,
    homes: &mut HashMap<Relation, usize>,
) {
    let mut groups: Vec<Vec<Relation>> = tasks.iter().map(|task| task.borrow().clone()).collect();
    for (index, group) in groups.iter_mut().enumerate() {
        homes.extend(group.iter().map(|relation| (relation.clone(), index)));
        group.retain(|relation| current.contains(relation) || (named && !replaced(relation, current)));
    }
    for relation in current {
        if groups.iter().any(|group| group.contains(relation)) {
            continue;
        }
        tracing::info!(table = %relation, "a new table appeared");
        let smallest = || groups.iter().enumerate().min_by_key(|(_, group)| group.len()).map(|(index, _)| index);
        let home = homes.get(relation).copied().or_else(smallest);
        if let Some(group) = home.and_then(|index| groups.get_mut(index)) {
            group.push(relation.clone());
        }
    }
    for (task, group) in tasks.iter().zip(groups) {
        task.send_if_modified(|known| {
            let changed = *known != group;
            *known = group;
            changed
        });
    }
}

/// Whether another table of that bare name, and so of that topic, is listed: the table has moved.
fn replaced(gone: &Relation, current: &[Relation]) -> bool {
    let name = |relation: &Relation| match relation {
        Relation::Table(id) => Some(id.name.clone()),
        Relation::Query(_) => None,
    };
    current.iter().any(|relation| name(relation) == name(gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Relation {
        Relation::Table(TableId { catalog: None, schema: Some("public".into()), name: name.into() })
    }

    fn tables(names: &[&str]) -> Vec<Relation> {
        names.iter().map(|name| table(name)).collect()
    }

    #[test]
    fn tables_are_split_as_connect_splits_them() {
        let sizes = |tables_count: usize, tasks| {
            let names: Vec<String> = (0..tables_count).map(|n| format!("t{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            split(&tables(&names), tasks).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(4, 3), [2, 1, 1]);
        assert_eq!(sizes(2, 5), [1, 1]);
        assert_eq!(sizes(0, 5), [0]);
    }

    #[test]
    fn a_new_table_joins_the_smallest_task_and_disturbs_no_other() {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            split(&tables(&["a", "b", "c"]), 2).into_iter().map(watch::channel).unzip();
        let mut homes = HashMap::new();
        let mut reassign = |names: &[&str]| super::reassign(&senders, &tables(names), false, &mut homes);
        reassign(&["a", "b", "c", "d"]);
        assert!(!receivers[0].has_changed().unwrap());
        assert_eq!(*receivers[1].borrow(), tables(&["c", "d"]));
        reassign(&["b", "c", "d"]);
        assert_eq!(*receivers[0].borrow(), tables(&["b"]));
    }

    #[test]
    fn a_table_that_comes_back_goes_to_the_task_that_knows_it() {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            split(&tables(&["a", "b", "c"]), 2).into_iter().map(watch::channel).unzip();
        let mut homes = HashMap::new();
        reassign(&senders, &tables(&["c"]), false, &mut homes);
        reassign(&senders, &tables(&["a", "b", "c"]), false, &mut homes);
        assert_eq!(*receivers[0].borrow(), tables(&["a", "b"]));
    }

    #[test]
    fn a_table_that_is_named_is_missed_when_it_is_gone() {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            split(&tables(&["a", "b"]), 1).into_iter().map(watch::channel).unzip();
        reassign(&senders, &tables(&["a"]), true, &mut HashMap::new());
        assert!(!receivers[0].has_changed().unwrap());
        let moved = Relation::Table(TableId { catalog: None, schema: Some("attic".into()), name: "b".into() });
        reassign(&senders, &[table("a"), moved.clone()], true, &mut HashMap::new());
        assert_eq!(*receivers[0].borrow(), [table("a"), moved]);
    }
}
