//! `/connectors/{name}/config`: settings are shown, replaced and changed.

use axum::extract::State;

use super::HttpState;
use super::answer::{Answer, Refused, ok};
use super::given::{ORIGIN, parse, parse_with_nulls, set_name};
use super::request::{At, Body};
use super::shown::{created, shown};
use super::view::raw;
use crate::config::Document;
use crate::herder::{Put, SettingChanges, Written};

/// The settings, and nothing else.
pub(super) async fn get(State(state): State<HttpState>, At(name): At<String>) -> Answer {
    Ok(ok(state.view.settings(&raw(&state.herder.config(&name)?))))
}

/// All of them, anew; makes the connector if there is none.
pub(super) async fn put(State(state): State<HttpState>, At(name): At<String>, Body(body): Body) -> Answer {
    let mut given = parse(body)?;
    set_name(&mut given, &name)?;
    let known = state.herder.config(&name).ok().map(|document| raw(&document));
    state.view.reveal(&mut given, known.as_ref())?;
    match state.herder.put(Document::from_map(ORIGIN, given), Put::Replace).await? {
        Written::Created => created(&state, &name),
        Written::Replaced => shown(&state, &name),
    }
}

/// Some of them; null takes one away.
pub(super) async fn patch(State(state): State<HttpState>, At(name): At<String>, Body(body): Body) -> Answer {
    let known = raw(&state.herder.config(&name)?);
    let (mut given, gone) = parse_with_nulls(body)?;
    if gone.iter().any(|key| key == "name") {
        return Err(Refused::bad("`name` cannot be taken away from a connector"));
    }
    if given.contains_key("name") {
        set_name(&mut given, &name)?;
    }
    state.view.reveal(&mut given, Some(&known))?;
    let changes: SettingChanges = given
        .into_iter()
        .map(|(key, value)| (key, Some(value)))
        .chain(gone.into_iter().map(|key| (key, None)))
        .collect();
    state.herder.patch(&name, changes).await?;
    shown(&state, &name)
}
