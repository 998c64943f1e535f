//! The records of Kafka Connect's topic of configurations, as its `KafkaConfigBackingStore` writes and reads them: keys
//! `connector-NAME` and `target-state-NAME`, values JSON without schemas. Records of tasks are not read, and only the commit of
//! none is written, when a connector is stopped. All others (fencing, restarts, loggers, the key of the session) are a cluster's own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Change, Kept, SettingMap};
use crate::herder::TargetState;
use crate::kafka::topic_log::LogRecord;
use crate::model::KafkaRecord;

const CONNECTOR: &str = "connector-";
const TARGET: &str = "target-state-";
const COMMIT: &str = "commit-";

/// The connectors that the records of the topic, in their order, leave.
pub(super) fn read(records: &[LogRecord]) -> Vec<Kept> {
    let mut settings: BTreeMap<String, Result<SettingMap, String>> = BTreeMap::new();
    let mut targets: BTreeMap<String, TargetState> = BTreeMap::new();
    for record in records {
        let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else { continue };
        if let Some(name) = key.strip_prefix(CONNECTOR) {
            match parsed(record) {
                Ok(None) => settings.remove(name),
                Ok(Some(value)) => settings.insert(name.to_owned(), properties(&value)),
                Err(error) => settings.insert(name.to_owned(), Err(error)),
            };
        } else if let Some(name) = key.strip_prefix(TARGET) {
            match parsed(record) {
                Ok(None) => targets.remove(name),
                // One that cannot be read changes nothing, as in Kafka Connect.
                other => other
                    .ok()
                    .flatten()
                    .and_then(|value| target(&value))
                    .and_then(|state| targets.insert(name.to_owned(), state)),
            };
        }
    }
    let kept = settings.into_iter().map(|(name, settings)| {
        let target = targets.get(&name).copied().unwrap_or(TargetState::Running);
        Kept { name, settings, target }
    });
    kept.collect()
}

/// None of a tombstone, and of JSON's null. The reason never quotes the value, which may hold secrets.
fn parsed(record: &LogRecord) -> Result<Option<Value>, String> {
    let Some(bytes) = &record.value else { return Ok(None) };
    match serde_json::from_slice(bytes) {
        Ok(Value::Null) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            Err(format!("record {} is not JSON (line {}, column {})", record.offset, error.line(), error.column()))
        }
    }
}

fn properties(value: &Value) -> Result<SettingMap, String> {
    let Some(Value::Object(properties)) = value.get("properties") else {
        return Err("the record has no object `properties`".to_owned());
    };
    let text = |(key, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(Ok((key.clone(), text.clone()))),
        _ => Some(Err(format!("the value of {key} is not text"))),
    };
    properties.iter().filter_map(text).collect()
}

/// `state` alone is of workers before 3.5, which know no STOPPED.
fn target(value: &Value) -> Option<TargetState> {
    match value.get("state.v2").or_else(|| value.get("state"))?.as_str()? {
        "STARTED" => Some(TargetState::Running),
        "PAUSED" => Some(TargetState::Paused),
        "STOPPED" => Some(TargetState::Stopped),
        _ => None,
    }
}

/// The records of a change; those of one change belong into one transaction.
pub(super) fn write(topic: &str, change: &Change) -> Vec<KafkaRecord> {
    let record = |prefix: &str, name: &str, value: Option<Value>| KafkaRecord {
        topic: topic.to_owned(),
        key: format!("{prefix}{name}").into_bytes(),
        value: value.map(|value| value.to_string().into_bytes()),
    };
    match change {
        Change::Settings { name, settings, target } => {
            // First the state: who follows the topic must not start what is to be stopped.
            let state = target.map(|target| record(TARGET, name, Some(state(target))));
            let settings = record(CONNECTOR, name, Some(json!({"properties": settings})));
            state.into_iter().chain([settings]).collect()
        }
        Change::Target { name, target } => {
            // A stopped connector has no tasks: a worker that found some would wait for them.
            let none = (*target == TargetState::Stopped).then(|| record(COMMIT, name, Some(json!({"tasks": 0}))));
            none.into_iter().chain([record(TARGET, name, Some(state(*target)))]).collect()
        }
        Change::Removed { name } => vec![record(CONNECTOR, name, None), record(TARGET, name, None)],
    }
}

fn state(target: TargetState) -> Value {
    let (old, word) = match target {
        TargetState::Running => ("STARTED", "STARTED"),
        TargetState::Paused => ("PAUSED", "PAUSED"),
        TargetState::Stopped => ("PAUSED", "STOPPED"),
    };
    json!({"state": old, "state.v2": word})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, key: &str, value: Option<&str>) -> LogRecord {
        let (key, value) = (Some(key.as_bytes().to_vec()), value.map(|value| value.as_bytes().to_vec()));
        LogRecord { key, value, partition: 0, offset, timestamp: None }
    }

    fn settings(pairs: &[(&str, &str)]) -> SettingMap {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_records_of_a_real_worker_leave_its_connectors_and_their_states() {
        let records: Vec<LogRecord> = [
            ("session-key", Some(r#"{"key":"1xBe","algorithm":"HmacSHA256","creation-timestamp":1795996296740}"#)),
            ("connector-a", Some(r#"{"properties":{"connector.class":"X","name":"a"}}"#)),
            ("task-a-0", Some(r#"{"properties":{"task.class":"T"}}"#)),
            ("commit-a", Some(r#"{"tasks":1}"#)),
            ("tasks-fencing-a", Some(r#"{"task-count":1}"#)),
            ("restart-connector-a", Some(r#"{"include-tasks":true,"only-failed":true}"#)),
            ("target-state-a", Some(r#"{"state":"PAUSED","state.v2":"STOPPED"}"#)),
            ("target-state-b", Some(r#"{"state":"PAUSED"}"#)),
            ("connector-b", Some(r#"{"properties":{"n":null,"name":"b"}}"#)),
            ("connector-c", Some(r#"{"properties":{"name":"c"}}"#)),
            ("target-state-c", Some(r#"{"state":"SLEEPING","state.v2":"SLEEPING"}"#)),
            ("connector-d", Some("{\"properties\":{\"password\":\"hush")),
            ("connector-e", Some(r#"{"properties":{"name":"e"}}"#)),
            ("connector-e", None),
            ("target-state-e", None),
            ("logger-cluster-x", Some(r#"{"level":"INFO"}"#)),
        ]
        .iter()
        .enumerate()
        .map(|(offset, (key, value))| record(offset as i64, key, *value))
        .collect();
        let kept = read(&records);
        let names: Vec<_> = kept.iter().map(|kept| (kept.name.as_str(), kept.target)).collect();
        let (stopped, paused, running) = (TargetState::Stopped, TargetState::Paused, TargetState::Running);
        assert_eq!(names, [("a", stopped), ("b", paused), ("c", running), ("d", running)]);
        assert_eq!(kept[0].settings, Ok(settings(&[("connector.class", "X"), ("name", "a")])));
        assert_eq!(kept[1].settings, Ok(settings(&[("name", "b")])));
        let reason = kept[3].settings.clone().unwrap_err();
        assert!(reason.contains("record 11 is not JSON") && !reason.contains("hush"), "{reason}");
    }

    #[test]
    fn a_change_is_written_as_a_real_worker_writes_it_and_read_again() {
        let settings = settings(&[("name", "a/b ä"), ("x", "\"\n")]);
        let change = |target| Change::Settings { name: "a/b ä".to_owned(), settings: settings.clone(), target };
        let written = write("t", &change(Some(TargetState::Stopped)));
        let text = |record: &KafkaRecord| {
            let value = record.value.clone().map(|value| String::from_utf8(value).unwrap());
            (String::from_utf8(record.key.clone()).unwrap(), value)
        };
        let texts: Vec<_> = written.iter().map(text).collect();
        let state = r#"{"state":"PAUSED","state.v2":"STOPPED"}"#.to_owned();
        let value = r#"{"properties":{"name":"a/b ä","x":"\"\n"}}"#.to_owned();
        assert_eq!(
            texts,
            [("target-state-a/b ä".to_owned(), Some(state)), ("connector-a/b ä".to_owned(), Some(value))]
        );
        let stop = Change::Target { name: "a".to_owned(), target: TargetState::Stopped };
        let texts: Vec<_> = write("t", &stop).iter().map(text).collect();
        assert_eq!(texts[0], ("commit-a".to_owned(), Some(r#"{"tasks":0}"#.to_owned())));
        assert_eq!(texts[1].0, "target-state-a");
        let log = |record: &KafkaRecord| LogRecord {
            key: Some(record.key.clone()),
            value: record.value.clone(),
            partition: 0,
            offset: 0,
            timestamp: None,
        };
        let mut all: Vec<LogRecord> = written.iter().map(log).collect();
        let kept = Kept { name: "a/b ä".to_owned(), settings: Ok(settings.clone()), target: TargetState::Stopped };
        assert_eq!(read(&all), [kept]);
        all.extend(write("t", &Change::Removed { name: "a/b ä".to_owned() }).iter().map(log));
        assert!(read(&all).is_empty());
    }
}
