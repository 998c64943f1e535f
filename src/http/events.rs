//! `GET /rowtide/v1/events`: what has happened of late.

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use super::HttpState;
use super::answer::{Answer, ok};
use super::request::Asked;

/// The events behind an id, and the id of the last one.
pub(super) async fn list(State(state): State<HttpState>, asked: Asked) -> Answer<Response> {
    let after = asked.number("after")?.unwrap_or(0);
    let connector = asked.all("connector").next();
    let (events, last) = state.boards.events().after(after, connector);
    Ok(ok(json!({"events": events, "last": last})))
}
