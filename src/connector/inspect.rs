//! Inspection for `check` and `explain`: the same steps a running connector takes, without writing.

use crate::config::spec::{ConnectorSpec, ServerIdentity, TableSpec};
use crate::convert::Converter;
use crate::dialect::{Dialect, PlanReport, SourceConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Backfill, CursorFact, NotPolled, PlannedQuery, Position, Relation, Server};
use crate::task::binding::{Binding, describe};
use crate::task::driver_types::DriverChoices;
use crate::task::facts;
use crate::task::odd;
use crate::task::server::{ServerGuard, Verdict};

/// Describes a relation and resolves it against the configuration.
///
/// # Errors
/// As [`Binding::new`] and [`SourceConnection::describe`], with the table.
pub async fn binding(
    spec: &ConnectorSpec,
    dialect: &'static dyn Dialect,
    connection: &mut dyn SourceConnection,
    relation: &Relation,
) -> Result<Binding> {
    binding_for(spec, dialect, connection, relation, &*spec.value_converter.create()?).await
}

/// The same, for the converter of values that there is: one for many relations.
///
/// # Errors
/// Those of [`binding`].
pub async fn binding_for(
    spec: &ConnectorSpec,
    dialect: &'static dyn Dialect,
    connection: &mut dyn SourceConnection,
    relation: &Relation,
    values: &dyn Converter,
) -> Result<Binding> {
    binding_of(&spec.for_table(relation), dialect, connection, values).await
}

async fn binding_of(
    table: &TableSpec,
    dialect: &'static dyn Dialect,
    connection: &mut dyn SourceConnection,
    values: &dyn Converter,
) -> Result<Binding> {
    if let Some(vigil) = connection.vigil() {
        vigil.bound_for(&table.relation, table.statement_timeout);
    }
    let bound = async {
        let definition = describe(table, connection).await?;
        let topic = table.topic()?;
        let (definition, by_driver) =
            DriverChoices::default().settle(definition, (&topic, table.value_schema_name()?), values).await?;
        let mut binding = Binding::new(table, dialect.syntax(), definition)?;
        binding.by_driver = by_driver;
        Ok(binding)
    };
    bound.await.map_err(|error: Error| error.with("table", &table.relation))
}

/// Looks whether a table can be read again as a backfill asks for it: its topic, and its condition, by the database's plan
/// of the first page.
///
/// # Errors
/// `Config` where topic or mode cannot be; `Query` and others of the connection where the database does not take the
/// condition.
pub async fn backfill(
    spec: &ConnectorSpec,
    dialect: &'static dyn Dialect,
    connection: &mut dyn SourceConnection,
    (relation, request): (&Relation, &Backfill),
) -> Result<()> {
    let table = spec.for_table(relation).for_backfill(request)?;
    let binding = binding_of(&table, dialect, connection, &*spec.value_converter.create()?).await?;
    if request.condition.is_none() {
        return Ok(());
    }
    let page = binding.planner.page(None, None, 1);
    let asked = connection.explain(&page).await;
    asked.map(|_| ()).map_err(|error| match error.kind() {
        ErrorKind::Unreachable => error,
        _ => {
            error.with("table", relation).advise("mend the condition (`where`): it stands in parentheses behind WHERE")
        }
    })
}

/// The cursor columns, and the rows that no poll reads because of them.
#[derive(Debug)]
pub struct CursorKnown {
    /// The meaning of the database's rules, and of the values, for them.
    pub facts: Vec<CursorFact>,
    /// Rows that no poll reads because of their values.
    pub not_polled: Vec<NotPolled>,
    /// The reason why such rows could not be looked for.
    pub blind: Option<Error>,
}

/// The cursor columns of a binding, as a running task judges them.
///
/// # Errors
/// `SourceSchema` and `Cursor` if a column cannot serve, or rows stop the table; those of the connection.
pub async fn cursor(
    spec: &ConnectorSpec,
    connection: &mut dyn SourceConnection,
    binding: &Binding,
) -> Result<CursorKnown> {
    let table = &spec.for_table(&binding.definition.relation);
    let mut facts = facts::of_rules(connection, binding).await?;
    facts.extend(facts::of_ids(connection, binding).await?);
    let times = facts::of_times(table, connection, binding).await?;
    facts.extend(times.fact.clone());
    match odd::find(table, connection, binding, &times, table.statement_timeout).await {
        Ok(not_polled) => {
            odd::check(table, binding, &times, &not_polled)?;
            Ok(CursorKnown { facts, not_polled, blind: None })
        }
        Err(error) if error.kind() == ErrorKind::Unreachable => Err(error),
        Err(error) => Ok(CursorKnown { facts, not_polled: Vec::new(), blind: Some(error) }),
    }
}

/// The server in words: its identity, and whether the stored offsets belong to it.
///
/// # Errors
/// `ForeignServer` if they belong to another.
pub fn server(spec: &ConnectorSpec, found: Option<&Server>, remembered: Option<&Server>) -> Result<String> {
    let Some(found) = found else { return Ok("has no identity that could be remembered".to_owned()) };
    let identity = &found.identity;
    if spec.is_bulk() {
        return Ok(format!("{identity}; mode=bulk has no offsets that would belong to it"));
    }
    if spec.identity.server == ServerIdentity::Off {
        return Ok(format!("{identity}; server.identity=off takes any"));
    }
    Ok(match (ServerGuard::new(false, spec.identity.server).check(remembered, found)?, remembered) {
        (Verdict::Known, _) => format!("{identity}, as remembered"),
        (Verdict::Remember(_), Some(remembered)) if remembered.identity == *identity => {
            format!("{identity}, as remembered; the next run remembers its cluster too")
        }
        (Verdict::Remember(_), Some(remembered)) => format!("{identity}, remembered as `{}`", remembered.identity),
        (Verdict::Remember(_), None) => format!("{identity}, not remembered yet; the first run does"),
    })
}

/// The server that a connection leads to, as far as the configuration wants to know; none where it has no identity.
///
/// # Errors
/// Those of the connection.
pub async fn server_of(by: ServerIdentity, connection: &mut dyn SourceConnection) -> Result<Option<Server>> {
    let Some(mut server) = connection.identity().map(Server::host) else { return Ok(None) };
    if by == ServerIdentity::Cluster {
        server.lineage = connection.lineage().await?;
    }
    Ok(Some(server))
}

/// The database's plan of the page after `position`. It needs the privilege to read, and reads nothing.
///
/// # Errors
/// `Privilege`, and others of the connection.
pub async fn plan(
    spec: &ConnectorSpec,
    connection: &mut dyn SourceConnection,
    binding: &Binding,
    position: Option<&Position>,
) -> Result<(PlanReport, PlannedQuery)> {
    let query = facts::page_of_now(connection, &binding.planner, &spec.polling, position).await?;
    // It has just been described.
    let plan = connection.explain(&query).await.map_err(|error| match error.kind() {
        ErrorKind::SchemaChanged => error.of_unchanged(binding.statement_advice()),
        _ => error,
    })?;
    Ok((plan, query))
}
