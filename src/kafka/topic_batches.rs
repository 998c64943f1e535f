//! The target topics of many tables: looked up, made and described a hundred at a time, by one request each, when the
//! first of them is asked for. What was found of a topic counts once: who asks again, because it may have been deleted
//! meanwhile, has to look anew. So has who asks for one that could not be made, to learn why.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::admin::{self, SPREAD};
use super::ask::{self, Asker};
use super::client::{ClientKind, PATIENCE};
use super::topic_role::{TopicRole, Wanted};
use super::topic_settings::{TargetSettings, target_settings};
use crate::config::spec::{KafkaSpec, TopicSpec};
use crate::error::{ErrorKind, Result};
use crate::lock::locked;

/// The topics of one request. The first table waits for all of its batch.
const BATCH: usize = 100;

/// A topic that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Its settings.
    pub settings: TargetSettings,
    /// True if it was made just now, and holds no records.
    pub is_new: bool,
}

type Found = HashMap<String, Prepared>;

/// Topics to be prepared, in batches.
pub struct TopicBatches {
    batches: Vec<Shared<BoxFuture<'static, Arc<Found>>>>,
    /// The batch of each topic that was not asked for yet.
    left: Mutex<HashMap<Arc<str>, usize>>,
}

impl TopicBatches {
    /// Batches of topics, in the order in which they will be asked for. `describes`: their settings may be asked.
    pub fn new(kafka: &KafkaSpec, topics: &TopicSpec, mut names: Vec<Arc<str>>, describes: bool) -> Self {
        let (mut batches, mut left) = (Vec::new(), HashMap::new());
        // Tables may share one.
        let mut seen = HashSet::new();
        names.retain(|topic| seen.insert(Arc::clone(topic)));
        for (number, batch) in names.chunks(BATCH).enumerate() {
            left.extend(batch.iter().map(|topic| (Arc::clone(topic), number)));
            let (kafka, topics, batch) = (kafka.clone(), topics.clone(), batch.to_vec());
            batches.push(async move { Arc::new(prepare(&kafka, &topics, batch, describes).await) }.boxed().shared());
        }
        Self { batches, left: Mutex::new(left) }
    }

    /// Prepares them all, one batch after the other, ahead of those who will ask.
    pub fn prepare_ahead(&self) -> impl Future<Output = ()> + Send + 'static {
        let batches = self.batches.clone();
        async move {
            for batch in batches {
                batch.await;
            }
        }
    }

    /// A topic that exists now; none if nothing is known of it, or not any more.
    pub async fn take(&self, topic: &str) -> Option<Prepared> {
        let batch = locked(&self.left).remove(topic)?;
        self.batches.get(batch)?.clone().await.get(topic).cloned()
    }
}

async fn prepare(kafka: &KafkaSpec, topics: &TopicSpec, batch: Vec<Arc<str>>, describes: bool) -> Found {
    let Ok(states) = states(kafka, &batch).await else { return Found::new() };
    let of_state = |wanted: State| {
        let with = batch.iter().zip(&states).filter(move |(_, state)| **state == wanted);
        with.map(|(topic, _)| &**topic)
    };
    let made = make(kafka, topics, of_state(State::Missing).collect()).await;
    let there: Vec<(&str, bool)> = of_state(State::Present)
        .map(|topic| (topic, false))
        .chain(made.into_iter().map(|topic| (topic, true)))
        .collect();
    let names: Vec<&str> = there.iter().map(|(topic, _)| *topic).collect();
    let mut settings = if describes { target_settings(kafka, &names).await } else { HashMap::new() };
    let mut take = |topic: &str| settings.remove(topic).unwrap_or_default();
    let prepared = |(topic, is_new): (&str, bool)| (topic.to_owned(), Prepared { settings: take(topic), is_new });
    there.into_iter().map(prepared).collect()
}

/// Makes topics by one request; gives those that exist then, for all brokers.
async fn make<'t>(kafka: &KafkaSpec, topics: &TopicSpec, missing: Vec<&'t str>) -> Vec<&'t str> {
    if topics.by_brokers || missing.is_empty() {
        // Who asks for one that brokers make does so in their way.
        return Vec::new();
    }
    let wanted: Vec<Wanted<'_>> = missing.iter().map(|topic| TopicRole::Records(topics, topic).wanted()).collect();
    let outcomes = admin::create_all(kafka, &wanted, false).await.unwrap_or_default();
    let made: HashSet<&str> =
        missing.iter().zip(&outcomes).filter(|(_, made)| made.is_ok()).map(|(it, _)| *it).collect();
    wanted.iter().zip(&outcomes).filter(|(_, made)| made.is_ok()).for_each(|(wanted, _)| wanted.say_created());
    let names: Vec<Arc<str>> = made.iter().map(|topic| Arc::from(*topic)).collect();
    let started = Instant::now();
    while started.elapsed() < SPREAD {
        match states(kafka, &names).await {
            Ok(states) if states.iter().all(|state| *state == State::Present) => break,
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(_) => return Vec::new(),
        }
    }
    missing.into_iter().filter(|topic| made.contains(topic)).collect()
}

/// The state of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Present,
    Missing,
    /// The user may not describe it.
    Hidden,
}

/// The states of topics, by one client.
async fn states(kafka: &KafkaSpec, topics: &[Arc<str>]) -> Result<Vec<State>> {
    let (spec, topics) = (kafka.clone(), topics.to_vec());
    ask::blocking(move |cancel| {
        let asker = Asker::new(ClientKind::Admin, &spec, "read_committed")?;
        let state = |topic: &Arc<str>| match asker.partitions(topic, PATIENCE, cancel) {
            Ok(Some(1..)) => Ok(State::Present),
            Ok(_) => Ok(State::Missing),
            Err(error) if error.kind() == ErrorKind::KafkaRefused => Ok(State::Hidden),
            Err(error) => Err(error),
        };
        topics.iter().map(state).collect()
    })
    .await
}
