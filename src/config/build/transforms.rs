//! The chain of transforms and its predicates (`delivery-and-runtime.md`, 8): names, classes, settings.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::judge::Judge;
use crate::error::Error;
use crate::near::nearest;
use crate::transform::{
    ABSENT, ChainSpec, PREDICATES, PredicateSpec, Setting, StepSpec, TRANSFORMS, Target, transform_of,
};

pub(super) fn build(judge: &mut Judge) -> ChainSpec {
    let predicates = predicates(judge);
    let mut steps = Vec::new();
    for alias in aliases(judge, "transforms") {
        if let Some(step) = step(judge, &alias, &predicates) {
            steps.push(step);
        }
    }
    let strangers = note_strangers(judge, "transforms", steps.iter().map(|step| step.alias.as_str()).collect());
    judge.notes.extend(strangers);
    match ChainSpec::new(&steps) {
        Ok(chain) => chain,
        Err(error) => {
            let key = error.context("key").unwrap_or("transforms").to_owned();
            let text = message(&error.without("key"));
            // Transforms and predicates begin with the setting that is wrong, where it is one.
            match text.split_once(": ").filter(|(setting, _)| is_setting(setting)) {
                Some((setting, rest)) => judge.problem(&format!("{key}.{setting}"), rest, &[]),
                None => judge.problem(&key, text, &[]),
            }
            ChainSpec::default()
        }
    }
}

/// True if a transform or a predicate has such a setting.
fn is_setting(name: &str) -> bool {
    let of_transforms = TRANSFORMS.iter().flat_map(|definition| definition.settings);
    let of_predicates = PREDICATES.iter().flat_map(|definition| definition.settings);
    of_transforms.chain(of_predicates).any(|setting| setting.name == name)
}

/// An error as a problem says it.
fn message(error: &Error) -> String {
    let advice = error.advice();
    if advice.is_empty() { error.to_string() } else { format!("{error}; {advice}") }
}

/// The names of a list, each once.
fn aliases(judge: &mut Judge, key: &str) -> Vec<String> {
    let names = judge.elements(key);
    let mut known = BTreeSet::new();
    for name in &names {
        if !known.insert(name.clone()) {
            judge.problem(key, format!("names `{name}` twice"), &[]);
        }
    }
    names
}

/// The settings of a name, prefix stripped.
fn settings(judge: &Judge, prefix: &str) -> BTreeMap<String, String> {
    let entries = judge.settings.connector.iter();
    entries.filter_map(|(key, entry)| Some((key.strip_prefix(prefix)?.to_owned(), entry.text.clone()))).collect()
}

fn step(judge: &mut Judge, alias: &str, predicates: &[PredicateSpec]) -> Option<StepSpec> {
    let prefix = format!("transforms.{alias}.");
    let mut settings = settings(judge, &prefix);
    let key = format!("{prefix}type");
    let Some(class) = settings.remove("type").map(|class| class.trim().to_owned()).filter(|class| !class.is_empty())
    else {
        judge.problem(&key, format!("is missing; `transforms` names `{alias}`"), &[]);
        return None;
    };
    let Some((definition, target)) = transform_of(&class) else {
        judge.problem(&key, unknown(&class), &[]);
        return None;
    };
    let (predicate, negate) = (settings.remove("predicate"), settings.remove("negate"));
    let negate = match negate.as_deref().map(str::trim) {
        None | Some("") => None,
        Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Some(_) => {
            judge.problem(&format!("{prefix}negate"), "must be true or false", &[]);
            None
        }
    };
    let predicate = match predicate.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        None if negate == Some(true) => {
            judge.problem(&format!("{prefix}negate"), "has no predicate to negate", &[]);
            return None;
        }
        None => None,
        Some(name) => {
            let Some(predicate) = predicates.iter().find(|predicate| predicate.alias == name) else {
                let message = format!("names the predicate `{name}`, which `predicates` does not");
                judge.problem(&format!("{prefix}predicate"), message, &[]);
                return None;
            };
            Some((predicate.clone(), negate.unwrap_or(false)))
        }
    };
    note_unknown(judge, &format!("transforms.{alias}"), &settings, definition.settings);
    Some(StepSpec { alias: alias.to_owned(), definition, target, settings, predicate })
}

/// Notes the settings that a class does not know, which Kafka Connect passes over too.
fn note_unknown(judge: &mut Judge, of: &str, given: &BTreeMap<String, String>, known: &[Setting]) {
    let names = || known.iter().map(|setting| setting.name);
    for name in given.keys().filter(|name| names().all(|known| known != name.as_str())) {
        let meant = nearest(name, names()).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        judge.notes.push(format!("{of}: without effect, its class knows no {name}{meant}"));
    }
}

/// The message about a class that is no transform here.
fn unknown(class: &str) -> String {
    let outer = class.split('$').next().unwrap_or_default();
    if let Some((_, instead)) = ABSENT.iter().find(|(known, _)| *known == outer) {
        return format!("this transform is not there; {instead}");
    }
    let known: Vec<String> = TRANSFORMS
        .iter()
        .map(|definition| match definition.targets {
            [Target::Record] => definition.class.to_owned(),
            _ => format!("{}$Key and $Value", definition.class),
        })
        .collect();
    if let Some(definition) = TRANSFORMS.iter().find(|definition| definition.class == outer) {
        let ends: Vec<&str> = definition
            .targets
            .iter()
            .map(|target| match target {
                Target::Key => "$Key",
                Target::Value => "$Value",
                Target::Record => "neither $Key nor $Value",
            })
            .collect();
        return format!("the class {outer} must end in {}", ends.join(" or "));
    }
    let nearest = nearest(outer, TRANSFORMS.iter().map(|definition| definition.class));
    let nearest = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
    format!("this transform is not there{nearest} There are {}", known.join(", "))
}

fn predicates(judge: &mut Judge) -> Vec<PredicateSpec> {
    let mut made = Vec::new();
    for alias in aliases(judge, "predicates") {
        let prefix = format!("predicates.{alias}.");
        let mut settings = settings(judge, &prefix);
        let key = format!("{prefix}type");
        let class = settings.remove("type").map(|class| class.trim().to_owned()).unwrap_or_default();
        match PREDICATES.iter().find(|definition| definition.is_meant_by(&class)) {
            Some(definition) => {
                note_unknown(judge, &format!("predicates.{alias}"), &settings, definition.settings);
                made.push(PredicateSpec { alias, definition, settings });
            }
            None => {
                let known: Vec<&str> = PREDICATES.iter().map(|definition| definition.class).collect();
                judge.problem(&key, format!("must be one of {}", known.join(", ")), &[]);
            }
        }
    }
    let strangers = note_strangers(judge, "predicates", made.iter().map(|made| made.alias.as_str()).collect());
    judge.notes.extend(strangers);
    made
}

/// Settings of names that the list does not have; Kafka Connect passes over them, too.
fn note_strangers(judge: &Judge, list: &str, known: Vec<&str>) -> Option<String> {
    let prefix = format!("{list}.");
    let names: BTreeSet<&str> = judge
        .settings
        .connector
        .keys()
        .filter_map(|key| key.strip_prefix(&prefix)?.split('.').next())
        .filter(|name| !known.contains(name) && !judge.elements(list).iter().any(|listed| listed == name))
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty())
        .then(|| format!("{list}: does not name {}, so that its settings have no effect", names.join(", ")))
}
