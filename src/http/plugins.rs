//! `/connector-plugins`: the classes that rowtide runs in the place of Kafka Connect's, and their settings.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::HttpState;
use super::answer::{Answer, Refused, ok};
use super::classes::{CONNECTORS, is_meant, transform_classes};
use super::definitions::{self, Definition};
use super::request::{Asked, At};
use crate::convert::CONVERTERS;
use crate::transform::PREDICATES;

const HEADER_CONVERTER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// Connectors, or with `connectorsOnly=false` everything that has a class.
pub(super) async fn list(_: State<HttpState>, asked: Asked) -> Response {
    let plugin = |class: &str, kind: &str| json!({"class": class, "type": kind, "version": env!("CARGO_PKG_VERSION")});
    let mut plugins: Vec<Value> = CONNECTORS.iter().map(|class| plugin(class, "source")).collect();
    if asked.all("connectorsOnly").any(|only| !only.eq_ignore_ascii_case("true")) {
        plugins.extend(transform_classes().map(|(class, _)| plugin(&class, "transformation")));
        plugins.extend(PREDICATES.iter().map(|predicate| plugin(predicate.class, "predicate")));
        plugins.extend(CONVERTERS.iter().map(|converter| plugin(converter.class, "converter")));
        plugins.push(plugin(HEADER_CONVERTER, "header_converter"));
    }
    ok(Value::from(plugins))
}

/// The settings of a class; of a connector its own first, then those of all connectors.
pub(super) async fn config(_: State<HttpState>, At(name): At<String>) -> Answer {
    let all = |found: Vec<Definition>| ok(found.iter().map(Definition::json).collect());
    if CONNECTORS.iter().any(|class| is_meant(class, &name)) {
        let (framework, own): (Vec<_>, Vec<_>) =
            definitions::all().into_iter().partition(|definition| definition.is_of_framework);
        return Ok(all(own.into_iter().chain(framework).collect()));
    }
    if let Some((_, settings)) = transform_classes().find(|(class, _)| is_meant(class, &name)) {
        return Ok(all(definitions::of_settings("", "", settings)));
    }
    if let Some(predicate) = PREDICATES.iter().find(|predicate| predicate.is_meant_by(&name)) {
        return Ok(all(definitions::of_settings("", "", predicate.settings)));
    }
    if let Some(converter) = CONVERTERS.iter().find(|converter| converter.is_meant_by(&name)) {
        return Ok(all(definitions::of_converter(converter)));
    }
    if is_meant(HEADER_CONVERTER, &name) {
        return Ok(ok(Value::Array(Vec::new())));
    }
    Err(Refused::not_found(format!("Unknown plugin {name}.")))
}
