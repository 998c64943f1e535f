//! `GET /health/live` and `GET /health/ready`, for orchestrators. Ready means that every table was polled
//! successfully within its allowance, not that a task exists.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::HttpState;
use super::auth::Anonymous;
use crate::status::{Unready, now_millis};

/// The process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

/// 200 if every connector is ready; else 503 with all that is wrong, but not for everybody. A worker that takes connectors by
/// request is ready when it has none.
pub(super) async fn ready(
    State(state): State<HttpState>,
    anonymous: Option<Extension<Anonymous>>,
) -> (StatusCode, Json<Value>) {
    let statuses = state.boards.snapshot();
    let now = now_millis();
    let mut problems: Vec<Unready> = statuses.iter().flat_map(|status| status.unready(now)).collect();
    if statuses.is_empty() && !(state.may_be_empty && state.herder.has_started()) {
        let reason = "no connector has started yet".to_owned();
        problems.push(Unready { connector: None, table: None, reason, advice: None });
    }
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if anonymous.is_some() {
        return (status, Json(json!({"ready": problems.is_empty()})));
    }
    (status, Json(json!({"ready": problems.is_empty(), "problems": problems})))
}
