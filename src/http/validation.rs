//! `PUT /connector-plugins/{plugin}/config/validate`: every key with its definition, its value and what is wrong with it. 200 also
//! where something is. If nothing is wrong with the settings by themselves, the database is asked.

use std::collections::BTreeMap;

use axum::extract::State;
use serde_json::{Value, json};

use super::HttpState;
use super::answer::{Answer, Refused, ok};
use super::classes::{CONNECTORS, is_meant, transform_classes};
use super::definitions::{self, Definition, is_visible};
use super::given::{ORIGIN, parse};
use super::request::{At, Body};
use super::sentences::{REQUIRED, sentence};
use super::view::{Settings, View};
use crate::config::{self, Document};
use crate::herder::HerderError;
use crate::transform::{PREDICATES, Setting};

/// The keys to which it is attached that a database cannot be reached.
const CONNECTION: &[&str] = &["connection.url", "connection.user", "connection.password"];

/// Validates settings.
pub(super) async fn validate(State(state): State<HttpState>, At(plugin): At<String>, Body(body): Body) -> Answer {
    let mut given = parse(body)?;
    let class = class(&given, &plugin)?;
    let known = given.get("name").and_then(|name| state.herder.config(name).ok());
    state.view.reveal(&mut given, known.as_ref().map(super::view::raw).as_ref())?;
    let document = Document::from_map(ORIGIN, given.clone());
    let mut findings = Findings::default();
    let report = state.herder.validate(&document);
    for problem in &report.problems {
        findings.add(&problem.key, sentence(problem));
    }
    if !given.contains_key("name") {
        findings.replace("name", "Missing required configuration \"name\" which has no default value.".to_owned());
    }
    let mut tables = Vec::new();
    if findings.errors.is_empty() {
        match state.herder.reach(document).await {
            Ok(found) => tables = found,
            Err(HerderError::Failed(error)) => {
                let message = format!("Could not connect to database: {}; {}", error.report(), error.advice());
                for key in CONNECTION.iter().filter(|key| REQUIRED.contains(key) || given.contains_key(**key)) {
                    findings.add(key, message.clone());
                }
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(ok(infos(&state.view, &class, &given, &findings, &tables)))
}

/// The class of the settings, which must be the one of the path.
fn class(given: &Settings, plugin: &str) -> Answer<String> {
    let Some(class) = given.get("connector.class").filter(|class| !class.trim().is_empty()) else {
        let keys = given.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Refused::bad(format!("Connector config {{{keys}}} contains no connector type")));
    };
    if !config::is_own_class(class) {
        return Err(Refused::bad(format!(
            "Failed to find any class that implements Connector and which name matches {class}, available connectors are: {}",
            CONNECTORS.join(", ")
        )));
    }
    let bare = |name: &str| name.trim().strip_suffix("Connector").unwrap_or(name.trim()).to_owned();
    if !bare(class).ends_with(&bare(plugin))
        && !CONNECTORS.iter().any(|known| is_meant(known, plugin) && is_meant(known, class))
    {
        return Err(Refused::bad(format!("Included connector type {class} does not match request type {plugin}")));
    }
    Ok(class.clone())
}

/// Error messages by key.
#[derive(Default)]
struct Findings {
    errors: BTreeMap<String, Vec<String>>,
}

impl Findings {
    fn add(&mut self, key: &str, message: String) {
        // What is about the settings as a whole is told where every form looks first.
        let key = if key.is_empty() { "connector.class" } else { key };
        self.errors.entry(key.to_owned()).or_default().push(message);
    }

    fn replace(&mut self, key: &str, message: String) {
        self.errors.insert(key.to_owned(), vec![message]);
    }
}

/// `ConfigInfos`.
fn infos(view: &View, class: &str, given: &Settings, findings: &Findings, tables: &[String]) -> Value {
    let mut known = definitions::all();
    for alias in of_aliases(given, "transforms") {
        known.push(alias);
    }
    for alias in of_aliases(given, "predicates") {
        known.push(alias);
    }
    if let Some(definition) = known.iter_mut().find(|definition| definition.name == "table.whitelist") {
        definition.recommended = tables.to_vec();
    }
    let mut groups: Vec<&str> = Vec::new();
    for definition in &known {
        if !groups.contains(&definition.group.as_str()) {
            groups.push(&definition.group);
        }
    }
    let mode = given.get("mode").map_or("", String::as_str);
    let mut configs: Vec<Value> =
        known.iter().map(|definition| info(view, definition, given, findings, mode)).collect();
    // Messages about keys that have no definition of their own: families, settings of converters, keys of the worker.
    for (key, errors) in &findings.errors {
        if known.iter().all(|definition| definition.name != *key) {
            let value = given.get(key).map(|value| view.value(key, value));
            let value =
                json!({"name": key, "value": value, "recommended_values": [], "errors": errors, "visible": true});
            configs.push(json!({"definition": null, "value": value}));
        }
    }
    let count: usize = findings.errors.values().map(Vec::len).sum();
    json!({"name": class, "error_count": count, "groups": groups, "configs": configs})
}

fn info(view: &View, definition: &Definition, given: &Settings, findings: &Findings, mode: &str) -> Value {
    let name = &definition.name;
    let value = given.get(name).map(|value| value.trim().to_owned()).or_else(|| definition.default.clone());
    let value =
        value.map(|value| if definition.is_secret() { "[hidden]".to_owned() } else { view.value(name, &value) });
    let errors = findings.errors.get(name).cloned().unwrap_or_default();
    json!({
        "definition": definition.json(),
        "value": {
            "name": name,
            "value": value,
            "recommended_values": definition.recommended,
            "errors": errors,
            "visible": is_visible(name, mode),
        },
    })
}

/// The keys of the aliases of `transforms` or `predicates`, each alias with a group of its own.
fn of_aliases(given: &Settings, what: &str) -> Vec<Definition> {
    let aliases =
        given.get(what).map_or("", String::as_str).split(',').map(str::trim).filter(|alias| !alias.is_empty());
    aliases.flat_map(|alias| of_alias(given, what, alias)).collect()
}

fn of_alias(given: &Settings, what: &str, alias: &str) -> Vec<Definition> {
    const TYPE: Setting = Setting::new("type", "Its class.");
    const PREDICATE: Setting =
        Setting::new("predicate", "The alias of a predicate that decides whether it is applied.").or("");
    const NEGATE: Setting =
        Setting::new("negate", "Whether it is applied where the predicate does not hold.").or("false");
    let (prefix, is_transform) = (format!("{what}.{alias}."), what == "transforms");
    let group = format!("{}: {alias}", if is_transform { "Transforms" } else { "Predicates" });
    let classes: Vec<(String, &[Setting])> = if is_transform {
        transform_classes().collect()
    } else {
        PREDICATES.iter().map(|predicate| (predicate.class.to_owned(), predicate.settings)).collect()
    };
    let chosen = given.get(&format!("{prefix}type")).map_or("", |class| class.trim());
    let own = classes.iter().find(|(class, _)| is_meant(class, chosen)).map_or(&[][..], |(_, settings)| settings);
    let mut of_type = definitions::text(format!("{prefix}type"), &TYPE, &group, 1);
    of_type.recommended = classes.iter().map(|(class, _)| class.clone()).collect();
    let mut all = vec![of_type];
    let common: &[Setting] = if is_transform { &[PREDICATE, NEGATE] } else { &[] };
    for setting in common.iter().chain(own) {
        let order = all.len() + 1;
        all.push(definitions::text(format!("{prefix}{}", setting.name), setting, &group, order));
    }
    all
}
