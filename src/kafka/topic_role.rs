//! The roles of topics, and the settings with which a missing one is created (`offsets-topic.md`, 7;
//! `delivery-and-runtime.md`, 5.1). Pure.

use std::collections::BTreeMap;

use crate::config::spec::{ConfigTopicSpec, DeadLetterSpec, OffsetsSpec, TopicGroup, TopicSpec};

/// The cleanup policy of topics whose last record of a key counts.
pub(super) const COMPACT: &str = "compact";
/// The last segment of a partition is never compacted: by the brokers' default a process that starts would read 1 GiB
/// of old offsets of each. Kafka's own offsets topic has 100 MiB.
const OFFSETS_SEGMENT: &str = "52428800";

/// The role of a topic, which decides its settings.
#[derive(Debug, Clone, Copy)]
pub enum TopicRole<'a> {
    /// The offsets'.
    Offsets(&'a OffsetsSpec),
    /// The topic of a table's records: made by the first group that matches it, or with the brokers' defaults.
    Records(&'a TopicSpec, &'a str),
    /// The dead letters', with the one partition Connect makes.
    Letters(&'a DeadLetterSpec),
    /// That of connector configurations, in one partition: their order counts.
    Configs(&'a ConfigTopicSpec),
}

impl<'a> TopicRole<'a> {
    /// Its name.
    pub fn topic(&self) -> &'a str {
        match self {
            TopicRole::Offsets(offsets) => &offsets.topic,
            TopicRole::Records(_, topic) => topic,
            TopicRole::Letters(letters) => &letters.topic,
            TopicRole::Configs(configs) => &configs.topic,
        }
    }

    /// The topic as it is to be made.
    pub(super) fn wanted(&self) -> Wanted<'a> {
        let topic = self.topic();
        match self {
            TopicRole::Offsets(offsets) => {
                let mut settings = offsets.settings.clone();
                settings.insert("cleanup.policy".to_owned(), COMPACT.to_owned());
                settings.entry("segment.bytes".to_owned()).or_insert_with(|| OFFSETS_SEGMENT.to_owned());
                let key = |suffix: &str| format!("offset.storage.{suffix}");
                let (partitions_key, replication_key) = (key("partitions"), key("replication.factor"));
                let (partitions, replication) = (offsets.partitions, offsets.replication);
                Wanted { topic, partitions, replication, settings, partitions_key, replication_key }
            }
            TopicRole::Records(topics, _) => {
                let group = topics.groups.iter().find(|group| takes(group, topic));
                let name = group.map_or("default", |group| group.name.as_str());
                Wanted {
                    topic,
                    partitions: group.map_or(-1, |group| group.partitions),
                    replication: group.map_or(-1, |group| group.replication),
                    settings: group.map(|group| group.settings.clone()).unwrap_or_default(),
                    partitions_key: format!("topic.creation.{name}.partitions"),
                    replication_key: format!("topic.creation.{name}.replication.factor"),
                }
            }
            TopicRole::Letters(letters) => Wanted {
                topic,
                partitions: 1,
                replication: letters.replication,
                settings: BTreeMap::new(),
                partitions_key: "errors.deadletterqueue.topic.name".to_owned(),
                replication_key: "errors.deadletterqueue.topic.replication.factor".to_owned(),
            },
            TopicRole::Configs(configs) => {
                let mut settings = configs.settings.clone();
                settings.insert("cleanup.policy".to_owned(), COMPACT.to_owned());
                Wanted {
                    topic,
                    partitions: 1,
                    replication: configs.replication,
                    settings,
                    partitions_key: "config.storage.topic".to_owned(),
                    replication_key: "config.storage.replication.factor".to_owned(),
                }
            }
        }
    }
}

/// A topic as it is to be made, and the keys that say so.
pub(super) struct Wanted<'a> {
    pub(super) topic: &'a str,
    pub(super) partitions: i32,
    pub(super) replication: i32,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) partitions_key: String,
    pub(super) replication_key: String,
}

fn takes(group: &TopicGroup, topic: &str) -> bool {
    let included = group.include.is_empty() || group.include.iter().any(|pattern| pattern.is_match(topic));
    included && !group.exclude.iter().any(|pattern| pattern.is_match(topic))
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn the_first_group_that_takes_a_topic_counts() {
        let pattern = |text: &str| vec![Regex::new(text).unwrap()];
        let group = |name: &str, include, exclude| TopicGroup {
            name: name.to_owned(),
            include,
            exclude,
            partitions: 1,
            replication: 1,
            settings: BTreeMap::new(),
        };
        let orders = group("orders", pattern("^orders.*$"), pattern("^orders_old$"));
        let default = group("default", Vec::new(), Vec::new());
        assert!(takes(&orders, "orders_new") && !takes(&orders, "orders_old") && !takes(&orders, "items"));
        assert!(takes(&default, "items"));
    }
}
