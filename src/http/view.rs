//! The form of connectors in answers: Kafka Connect's objects `ConnectorInfo` and `ConnectorStateInfo` (`rest-api.md`, 2.2 and 2.3), with
//! passwords in clear as there, or hidden.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::Refused;
use crate::config::{self, Document};
use crate::herder::{ConnectState, ConnectorInfo};

/// The parts that all answers of a worker share.
#[derive(Debug, Clone)]
pub struct View {
    /// `host:port`, as others know the worker.
    pub worker_id: String,
    /// The URL in front of every path of a `Location`.
    pub base: String,
    /// Passwords are not shown.
    pub hide_secrets: bool,
    /// There is no `/admin`.
    pub without_admin: bool,
    /// Values of rows may be shown.
    pub has_samples: bool,
}

/// Settings as somebody sends them.
pub(super) type Settings = BTreeMap<String, String>;

/// Settings as they were given.
pub(super) fn raw(document: &Document) -> Settings {
    document.entries.iter().map(|(key, entry)| (key.clone(), entry.raw.clone())).collect()
}

impl View {
    /// Settings as an answer has them.
    pub(super) fn settings(&self, settings: &Settings) -> Value {
        let shown = |(key, value): (&String, &String)| (key.clone(), Value::from(self.value(key, value)));
        Value::Object(settings.iter().map(shown).collect())
    }

    /// A value as an answer has it. A placeholder says where a secret is, and is none.
    pub(super) fn value(&self, key: &str, value: &str) -> String {
        let is_placeholder = value.starts_with("${") && value.ends_with('}') && value.matches('}').count() == 1;
        if self.hide_secrets && !is_placeholder { config::masked(key, value) } else { value.to_owned() }
    }

    /// Puts back what was hidden: settings that were shown, changed and sent again keep their secrets.
    ///
    /// # Errors
    /// 400 if there is nothing to keep.
    pub(super) fn reveal(&self, sent: &mut Settings, known: Option<&Settings>) -> Result<(), Refused> {
        if !self.hide_secrets {
            return Ok(());
        }
        for (key, value) in sent {
            if !value.contains("[hidden]") {
                continue;
            }
            match known.and_then(|known| known.get(key)) {
                Some(kept) if self.value(key, kept) == *value => kept.clone_into(value),
                _ if config::masked(key, value) == *value => {
                    let message = format!("The value of {key} is one that hides a secret, and there is none to keep");
                    return Err(Refused::bad(message));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `ConnectorInfo`.
    pub(super) fn info(&self, info: &ConnectorInfo, settings: &Settings) -> Value {
        let task = |index| json!({"connector": info.name, "task": index});
        json!({
            "name": info.name,
            "config": self.settings(settings),
            "tasks": (0..info.tasks.len()).map(task).collect::<Vec<_>>(),
            "type": info.kind.as_str(),
        })
    }

    /// `ConnectorStateInfo`.
    pub(super) fn state(&self, info: &ConnectorInfo) -> Value {
        let tasks: Vec<Value> = (0..info.tasks.len()).filter_map(|index| self.task(info, index)).collect();
        json!({
            "name": info.name,
            "connector": self.worker(info.state, info.trace.as_deref(), Map::new()),
            "tasks": tasks,
            "type": info.kind.as_str(),
        })
    }

    /// `TaskState`; none if there is no such task.
    pub(super) fn task(&self, info: &ConnectorInfo, index: usize) -> Option<Value> {
        let state = *info.tasks.get(index)?;
        let trace = info.trace.as_deref().filter(|_| matches!(state, ConnectState::Failed | ConnectState::Unassigned));
        let id = Map::from_iter([("id".to_owned(), Value::from(index))]);
        Some(self.worker(state, trace, id))
    }

    fn worker(&self, state: ConnectState, trace: Option<&str>, mut object: Map<String, Value>) -> Value {
        object.insert("state".to_owned(), Value::from(state.as_str()));
        object.insert("worker_id".to_owned(), Value::from(self.worker_id.as_str()));
        if let Some(trace) = trace {
            object.insert("trace".to_owned(), Value::from(trace));
        }
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_hidden_comes_back_as_it_was_and_nothing_else_does() {
        let view = |hide_secrets| View {
            worker_id: "w:1".to_owned(),
            base: String::new(),
            hide_secrets,
            without_admin: false,
            has_samples: false,
        };
        let settings = |pairs: &[(&str, &str)]| -> Settings {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let known = settings(&[
            ("connection.password", "hush"),
            ("connection.url", "postgres://u:hush@h/d"),
            ("ssl.key.password", "${file:/f:k}"),
            ("mode", "bulk"),
        ]);
        let shown = view(true).settings(&known);
        assert!(!shown.to_string().contains("hush"), "{shown}");
        assert_eq!(shown["ssl.key.password"], "${file:/f:k}");
        let mut sent: Settings = serde_json::from_value(shown).unwrap();
        sent.insert("mode".to_owned(), "incrementing".to_owned());
        view(true).reveal(&mut sent, Some(&known)).unwrap();
        assert_eq!(
            (sent["connection.password"].as_str(), sent["connection.url"].as_str()),
            ("hush", "postgres://u:hush@h/d")
        );
        assert_eq!(sent["mode"], "incrementing");
        let mut unknown = settings(&[("connection.password", "[hidden]")]);
        assert!(view(true).reveal(&mut unknown, None).is_err());
        assert!(view(false).reveal(&mut unknown, None).is_ok());
        assert_eq!(view(false).settings(&known)["connection.password"], "hush");
    }
}
