//! `/connectors/{name}/offsets`: stored offsets are shown, changed and forgotten (KIP-875).

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::HttpState;
use super::answer::{Answer, Refused, ok};
use super::request::{At, Body};
use crate::offsets::format;

/// All of them, read now.
pub(super) async fn get(State(state): State<HttpState>, At(name): At<String>) -> Answer {
    let offsets = state.herder.offsets(&name).await?;
    let body = format::to_rest(offsets.iter().map(|(partition, offset)| (partition, Some(offset))));
    Ok((StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response())
}

/// Changes those that are named.
pub(super) async fn patch(State(state): State<HttpState>, At(name): At<String>, Body(body): Body) -> Answer {
    let is_empty = |offsets: &Value| offsets.is_null() || offsets.as_array().is_some_and(Vec::is_empty);
    if body.get("offsets").is_none_or(is_empty) {
        return Err(Refused::bad("Partitions / offsets need to be provided for an alter offsets request"));
    }
    state.herder.config(&name)?;
    let changes = format::from_rest(&name, &body.to_string()).map_err(|error| Refused::bad(error.report()))?;
    state.herder.alter_offsets(&name, changes).await?;
    Ok(done("altered"))
}

/// Forgets all of them.
pub(super) async fn delete(State(state): State<HttpState>, At(name): At<String>) -> Answer {
    state.herder.reset_offsets(&name).await?;
    Ok(done("reset"))
}

/// The sentence of Kafka Connect for a connector that leaves its offsets to it.
fn done(what: &str) -> Response {
    let message = format!(
        "The Connect framework-managed offsets for this connector have been {what} successfully. However, if this connector \
         manages offsets externally, they will need to be manually {what} in the system that the connector uses."
    );
    ok(json!({"message": message}))
}
