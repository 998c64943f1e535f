//! `GET /` and `GET /health`: the version that clients look for, or the page for people, and the health of the worker.

use axum::Json;
use axum::extract::State;
use axum::http::header::VARY;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{HttpState, page};

/// The version of Kafka whose REST this is: clients choose by it what they may ask.
const VERSION: &str = "3.9.0";

/// Version and cluster; to a browser the page.
pub(super) async fn root(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    if page::is_preferred(&headers) {
        return page::index(&headers);
    }
    let commit = concat!("rowtide-", env!("CARGO_PKG_VERSION"));
    let body = json!({"version": VERSION, "commit": commit, "kafka_cluster_id": state.herder.cluster_id().await});
    ([(VARY, "Accept")], Json(body)).into_response()
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
