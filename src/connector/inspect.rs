//! What `check` and `explain` look at: the same steps a running connector takes, without writing.

use crate::config::spec::ConnectorSpec;
use crate::dialect::{Dialect, SourceConnection};
use crate::error::Result;
use crate::model::Relation;
use crate::task::binding::Binding;

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
    let times = spec.mode.timestamp_columns(&relation.to_string());
    let described = connection.describe(relation, times).await;
    described
        .and_then(|definition| Binding::new(spec, dialect.syntax(), definition))
        .map_err(|error| error.with("table", relation))
}
