//! `/connectors/{name}/topics`: what a connector has written to.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::HttpState;
use super::answer::ok;
use super::request::At;

/// The topics; none of a connector that is not there.
pub(super) async fn list(State(state): State<HttpState>, At(name): At<String>) -> Response {
    let topics = json!({"topics": state.herder.topics(&name)});
    ok(Value::Object(Map::from_iter([(name, topics)])))
}

/// Forgets them.
pub(super) async fn reset(State(state): State<HttpState>, At(name): At<String>) -> StatusCode {
    state.herder.reset_topics(&name);
    StatusCode::ACCEPTED
}
