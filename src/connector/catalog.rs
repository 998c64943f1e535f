//! Selection of the relations that a connector polls: the database's list, through the connector's filters, spread over
//! tasks; and the watch that lets new tables appear without a restart.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;

use regex::Regex;
use tokio::sync::watch;

use super::inspect;
use super::parts::ConnectorParts;
use crate::config::spec::{CatalogFilter, ConnectorSpec, Selection, SourceUrl, TableFilter};
use crate::dialect::{Dialect, SourceConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Relation, TableId};
use crate::near::{likeness, may_be_meant};

/// The number of existing tables that a message names.
const NAMED: usize = 10;

/// The relations that a connector polls.
#[derive(Debug)]
pub struct Selected {
    /// Tables, or the query.
    pub relations: Vec<Relation>,
    /// The reason why there is none. A table may appear later, so it is no error by itself.
    pub nothing: Option<Error>,
    /// Patterns that select, or exclude, no table that there is.
    pub idle_patterns: Vec<String>,
}

/// The relations that the connector polls now.
///
/// # Errors
/// `SourceSchema` if a table of `table.whitelist` does not exist, `Config` if two tables would share a topic.
pub async fn selected(
    spec: &ConnectorSpec,
    dialect: &dyn Dialect,
    connection: &mut dyn SourceConnection,
) -> Result<Selected> {
    let filter = match &spec.selection {
        Selection::Query { sql, .. } => {
            let relations = vec![Relation::Query(sql.clone())];
            return Ok(Selected { relations, nothing: None, idle_patterns: Vec::new() });
        }
        Selection::Tables(filter) => filter,
    };
    let listed = connection.list_tables(&filter.catalog).await?;
    let home = Home::of(&spec.source.url);
    let selected = select(filter, home, dialect, &listed);
    let missing = missing(filter, dialect, &listed);
    if !missing.is_empty() {
        let elsewhere = elsewhere(&missing, filter, dialect, connection).await?;
        return Err(no_such_table(&missing, &elsewhere, filter, &listed));
    }
    check_topics(&selected, home)?;
    let nothing = selected.is_empty().then(|| nothing_selected(filter, &listed));
    let idle_patterns = if nothing.is_none() { idle_patterns(filter, &listed) } else { Vec::new() };
    Ok(Selected { relations: selected.into_iter().map(Relation::Table).collect(), nothing, idle_patterns })
}

/// The relations that the connector polls now, at least one.
///
/// # Errors
/// As [`selected`]; `SourceSchema` if it is nothing.
pub async fn relations(
    spec: &ConnectorSpec,
    dialect: &dyn Dialect,
    connection: &mut dyn SourceConnection,
) -> Result<Vec<Relation>> {
    let selected = selected(spec, dialect, connection).await?;
    selected.nothing.map_or(Ok(selected.relations), Err)
}

/// The pattern as it was written: patterns stand in full-match anchors.
fn written(pattern: &Regex) -> &str {
    let text = pattern.as_str();
    text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$")).unwrap_or(text)
}

/// The error that no table is selected, with the names there are, those first that may be meant.
fn nothing_selected(filter: &TableFilter, listed: &[TableId]) -> Error {
    let error = |what: String| Error::new(ErrorKind::SourceSchema, format!("no table is selected: {what}"));
    if listed.is_empty() {
        return error("the database lists none for this user".to_owned()).advise(
            "check the database of connection.url and the user's privileges; table.types, schema.pattern and \
             catalog.pattern narrow the list",
        );
    }
    let are = match listed.len() {
        1 => "the one table there is".to_owned(),
        count => format!("any of the {count} tables there are"),
    };
    let by = match (filter.include.is_empty(), filter.exclude.is_empty()) {
        (false, _) => format!("table.include.list does not match {are}"),
        (true, false) => "table.exclude.list excludes every table there is".to_owned(),
        (true, true) => "table.blacklist excludes every table there is".to_owned(),
    };
    let bare = |table: &TableId| filter.include.iter().any(|pattern| pattern.is_match(&table.name));
    let like = |table: &TableId| {
        let of = |pattern: &Regex| likeness_of(written(pattern), table);
        filter.include.iter().map(of).max_by(f64::total_cmp).unwrap_or_default()
    };
    let mut near: Vec<_> = listed.iter().map(|table| (!bare(table), like(table), table)).collect();
    near.sort_by(|one, other| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)).then_with(|| one.2.cmp(other.2)));
    let meant = near.first().filter(|(is_other, likeness, _)| !is_other || may_be_meant(*likeness));
    let meant = meant.map(|(.., table)| format!("did you mean `{table}`? ")).unwrap_or_default();
    let rule = if filter.include.is_empty() { "" } else { "a pattern must match the whole dotted name; " };
    let names: Vec<String> = near.iter().take(NAMED).map(|(.., table)| table.to_string()).collect();
    let more = if near.len() > NAMED { ", ..." } else { "" };
    error(by).advise(format!("{meant}{rule}there are {}{more}", names.join(", ")))
}

/// A pattern that matches nothing beside others that do: a table that is missed, or one that is not left out.
fn idle_patterns(filter: &TableFilter, listed: &[TableId]) -> Vec<String> {
    let idle = |pattern: &&Regex| !listed.iter().any(|table| pattern.is_match(&table.to_string()));
    let say = |key: &str, pattern: &Regex| {
        let near = nearest(written(pattern), listed).map(|near| format!("; did you mean `{near}`?"));
        format!("{key}: `{}` matches no table that there is{}", written(pattern), near.unwrap_or_default())
    };
    let included = filter.include.iter().filter(idle).map(|pattern| say("table.include.list", pattern));
    let excluded = filter.exclude.iter().filter(idle).map(|pattern| say("table.exclude.list", pattern));
    let gone = filter
        .blacklist
        .iter()
        .filter(|name| !listed.iter().any(|table| **name == table.to_string() || **name == table.name));
    let gone = gone.filter(|name| !name.contains(['"', '`'])).map(|name| {
        let near = nearest(name, listed).map(|near| format!("; did you mean `{near}`?"));
        format!("table.blacklist: there is no table `{name}`{}", near.unwrap_or_default())
    });
    included.chain(excluded).chain(gone).collect()
}

fn quoted(dialect: &dyn Dialect, table: &TableId) -> String {
    table.parts().map(|part| dialect.syntax().quote(part)).collect::<Vec<_>>().join(".")
}

/// The schema in which a bare name is looked for first: the database of a MySQL URL, the first schema of PostgreSQL's
/// `currentSchema`.
#[derive(Clone, Copy)]
struct Home<'a> {
    catalog: Option<&'a str>,
    schema: Option<&'a str>,
}

impl<'a> Home<'a> {
    fn of(url: &'a SourceUrl) -> Self {
        let schemas = url.parameters.get("currentSchema");
        let schema = schemas.and_then(|list| list.split(',').next()).map(|name| name.trim().trim_matches('"'));
        Self { catalog: url.database.as_deref(), schema }
    }

    fn has(self, table: &TableId) -> bool {
        match (&table.catalog, &table.schema) {
            (Some(catalog), _) => self.catalog == Some(catalog),
            (None, Some(schema)) => self.schema == Some(schema),
            (None, None) => false,
        }
    }
}

/// The dotted name of a table, plain or quoted: what leaves no doubt which is meant.
fn is_full_name(entry: &str, table: &TableId, dialect: &dyn Dialect) -> bool {
    entry == table.to_string() || entry == quoted(dialect, table)
}

fn select(filter: &TableFilter, home: Home<'_>, dialect: &dyn Dialect, listed: &[TableId]) -> Vec<TableId> {
    let matching: Vec<&TableId> =
        listed.iter().filter(|table| filter.selects(table, &quoted(dialect, table))).collect();
    let mut selected: Vec<TableId> = Vec::new();
    for table in &matching {
        // A bare name that several tables have means the one in the home schema, unless another is named in full.
        let by_bare_name = filter.unqualified
            || !filter.whitelist.is_empty()
                && !filter.whitelist.iter().any(|entry| is_full_name(entry, table, dialect));
        let at_home = matching.iter().any(|other| other.name == table.name && home.has(other));
        if by_bare_name && at_home && !home.has(table) {
            continue;
        }
        let seen = filter.unqualified && selected.iter().any(|known| known.name == table.name);
        if !seen {
            selected.push((*table).clone());
        }
    }
    selected
}

/// The names of the whitelist that are not there; a typo would otherwise poll nothing, in silence.
fn missing<'a>(filter: &'a TableFilter, dialect: &dyn Dialect, listed: &[TableId]) -> Vec<&'a String> {
    let is_there = |entry: &str| listed.iter().any(|table| entry == table.name || is_full_name(entry, table, dialect));
    filter.whitelist.iter().filter(|entry| !is_there(entry)).collect()
}

/// A name that is there, but that `table.types` or the patterns leave out.
struct LeftOut {
    name: String,
    table: TableId,
    kind: &'static str,
}

async fn elsewhere(
    missing: &[&String],
    filter: &TableFilter,
    dialect: &dyn Dialect,
    connection: &mut dyn SourceConnection,
) -> Result<Vec<LeftOut>> {
    let mut found: Vec<LeftOut> = Vec::new();
    for kind in dialect.table_types() {
        // First within the patterns, then anywhere.
        let within = (filter.catalog.catalog.clone(), filter.catalog.schema.clone());
        for (catalog, schema) in [within, (Some(String::new()), None)] {
            let of_kind = CatalogFilter { catalog, schema, types: vec![kind.to_owned()] };
            for table in connection.list_tables(&of_kind).await? {
                let names =
                    missing.iter().filter(|name| **name == table.name.as_str() || is_full_name(name, &table, dialect));
                for name in names {
                    if !found.iter().any(|known| known.name == **name) {
                        found.push(LeftOut { name: (*name).clone(), table: table.clone(), kind });
                    }
                }
            }
        }
    }
    Ok(found)
}

fn no_such_table(missing: &[&String], elsewhere: &[LeftOut], filter: &TableFilter, listed: &[TableId]) -> Error {
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let error = Error::new(ErrorKind::SourceSchema, format!("table.whitelist: no such table: {}", names.join(", ")));
    let of_other_types: Vec<&LeftOut> =
        elsewhere.iter().filter(|found| !filter.catalog.types.iter().any(|kind| kind == found.kind)).collect();
    if !of_other_types.is_empty() {
        let mut types = filter.catalog.types.clone();
        let mut what = Vec::new();
        for found in of_other_types {
            what.push(format!("`{}` is a {}", found.name, found.kind));
            if !types.iter().any(|kind| kind == found.kind) {
                types.push(found.kind.to_owned());
            }
        }
        return error.advise(format!("{}: set table.types={}", what.join(", "), types.join(",")));
    }
    if let Some(found) = elsewhere.first() {
        return error.advise(format!(
            "`{}` is there as {}, which schema.pattern, catalog.pattern or the database of connection.url leaves out",
            found.name, found.table
        ));
    }
    match missing.first().and_then(|first| nearest(first, listed)) {
        Some(near) => error.advise(format!(
            "did you mean `{near}`? names are case-sensitive; table.types and schema.pattern narrow the list"
        )),
        None => error.advise(format!(
            "the database lists {} tables for this user; table.types, schema.pattern and catalog.pattern narrow the list",
            listed.len()
        )),
    }
}

fn nearest(name: &str, listed: &[TableId]) -> Option<String> {
    let like = listed.iter().map(|table| (likeness_of(name, table), table));
    let (likeness, table) = like.max_by(|one, other| one.0.total_cmp(&other.0))?;
    may_be_meant(likeness).then(|| table.to_string())
}

/// The likeness of a table's name, with or without its schema.
fn likeness_of(name: &str, table: &TableId) -> f64 {
    likeness(name, &table.name).max(likeness(name, &table.to_string()))
}

/// The topic is named by the bare table name, so two tables of one name would mix (`connector-config.md`, 6.4).
fn check_topics(selected: &[TableId], home: Home<'_>) -> Result<()> {
    let mut by_name: BTreeMap<&str, &TableId> = BTreeMap::new();
    for table in selected {
        if let Some(other) = by_name.insert(&table.name, table) {
            let error = Error::config(format!("tables {other} and {table} would share one topic"));
            return Err(match (&table.catalog, home.catalog) {
                (Some(_), Some(database)) => error.advise(format!(
                    "set catalog.pattern={database} to read that database only, or narrow the selection with the table lists"
                )),
                _ => error.advise("narrow the selection with schema.pattern, catalog.pattern or the table lists"),
            });
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
pub(super) async fn watch(parts: &ConnectorParts, tasks: Vec<watch::Sender<Vec<Relation>>>) {
    let spec = &parts.spec;
    if matches!(spec.selection, Selection::Query { .. }) {
        return pending().await;
    }
    let mut homes = HashMap::new();
    loop {
        tokio::time::sleep(spec.polling.table_interval).await;
        match list(parts).await {
            Ok((current, nothing)) => {
                parts.options.board.nothing_selected(nothing.as_ref());
                reassign(&tasks, &current, named(spec), &mut homes);
            }
            Err(error) => tracing::warn!(error = %error.report(), "cannot list the tables, trying again"),
        }
    }
}

/// A connection of its own for each listing: minutes apart, an idle one would only be in the way. Another
/// server's tables are not those of the connector.
async fn list(parts: &ConnectorParts) -> Result<(Vec<Relation>, Option<Error>)> {
    let (spec, dialect) = (&parts.spec, parts.dialect);
    let Selection::Tables(filter) = &spec.selection else { return Ok((Vec::new(), None)) };
    let mut connection = parts.options.sessions.open(dialect, &spec.source).await?;
    let found = inspect::server_of(spec.identity.server, &mut *connection).await?;
    parts.server.agrees(found.as_ref())?;
    let listed = connection.list_tables(&filter.catalog).await?;
    connection.close().await;
    let home = Home::of(&spec.source.url);
    let selected = select(filter, home, dialect, &listed);
    check_topics(&selected, home)?;
    let nothing = (selected.is_empty() && !named(spec)).then(|| nothing_selected(filter, &listed));
    Ok((selected.into_iter().map(Relation::Table).collect(), nothing))
}

/// True if the tables are named one by one; such a table is missed when it is gone, not forgotten.
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

/// True if another table of that bare name, and so of that topic, is listed: the table has moved.
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
    fn a_filter_that_selects_nothing_names_what_there_is_the_nearest_first() {
        let listed = ["customers", "items", "orders", "orders_old"].map(|name| match table(name) {
            Relation::Table(id) => id,
            Relation::Query(_) => unreachable!(),
        });
        let of = |pattern: &str| {
            let include = vec![Regex::new(&format!("^(?:{pattern})$")).unwrap()];
            nothing_selected(&TableFilter { include, ..TableFilter::default() }, &listed)
        };
        let bare = of("orders");
        assert_eq!(bare.kind().exit_code(), 2);
        assert!(bare.report().contains("table.include.list does not match any of the 4 tables"), "{bare}");
        assert_eq!(
            bare.advice(),
            "did you mean `public.orders`? a pattern must match the whole dotted name; there are public.orders, \
             public.orders_old, public.customers, public.items"
        );
        assert!(of("public.Order").advice().starts_with("did you mean `public.orders`?"));
        assert!(of("zzzzzzzzzzzzzzzz").advice().starts_with("a pattern must match"));
        let none = nothing_selected(&TableFilter::default(), &[]);
        assert!(none.report().contains("lists none for this user") && none.advice().contains("table.types"));
        let pattern = |text: &str| Regex::new(&format!("^(?:{text})$")).unwrap();
        let filter = TableFilter {
            include: vec![pattern("public.orders"), pattern("public.itmes")],
            exclude: vec![pattern("secret")],
            ..TableFilter::default()
        };
        assert_eq!(
            idle_patterns(&filter, &listed),
            [
                "table.include.list: `public.itmes` matches no table that there is; did you mean `public.items`?",
                "table.exclude.list: `secret` matches no table that there is",
            ]
        );
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
