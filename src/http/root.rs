//! `GET /` and `GET /health`: the version that clients look for, and the health of the worker.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::HttpState;

/// The version of Kafka whose REST this is: clients choose by it what they may ask.
const VERSION: &str = "3.9.0";

/// Version and cluster.
pub(super) async fn root(State(state): State<HttpState>) -> Json<Value> {
    let commit = concat!("rowtide-", env!("CARGO_PKG_VERSION"));
    Json(json!({"version": VERSION, "commit": commit, "kafka_cluster_id": state.herder.cluster_id().await}))
}

/// Health of the worker: 200 once the connectors that were kept are there. Tables have `/health/ready`.
pub(super) async fn health(State(state): State<HttpState>) -> (StatusCode, Json<Value>) {
    if state.herder.has_started() {
        let message = "Worker has completed startup and is ready to handle requests.";
        (StatusCode::OK, Json(json!({"status": "healthy", "message": message})))
    } else {
        let body = json!({"status": "starting", "message": super::STARTING});
        (StatusCode::SERVICE_UNAVAILABLE, Json(body))
    }
}
