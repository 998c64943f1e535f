//! `GET /status`: every connector and table, with state, reason, advice and position.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::HttpState;
use crate::status::now_millis;

/// All boards.
pub(super) async fn status(State(state): State<HttpState>) -> Json<Value> {
    let statuses = state.boards.snapshot();
    let now = now_millis();
    let ready = !statuses.is_empty() && statuses.iter().all(|status| status.is_ready(now));
    Json(json!({"version": env!("CARGO_PKG_VERSION"), "ready": ready, "connectors": statuses}))
}
