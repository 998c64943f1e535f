//! Distribution of a connector's relations over its tasks, and the watch over the catalog by which tables appear and
//! disappear without a restart. A table keeps its task: only that one knows how far it was read.

use std::collections::{HashMap, HashSet};
use std::future::pending;

use tokio::sync::watch;

use super::parts::ConnectorParts;
use super::{catalog, inspect};
use crate::config::spec::{Selection, TableFilter, TaskSpec};
use crate::error::{Error, Result};
use crate::model::Relation;
use crate::status::now_millis;

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
pub(super) async fn watch(parts: &ConnectorParts, tasks: Vec<watch::Sender<Vec<Relation>>>) {
    let spec = &parts.spec;
    let Selection::Tables(filter) = &spec.selection else { return pending().await };
    let mut homes = HashMap::new();
    loop {
        tokio::time::sleep(spec.polling.table_interval).await;
        if is_closed(parts) {
            continue;
        }
        match list(parts, filter).await {
            Ok((current, nothing)) => {
                parts.options.board.nothing_selected(nothing.as_ref());
                reassign(&tasks, &current, is_named(filter), &mut homes);
            }
            Err(error) => tracing::warn!(error = %error.report(), "cannot list the tables, trying again"),
        }
    }
}

/// True outside of `poll.windows` as they are by now.
fn is_closed(parts: &ConnectorParts) -> bool {
    let configured = parts.options.control.configured();
    let polling = configured.as_ref().map_or(&parts.spec.polling, TaskSpec::polling);
    polling.windows.closed_until(now_millis()).is_some() && !parts.options.once
}

/// A connection of its own for each listing: minutes apart, an idle one would only be in the way. Another
/// server's tables are not those of the connector.
async fn list(parts: &ConnectorParts, filter: &TableFilter) -> Result<(Vec<Relation>, Option<Error>)> {
    let (spec, dialect) = (&parts.spec, parts.dialect);
    let mut connection = parts.options.sessions.open(dialect, &spec.source).await?;
    let found = inspect::server_of(spec.identity.server, &mut *connection).await?;
    parts.server.agrees(found.as_ref())?;
    let listed = catalog::listed(spec, filter, dialect, &mut *connection).await?;
    connection.finish().await;
    let (tables, nothing) = listed;
    Ok((tables, nothing.filter(|_| !is_named(filter))))
}

/// True if the tables are named one by one; such a table is missed when it is gone, not forgotten.
fn is_named(filter: &TableFilter) -> bool {
    !filter.whitelist.is_empty()
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
    let mut known: HashSet<Relation> = groups.iter().flatten().cloned().collect();
    let listed: HashSet<&Relation> = current.iter().collect();
    let new: Vec<&Relation> = current.iter().filter(|relation| known.insert((*relation).clone())).collect();
    let new_names: HashSet<&str> = new.iter().copied().filter_map(bare).collect();
    for (index, group) in groups.iter_mut().enumerate() {
        homes.extend(group.iter().map(|relation| (relation.clone(), index)));
        // Another table of a bare name that is gone: the table has moved.
        let has_moved = |gone: &Relation| bare(gone).is_some_and(|name| new_names.contains(name));
        group.retain(|relation| listed.contains(relation) || (named && !has_moved(relation)));
    }
    for relation in new {
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

fn bare(relation: &Relation) -> Option<&str> {
    match relation {
        Relation::Table(id) => Some(&id.name),
        Relation::Query(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TableId;

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
