//! Selection of the relations that a connector polls: the database's list, through the connector's filters. Where nothing
//! is selected, or a named table is missing, the error tells the names that may be meant.

use std::collections::HashSet;

use regex::Regex;

use super::home::Home;
use super::topics;
use crate::config::spec::{CatalogFilter, ConnectorSpec, Selection, TableFilter};
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
    /// Oddities of settings of single tables, and of the topics of all.
    pub notes: Vec<String>,
}

/// The relations that the connector polls now.
///
/// # Errors
/// `SourceSchema` if a table of `table.whitelist` does not exist, `Config` if two tables would share a topic, or one would go to
/// that of offsets or dead letters.
pub async fn selected(
    spec: &ConnectorSpec,
    dialect: &dyn Dialect,
    connection: &mut dyn SourceConnection,
) -> Result<Selected> {
    let filter = match &spec.selection {
        Selection::Query { sql, .. } => {
            let relations = vec![Relation::Query(sql.clone())];
            return Ok(Selected { relations, nothing: None, idle_patterns: Vec::new(), notes: Vec::new() });
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
    let nothing = selected.is_empty().then(|| nothing_selected(filter, &listed));
    let idle_patterns = if nothing.is_none() { idle_patterns(filter, &listed) } else { Vec::new() };
    let relations: Vec<Relation> = selected.into_iter().map(Relation::Table).collect();
    let mut notes = topics::look(spec, &relations, home)?;
    if nothing.is_none() {
        notes.extend(spec.tables.unplaced(&relations));
    }
    Ok(Selected { relations, nothing, idle_patterns, notes })
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

/// The selected tables that are listed now, also if a named one is missing; and the reason if there is none.
///
/// # Errors
/// `Config` if two tables would share a topic; those of the connection.
pub(super) async fn listed(
    spec: &ConnectorSpec,
    filter: &TableFilter,
    dialect: &dyn Dialect,
    connection: &mut dyn SourceConnection,
) -> Result<(Vec<Relation>, Option<Error>)> {
    let listed = connection.list_tables(&filter.catalog).await?;
    let home = Home::of(&spec.source.url);
    let selected = select(filter, home, dialect, &listed);
    let nothing = selected.is_empty().then(|| nothing_selected(filter, &listed));
    let relations: Vec<Relation> = selected.into_iter().map(Relation::Table).collect();
    topics::look(spec, &relations, home)?;
    Ok((relations, nothing))
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

/// The dotted name of a table, plain and quoted, which is unambiguous.
fn full_names(table: &TableId, dialect: &dyn Dialect) -> [String; 2] {
    [table.to_string(), quoted(dialect, table)]
}

fn is_full_name(entry: &str, table: &TableId, dialect: &dyn Dialect) -> bool {
    full_names(table, dialect).iter().any(|name| name == entry)
}

fn select(filter: &TableFilter, home: Home<'_>, dialect: &dyn Dialect, listed: &[TableId]) -> Vec<TableId> {
    let matching: Vec<&TableId> =
        listed.iter().filter(|table| filter.selects(table, &quoted(dialect, table))).collect();
    let whitelist: HashSet<&str> = filter.whitelist.iter().map(String::as_str).collect();
    let names_at_home: HashSet<&str> =
        matching.iter().filter(|table| home.has(table)).map(|table| table.name.as_str()).collect();
    let (mut selected, mut seen): (Vec<TableId>, HashSet<&str>) = (Vec::new(), HashSet::new());
    for table in &matching {
        // A bare name that several tables have means the one in the home schema, unless another is named in full.
        let is_named_in_full = || full_names(table, dialect).iter().any(|name| whitelist.contains(name.as_str()));
        let by_bare_name = filter.unqualified || !whitelist.is_empty() && !is_named_in_full();
        if by_bare_name && names_at_home.contains(table.name.as_str()) && !home.has(table) {
            continue;
        }
        let is_first = seen.insert(&table.name);
        if is_first || !filter.unqualified {
            selected.push((*table).clone());
        }
    }
    selected
}

/// The names of the whitelist that are not there; a typo would otherwise poll nothing, in silence.
fn missing<'a>(filter: &'a TableFilter, dialect: &dyn Dialect, listed: &[TableId]) -> Vec<&'a String> {
    if filter.whitelist.is_empty() {
        return Vec::new();
    }
    let names = |table: &TableId| full_names(table, dialect).into_iter().chain([table.name.clone()]);
    let there: HashSet<String> = listed.iter().flat_map(names).collect();
    filter.whitelist.iter().filter(|entry| !there.contains(*entry)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_selects_nothing_names_what_there_is_the_nearest_first() {
        let listed = ["customers", "items", "orders", "orders_old"].map(|name| TableId {
            catalog: None,
            schema: Some("public".into()),
            name: name.into(),
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
}
