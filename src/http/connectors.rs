//! `/connectors` and `/connectors/{name}`: the list, with information and states; connectors are made, shown and deleted.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

use super::HttpState;
use super::answer::{Answer, Refused, ok};
use super::given::{ORIGIN, parse, set_name};
use super::request::{Asked, At, Body};
use super::shown::{created, shown};
use super::view::raw;
use crate::config::Document;
use crate::herder::{Put, TargetState};

const FIELDS: &[&str] = &["name", "config", "initial_state"];

/// The names, or by name what `expand` asks for.
pub(super) async fn list(State(state): State<HttpState>, asked: Asked) -> Response {
    let names = state.herder.connectors();
    if asked.all("expand").next().is_none() {
        return ok(Value::from(names));
    }
    let mut all = Map::new();
    for name in names {
        let mut expanded = Map::new();
        for what in asked.all("expand") {
            // One that goes meanwhile is left out.
            let (Ok(info), Ok(document)) = (state.herder.status(&name), state.herder.config(&name)) else { continue };
            match what {
                "status" => expanded.insert("status".to_owned(), state.view.state(&info)),
                "info" => expanded.insert("info".to_owned(), state.view.info(&info, &raw(&document))),
                _ => None,
            };
        }
        all.insert(name, Value::Object(expanded));
    }
    ok(Value::Object(all))
}

/// Makes a connector.
pub(super) async fn create(State(state): State<HttpState>, Body(body): Body) -> Answer {
    let Value::Object(mut body) = body else {
        return Err(Refused::bad("The body must be an object: {\"name\": ..., \"config\": {...}}"));
    };
    if let Some(other) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        let known = r#"3 known properties: "config", "name", "initial_state""#;
        return Err(Refused::bad(format!("Unrecognized field \"{other}\", not marked as ignorable ({known})")));
    }
    let name = match body.remove("name") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(name)) => name.trim().to_owned(),
        Some(_) => return Err(Refused::bad("`name` must be text")),
    };
    let target = initial_state(body.get("initial_state"))?;
    let Some(config) = body.remove("config").filter(|config| !config.is_null()) else {
        return Err(Refused::bad("`config` is missing: an object with the settings of the connector"));
    };
    let mut given = parse(config)?;
    set_name(&mut given, &name)?;
    state.view.reveal(&mut given, None)?;
    let document = Document::from_map(ORIGIN, given.clone());
    state.herder.put(document, Put::Create(target)).await?;
    created(&state, &name)
}

fn initial_state(given: Option<&Value>) -> Answer<TargetState> {
    let word = match given {
        None | Some(Value::Null) => return Ok(TargetState::Running),
        Some(Value::String(word)) => word.to_ascii_uppercase(),
        Some(_) => String::new(),
    };
    match word.as_str() {
        "RUNNING" => Ok(TargetState::Running),
        "PAUSED" => Ok(TargetState::Paused),
        "STOPPED" => Ok(TargetState::Stopped),
        _ => Err(Refused::bad("`initial_state` must be one of RUNNING, PAUSED, STOPPED")),
    }
}

/// Shows one.
pub(super) async fn get(State(state): State<HttpState>, At(name): At<String>) -> Answer {
    shown(&state, &name)
}

/// Deletes one.
pub(super) async fn delete(State(state): State<HttpState>, At(name): At<String>) -> Answer<StatusCode> {
    state.herder.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Its state and that of its tasks.
pub(super) async fn status(State(state): State<HttpState>, At(name): At<String>) -> Answer {
    let info = state.herder.status(&name);
    let info = info.map_err(|error| Refused::of(error, |name| format!("No status found for connector {name}")))?;
    Ok(ok(state.view.state(&info)))
}
