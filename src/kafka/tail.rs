//! The newest record of each key of a compacted topic, kept for the life of the process, so that reading the topic to
//! its end is reading the records written since. A caller gets the same as from [`topic_log::read`], however large the
//! topic has become: the end that is read to is asked for after the question, and the kept records are all that was
//! decided below the offsets where reading goes on. One for all connectors of a process that share a topic.

#![expect(
    clippy::disallowed_methods,
    reason = "on a thread of its own; the age of records is by the brokers' wall clock"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, TryLockError, Weak};
use std::time::{Duration, Instant, SystemTime};

use rdkafka::topic_partition_list::Offset;

use super::ask::{self, Asker, Cancel};
use super::client::{ClientKind, PATIENCE};
use super::topic_log::{self, Bounds, LogRecord};
use crate::config::spec::KafkaSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;

/// The interval at which the tail checks whether it has fallen behind.
const LOOK: Duration = Duration::from_secs(10);
/// The number of records that may be left to read when somebody asks: some milliseconds, where values are small.
const BEHIND: i64 = 1_000;
/// A tombstone may be compacted away `delete.retention.ms` (a day) after it was written: who has not read for so long
/// by the clock on the wall, as after the machine was asleep, might never see it.
const FRESH: Duration = Duration::from_secs(3_600);
/// The pause of a caller while another one reads.
const TURN: Duration = Duration::from_millis(5);
/// The size above which a value is large.
const LARGE: usize = 16 * 1024;
/// The most bytes of large values that are kept; of the others only the place is.
const LARGE_KEPT: usize = 16 * 1024 * 1024;

/// The owner of the record with a key; none for keys nobody asks for.
pub type OwnerOf = fn(&[u8]) -> Option<String>;

/// The tail of a topic.
pub struct Tail {
    place: Arc<Place>,
    state: Arc<Mutex<State>>,
}

struct Place {
    spec: KafkaSpec,
    topic: String,
    owner_of: OwnerOf,
    /// The owners whose records are kept.
    wanted: Mutex<BTreeSet<String>>,
}

#[derive(Default)]
struct State {
    /// The owners whose records were kept when reading began.
    wanted: BTreeSet<String>,
    /// The newest record by topic partition and key; tombstones too: the same key may stand in two partitions.
    newest: HashMap<(i32, Vec<u8>), Kept>,
    /// The next offset to read, by partition. Everything below is decided and read.
    next: HashMap<i32, i64>,
    /// The bytes of large values that are kept.
    large: usize,
    /// The time of the question for the ends that were read to last.
    asked: Option<Instant>,
    /// The time by the wall clock at which everything had been read.
    fresh: Option<SystemTime>,
    /// Asks where the topic ends between the questions of others.
    asker: Option<Asker>,
}

enum Kept {
    Record(LogRecord),
    /// The offset of a record that is too large to be kept beside others: it is fetched when it is needed.
    Elsewhere(i64),
}

/// The identity of a tail: two with the same are one.
type Name = (String, BTreeMap<String, String>, BTreeMap<String, String>, String);

static TAILS: LazyLock<Mutex<HashMap<Name, Weak<Tail>>>> = LazyLock::new(Mutex::default);

impl Tail {
    /// The tail of this process, with the records of `owner` in it. Talks to nobody yet.
    pub fn shared(spec: &KafkaSpec, topic: &str, owner_of: OwnerOf, owner: &str) -> Arc<Self> {
        let name = (spec.bootstrap_servers.clone(), spec.common.clone(), spec.consumer.clone(), topic.to_owned());
        let mut tails = locked(&TAILS);
        tails.retain(|_, tail| tail.strong_count() > 0);
        let known = tails.get(&name).and_then(Weak::upgrade);
        let tail = known.unwrap_or_else(|| {
            let wanted = Mutex::default();
            let place = Arc::new(Place { spec: spec.clone(), topic: topic.to_owned(), owner_of, wanted });
            let tail = Arc::new(Self { place, state: Arc::default() });
            tails.insert(name, Arc::downgrade(&tail));
            tail
        });
        locked(&tail.place.wanted).insert(owner.to_owned());
        tail
    }

    /// The newest record of each key of `owner`, of everything that was committed before the call; none if the topic
    /// is empty or missing.
    ///
    /// # Errors
    /// As [`topic_log::read`].
    pub async fn load(&self, owner: &str, patience: Duration) -> Result<Vec<LogRecord>> {
        let (called, owner) = (Instant::now(), owner.to_owned());
        self.blocking(move |state, place, cancel| {
            // A read that another caller began since the call is as good.
            if state.asked.is_none_or(|asked| asked < called) {
                state.read(place, patience, cancel)?;
            }
            match state.records(place, &owner, patience, cancel)? {
                Some(records) => Ok(records),
                None => {
                    state.forget();
                    state.read(place, patience, cancel)?;
                    let again = state.records(place, &owner, patience, cancel)?;
                    again.ok_or_else(|| {
                        Error::new(ErrorKind::Kafka, "a record that was just read is not there any more")
                    })
                }
            }
        })
        .await
    }

    /// Reads the records committed by now, so that less is left for [`Tail::load`].
    ///
    /// # Errors
    /// As [`topic_log::read`].
    pub async fn catch_up(&self) -> Result<()> {
        self.blocking(|state, place, cancel| state.catch_up(place, 1, cancel)).await
    }

    /// Follows the end of the topic. Never returns.
    pub async fn follow(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let looked = self.blocking(|state, place, cancel| state.catch_up(place, BEHIND, cancel)).await;
            if let Err(error) = looked {
                tracing::debug!(topic = self.place.topic, error = %error.report(), "the offsets topic is not followed for now");
            }
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State, &Place, &Cancel) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (place, state) = (Arc::clone(&self.place), Arc::clone(&self.state));
        ask::blocking(move |cancel| {
            let mut state = turn(&state, cancel)?;
            state.want(&place);
            let outcome = work(&mut state, &place, cancel);
            outcome.map_err(|error| error.with("topic", &place.topic))
        })
        .await
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let asker = self.state.try_lock().ok().and_then(|mut state| state.asker.take());
        if let Some(asker) = asker {
            // Dropping it waits for a thread.
            let _ = std::thread::Builder::new().name("kafka-tail".to_owned()).spawn(move || drop(asker));
        }
    }
}

/// One reads at a time, the others wait for it as long as somebody waits for them.
fn turn<'s>(state: &'s Mutex<State>, cancel: &Cancel) -> Result<MutexGuard<'s, State>> {
    loop {
        match state.try_lock() {
            Ok(state) => return Ok(state),
            Err(TryLockError::Poisoned(poisoned)) => {
                let mut half_read = poisoned.into_inner();
                half_read.forget();
                state.clear_poison();
                return Ok(half_read);
            }
            Err(TryLockError::WouldBlock) => {
                cancel.check()?;
                std::thread::sleep(TURN);
            }
        }
    }
}

impl State {
    /// Forgets everything: reading begins at the beginning again.
    fn forget(&mut self) {
        *self = Self { wanted: std::mem::take(&mut self.wanted), asker: self.asker.take(), ..Self::default() };
    }

    /// The records of owners that were added since were passed over.
    fn want(&mut self, place: &Place) {
        let wanted = locked(&place.wanted);
        if self.wanted != *wanted {
            self.forget();
            self.wanted.clone_from(&wanted);
        }
    }

    /// The age of the last complete read; none if it is too old.
    fn age(&mut self, now: SystemTime) -> Option<Duration> {
        let age = self.fresh.and_then(|fresh| now.duration_since(fresh).ok()).filter(|age| *age < FRESH);
        if age.is_none() {
            self.forget();
        }
        age
    }

    /// Reads everything that was committed before the call.
    fn read(&mut self, place: &Place, patience: Duration, cancel: &Cancel) -> Result<()> {
        let (asked, now) = (Instant::now(), SystemTime::now());
        let _ = self.age(now);
        let Some(bounds) = Bounds::ask(&place.spec, &place.topic, patience, cancel)? else {
            self.forget();
            return Ok(());
        };
        self.check(&bounds.starts, &bounds.ends);
        let from = self.unread(&bounds.starts, &bounds.ends);
        let partitions: Vec<i32> = from.keys().copied().collect();
        let stable = bounds.decided(&partitions, patience, cancel)?;
        self.drain(place, from, &stable, patience, cancel)?;
        (self.asked, self.fresh) = (Some(asked), Some(now));
        Ok(())
    }

    /// Reads the records decided by now, if there are at least that many.
    fn catch_up(&mut self, place: &Place, least: i64, cancel: &Cancel) -> Result<()> {
        let now = SystemTime::now();
        let is_due = self.age(now).is_none_or(|age| age > FRESH / 4);
        // After an error another one takes its place.
        let asker = match self.asker.take() {
            Some(asker) => asker,
            None => Asker::new(ClientKind::Consumer, &place.spec, "read_committed")?,
        };
        let Some(count) = asker.partitions(&place.topic, PATIENCE, cancel)? else { return Ok(()) };
        let partitions: Vec<i32> = (0..count).collect();
        let end = |end| topic_log::offsets(&asker, &place.topic, &partitions, end, PATIENCE, cancel);
        let (stable, starts) = (end(Offset::End)?, end(Offset::Beginning)?);
        self.asker = Some(asker);
        self.check(&starts, &stable);
        let from = self.unread(&starts, &stable);
        let behind: i64 = from.iter().map(|(partition, next)| stable[partition] - next).sum();
        if behind >= least || behind == 0 || is_due {
            self.drain(place, from, &stable, PATIENCE, cancel)?;
            self.fresh = Some(now);
        }
        Ok(())
    }

    /// A topic that ends below the offset read is another one; where records were deleted, tombstones were, too.
    fn check(&mut self, starts: &HashMap<i32, i64>, ends: &HashMap<i32, i64>) {
        let fits = |(partition, next): (&i32, &i64)| {
            let (start, end) = (starts.get(partition), ends.get(partition));
            start.zip(end).is_some_and(|(start, end)| start <= next && next <= end)
        };
        if !self.next.iter().all(fits) {
            self.forget();
        }
    }

    /// The next offset to read, of the partitions that have something left.
    fn unread(&self, starts: &HashMap<i32, i64>, ends: &HashMap<i32, i64>) -> HashMap<i32, i64> {
        let next = |partition: &i32| self.next.get(partition).copied().unwrap_or(starts[partition]);
        let unread = starts.keys().map(|partition| (*partition, next(partition)));
        unread.filter(|(partition, next)| *next < ends[partition]).collect()
    }

    fn drain(
        &mut self,
        place: &Place,
        from: HashMap<i32, i64>,
        stable: &HashMap<i32, i64>,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        let partitions: Vec<i32> = from.keys().copied().collect();
        let consumer = topic_log::assigned(&place.spec, &[(&place.topic, from.into_iter().collect())], true)?;
        // Most records have a key that is already there.
        let mut others = HashSet::new();
        topic_log::drain(&consumer, partitions.clone(), patience, cancel, |message| {
            let record = LogRecord::from_message(message);
            self.next.insert(record.partition, record.offset + 1);
            self.take(place.owner_of, record, &mut others);
        })?;
        // The end of a partition is behind everything that was decided when it was asked for, records or not.
        for partition in partitions {
            let next = self.next.entry(partition).or_default();
            *next = (*next).max(stable[&partition]);
        }
        Ok(())
    }

    fn take(&mut self, owner_of: OwnerOf, mut record: LogRecord, others: &mut HashSet<Vec<u8>>) {
        let Some(key) = record.key.take() else { return };
        if others.contains(&key) {
            return;
        }
        let at = (record.partition, key);
        if !self.newest.contains_key(&at) && !owner_of(&at.1).is_some_and(|owner| self.wanted.contains(&owner)) {
            others.insert(at.1);
            return;
        }
        let size = large(&record);
        self.large -= self.newest.get(&at).map_or(0, Kept::large);
        let kept = if size > 0 && self.large + size > LARGE_KEPT {
            Kept::Elsewhere(record.offset)
        } else {
            Kept::Record(record)
        };
        self.large += kept.large();
        self.newest.insert(at, kept);
    }

    /// The records of one owner, those fetched that are elsewhere; none if one of them is there no more.
    fn records(
        &self,
        place: &Place,
        owner: &str,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<Option<Vec<LogRecord>>> {
        let mut records = Vec::new();
        let mut elsewhere = Vec::new();
        for ((partition, key), kept) in &self.newest {
            if (place.owner_of)(key).is_none_or(|of| of != owner) {
                continue;
            }
            match kept {
                Kept::Record(record) => records.push(LogRecord { key: Some(key.clone()), ..record.clone() }),
                Kept::Elsewhere(offset) => elsewhere.push((*partition, *offset)),
            }
        }
        elsewhere.sort_unstable();
        let Some(fetched) = topic_log::pick(&place.spec, &place.topic, &elsewhere, patience, cancel)? else {
            return Ok(None);
        };
        records.extend(fetched);
        Ok(Some(records))
    }
}

/// The bytes of a value that is large.
fn large(record: &LogRecord) -> usize {
    record.value.as_ref().map(Vec::len).filter(|size| *size > LARGE).unwrap_or_default()
}

impl Kept {
    fn large(&self) -> usize {
        match self {
            Kept::Record(record) => large(record),
            Kept::Elsewhere(_) => 0,
        }
    }
}
