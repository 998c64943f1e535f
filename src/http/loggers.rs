//! `/admin/loggers`: the levels of the log, changed while the process runs.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::HttpState;
use super::answer::{Answer, Refused, ok};
use super::request::{Asked, At, Body};
use crate::status::now_millis;
use crate::telemetry::{LoggerLevel, level_named};

fn shown(level: &LoggerLevel) -> Value {
    json!({"level": level.level, "last_modified": level.last_modified})
}

/// Those with a level of their own.
pub(super) async fn list(State(state): State<HttpState>) -> Response {
    let all = state.logs.all();
    ok(Value::Object(Map::from_iter(all.iter().map(|(name, level)| (name.clone(), shown(level))))))
}

/// The level that counts for one.
pub(super) async fn get(State(state): State<HttpState>, At(name): At<String>) -> Answer {
    let found = state.logs.level(&name);
    found.map(|level| ok(shown(&level))).ok_or_else(|| Refused::not_found(format!("Logger {name} not found.")))
}

/// Changes it, and those below it. There is one worker, so `scope=cluster` changes the same, and answers as a cluster does.
pub(super) async fn put(
    State(state): State<HttpState>,
    At(name): At<String>,
    asked: Asked,
    Body(body): Body,
) -> Answer {
    let Some(word) = body.get("level").and_then(Value::as_str) else {
        return Err(Refused::bad("Desired 'level' parameter was not specified in request."));
    };
    let Some(level) = level_named(word) else {
        return Err(Refused::not_found(format!("invalid log level '{word}'.")));
    };
    let changed = state.logs.set(&name, level, now_millis()).map_err(|error| Refused::bad(error.report()))?;
    tracing::info!(logger = %name, level, "the level of a logger was changed");
    if asked.all("scope").any(|scope| scope.eq_ignore_ascii_case("cluster")) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(ok(Value::from(changed)))
}
