//! What `check` and `explain` look at: the same steps a running connector takes, without writing.

use crate::config::spec::{ConnectorSpec, ModeName, ServerIdentity};
use crate::dialect::{Dialect, PlanReport, SourceConnection};
use crate::error::{ErrorKind, Result};
use crate::model::{CursorFact, CursorValue, PlannedQuery, Position, Relation, Server};
use crate::task::binding::Binding;
use crate::task::facts;
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
    if let Some(vigil) = connection.vigil() {
        vigil.bound_for(relation, spec.source.statement_timeout);
    }
    let times = spec.mode.timestamp_columns(&relation.to_string());
    let described = connection.describe(relation, times).await;
    described
        .and_then(|definition| Binding::new(spec, dialect.syntax(), definition))
        .map_err(|error| error.with("table", relation))
}

/// What is known of the cursor columns of a binding.
///
/// # Errors
/// `SourceSchema` and `Cursor` if a column cannot serve; those of the connection.
pub async fn cursor_facts(
    spec: &ConnectorSpec,
    connection: &mut dyn SourceConnection,
    binding: &Binding,
) -> Result<Vec<CursorFact>> {
    let mut known = facts::of_rules(connection, binding).await?;
    known.extend(facts::of_ids(connection, binding).await?);
    known.extend(facts::of_times(connection, binding, &spec.source.types.all.zone).await?.fact);
    Ok(known)
}

/// Up to where a poll would read now; none without a timestamp.
///
/// # Errors
/// Those of the connection.
pub async fn upper(
    spec: &ConnectorSpec,
    connection: &mut dyn SourceConnection,
    binding: &Binding,
) -> Result<Option<CursorValue<'static>>> {
    match binding.planner.time_kind() {
        Some(kind) => connection.upper_bound(kind, spec.polling.delay).await.map(Some),
        None => Ok(None),
    }
}

/// What there is to say of the server: which it is, and whether the stored offsets belong to it.
///
/// # Errors
/// `ForeignServer` if they belong to another.
pub fn server(spec: &ConnectorSpec, found: Option<&Server>, remembered: Option<&Server>) -> Result<String> {
    let Some(found) = found else { return Ok("has no identity that could be remembered".to_owned()) };
    let identity = &found.identity;
    if spec.mode.mode == ModeName::Bulk {
        return Ok(format!("{identity}; mode=bulk has no offsets that would belong to it"));
    }
    if spec.identity.server == ServerIdentity::Off {
        return Ok(format!("{identity}; server.identity=off takes any"));
    }
    Ok(match (ServerGuard::new(false, spec.identity.server).judge(remembered, found)?, remembered) {
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
    let upper = upper(spec, connection, binding).await?;
    let query = binding.planner.page(position, upper.as_ref(), spec.polling.batch_max_rows + 1);
    // It has just been described.
    let plan = connection.explain(&query).await.map_err(|error| match error.kind() {
        ErrorKind::SchemaChanged => error.of_unchanged(binding.statement_advice()),
        _ => error,
    })?;
    Ok((plan, query))
}
