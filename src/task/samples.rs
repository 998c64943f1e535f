//! The last records of each table, kept in memory for people who look at them, where the process is told to
//! (`ui.samples`). They are the bytes as the brokers have taken them. Values of rows are among them: nothing else of the
//! process keeps any.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use crate::lock::locked;
use crate::model::EncodedBatch;

/// The records that are kept of a table.
const KEPT: usize = 10;
/// The size from which a record is not kept.
const LARGEST: usize = 8 * 1024;

/// The last records of the tables of one run. Cheap to clone. By default none are kept.
#[derive(Debug, Clone, Default)]
pub struct Samples(Option<Arc<Mutex<ByTable>>>);

type ByTable = HashMap<Arc<str>, VecDeque<Sample>>;

/// One record.
#[derive(Clone, PartialEq, Eq)]
pub struct Sample {
    /// The bytes of its key.
    pub key: Option<Vec<u8>>,
    /// The bytes of its value; none of a tombstone.
    pub value: Option<Vec<u8>>,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sample([hidden])")
    }
}

impl Samples {
    /// Keeps some of each table, if that is wanted.
    pub fn new(are_wanted: bool) -> Self {
        Self(are_wanted.then(Arc::default))
    }

    /// The last records of a batch, to be kept once they are committed; nothing if none are kept.
    pub(super) fn of(&self, batch: &EncodedBatch) -> Vec<Sample> {
        if self.0.is_none() {
            return Vec::new();
        }
        let size = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let records = batch.records().skip(batch.len().saturating_sub(KEPT));
        let small = records.filter(|record| size(record.key) + size(record.value) <= LARGEST);
        small
            .map(|record| Sample { key: record.key.map(<[u8]>::to_vec), value: record.value.map(<[u8]>::to_vec) })
            .collect()
    }

    /// Keeps records of a table that were committed.
    pub(super) fn committed(&self, table: &Arc<str>, samples: Vec<Sample>) {
        let Some(by_table) = self.0.as_ref().filter(|_| !samples.is_empty()) else { return };
        let mut by_table = locked(by_table);
        let kept = by_table.entry(Arc::clone(table)).or_default();
        kept.extend(samples);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }

    /// The last records of a table, the newest last: at most so many.
    pub fn last(&self, table: &str, most: usize) -> Vec<Sample> {
        let Some(by_table) = &self.0 else { return Vec::new() };
        let by_table = locked(by_table);
        let Some(kept) = by_table.get(table) else { return Vec::new() };
        kept.iter().skip(kept.len().saturating_sub(most)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(ids: std::ops::Range<u32>) -> EncodedBatch {
        let mut batch = EncodedBatch::new("p_t".into(), 1, 8);
        for id in ids {
            let append = |out: &mut Vec<u8>| -> Result<(), ()> {
                out.extend(id.to_string().bytes());
                Ok(())
            };
            batch.push(None::<fn(&mut Vec<u8>) -> Result<(), ()>>, Some(append)).unwrap();
        }
        batch
    }

    #[test]
    fn the_last_ten_are_kept_where_it_is_wanted_and_none_elsewhere() {
        let table: Arc<str> = "t".into();
        let values = |samples: &Samples, most| -> Vec<String> {
            let texts = samples.last("t", most).into_iter().filter_map(|sample| sample.value);
            texts.map(|value| String::from_utf8(value).unwrap()).collect()
        };
        let samples = Samples::new(true);
        for range in [0..25, 25..28] {
            samples.committed(&table, samples.of(&batch(range)));
        }
        assert_eq!(values(&samples, 99), (18..28).map(|id| id.to_string()).collect::<Vec<_>>());
        assert_eq!(values(&samples, 2), ["26", "27"]);
        assert!(!format!("{:?}", samples.last("t", 1)).contains("27"));
        let none = Samples::default();
        none.committed(&table, none.of(&batch(0..3)));
        assert!(values(&none, 9).is_empty());
    }
}
