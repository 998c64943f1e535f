//! `/connectors/{name}/pause`, `resume`, `stop` and `restart`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::HttpState;
use super::answer::{Answer, Refused, ok};
use super::request::{Asked, At};
use crate::herder::{ConnectState, ConnectorInfo, HerderError};

fn unknown(error: HerderError) -> Refused {
    Refused::of(error, |name| format!("Unknown connector {name}"))
}

/// No polls until it is resumed.
pub(super) async fn pause(State(state): State<HttpState>, At(name): At<String>) -> Answer<StatusCode> {
    state.herder.pause(&name).await.map_err(unknown)?;
    Ok(StatusCode::ACCEPTED)
}

/// From paused or stopped.
pub(super) async fn resume(State(state): State<HttpState>, At(name): At<String>) -> Answer<StatusCode> {
    state.herder.resume(&name).await.map_err(unknown)?;
    Ok(StatusCode::ACCEPTED)
}

/// No tasks until it is resumed.
pub(super) async fn stop(State(state): State<HttpState>, At(name): At<String>) -> Answer<StatusCode> {
    state.herder.stop(&name).await.map_err(unknown)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A connector and its tasks start anew together. With a flag the answer comes at once, and says what will be started.
pub(super) async fn restart(State(state): State<HttpState>, At(name): At<String>, asked: Asked) -> Answer {
    let unknown = |error| Refused::of(error, |name| format!("Unknown connector: {name}"));
    let (all, only_failed) = (asked.is_true("includeTasks"), asked.is_true("onlyFailed"));
    if !all && !only_failed {
        state.herder.restart(&name, false).await.map_err(unknown)?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let info = state.herder.status(&name).map_err(unknown)?;
    // It is carried out although nobody waits for it; what is refused is refused at once.
    if let Some(Err(error)) = state.herder.restart(&name, only_failed).now_or_never() {
        return Err(unknown(error));
    }
    Ok(planned(&state, info, only_failed))
}

fn planned(state: &HttpState, mut info: ConnectorInfo, only_failed: bool) -> Response {
    let planned = |state: ConnectState| match state {
        ConnectState::Failed => ConnectState::Restarting,
        ConnectState::Running | ConnectState::Unassigned if !only_failed => ConnectState::Restarting,
        other => other,
    };
    info.state = planned(info.state);
    info.tasks.iter_mut().for_each(|task| *task = planned(*task));
    (StatusCode::ACCEPTED, ok(state.view.state(&info))).into_response()
}
