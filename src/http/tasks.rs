//! `/connectors/{name}/tasks` and below, and `tasks-config`.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::HttpState;
use super::answer::{Answer, Refused, ok};
use super::request::At;

/// The tasks with their settings.
pub(super) async fn list(State(state): State<HttpState>, At(name): At<String>) -> Answer {
    let tasks = state.herder.tasks(&name)?;
    let task =
        |(index, settings)| json!({"id": {"connector": name, "task": index}, "config": state.view.settings(settings)});
    Ok(ok(Value::Array(tasks.iter().enumerate().map(task).collect())))
}

/// The same in the form of Kafka Connect before 4.0.
pub(super) async fn configs(State(state): State<HttpState>, At(name): At<String>) -> Answer {
    let tasks = state.herder.tasks(&name)?;
    let tasks =
        tasks.iter().enumerate().map(|(index, settings)| (format!("{name}-{index}"), state.view.settings(settings)));
    Ok(ok(Value::Object(Map::from_iter(tasks))))
}

/// The number of a task in a path; what is none is no path.
fn number(text: &str) -> Answer<usize> {
    text.parse().map_err(|_| Refused::plain(StatusCode::NOT_FOUND))
}

/// The state of one.
pub(super) async fn status(State(state): State<HttpState>, At((name, task)): At<(String, String)>) -> Answer {
    let index = number(&task)?;
    let info = state.herder.status(&name).ok();
    let found = info.and_then(|info| state.view.task(&info, index));
    found.map(ok).ok_or_else(|| Refused::not_found(format!("No status found for task {name}-{index}")))
}

/// The tasks of a connector live together: with one of them all start anew.
pub(super) async fn restart(
    State(state): State<HttpState>,
    At((name, task)): At<(String, String)>,
) -> Answer<StatusCode> {
    let index = number(&task)?;
    let unknown = |error| Refused::of(error, |name| format!("Unknown connector: {name}"));
    let info = state.herder.status(&name).map_err(unknown)?;
    if index >= info.tasks.len() {
        return Err(Refused::not_found(format!("Unknown task: {name}-{index}")));
    }
    state.herder.restart(&name, false).await.map_err(unknown)?;
    Ok(StatusCode::NO_CONTENT)
}
