//! `GET /health/live` and `GET /health/ready`, for orchestrators. Ready means that every table was polled
//! successfully within its allowance, not that a task exists.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::HttpState;
use crate::status::{Unready, now_millis};

/// The process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

/// 200 if every connector is ready; else 503 with all that is wrong.
pub(super) async fn ready(State(state): State<HttpState>) -> (StatusCode, Json<Value>) {
    let statuses = state.boards.snapshot();
    let now = now_millis();
    let mut problems: Vec<Unready> = statuses.iter().flat_map(|status| status.unready(now)).collect();
    if statuses.is_empty() {
        let reason = "no connector has started yet".to_owned();
        problems.push(Unready { connector: None, table: None, reason, advice: None });
    }
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": problems.is_empty(), "problems": problems})))
}
