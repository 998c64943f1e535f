//! Traces of polls: one for each, with the spans `poll`, `query`, `encode` and `commit`. Where nobody takes them none is
//! made, and no clock is read for them.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::lock::locked;

/// The number of spans that wait from which they are sent at once.
const MANY: usize = 512;

/// Nanoseconds since the epoch.
type Nanos = u64;

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The trace it is part of.
    pub trace: [u8; 16],
    /// Its id.
    pub id: [u8; 8],
    /// The span around it.
    pub parent: Option<[u8; 8]>,
    /// Its name.
    pub name: &'static str,
    /// True if it waits for another system.
    pub asks_others: bool,
    /// The time it began.
    pub begins: Nanos,
    /// The time it ended.
    pub ends: Nanos,
    /// Its attributes; no row value is among them.
    pub attributes: Vec<(&'static str, Value)>,
    /// The error it ended with.
    pub error: Option<String>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(Arc<str>),
    /// A whole number.
    Count(u64),
}

/// The spans of a process that wait to be sent.
#[derive(Debug)]
pub struct Spans {
    ratio: f64,
    most: usize,
    waiting: Mutex<Vec<Span>>,
    lost: AtomicU64,
    many: Notify,
}

/// The trace of a poll that is under way. Dropped before its end, the poll has failed.
#[derive(Debug)]
pub struct PollTrace {
    spans: Arc<Spans>,
    root: Span,
    began: Instant,
    has_ended: bool,
}

/// The trace that a commit belongs to.
#[derive(Debug, Clone)]
pub struct TraceContext {
    spans: Arc<Spans>,
    trace: [u8; 16],
    parent: [u8; 8],
}

#[expect(clippy::disallowed_methods, reason = "spans of several processes are compared by the wall clock")]
pub(crate) fn now_nanos() -> Nanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    nanos(since)
}

fn nanos(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn id() -> [u8; 8] {
    // Zero is no id.
    fastrand::u64(1..).to_be_bytes()
}

impl Spans {
    pub(super) fn new(ratio: f64, most: usize) -> Self {
        Self { ratio, most, waiting: Mutex::default(), lost: AtomicU64::new(0), many: Notify::new() }
    }

    /// Begins the trace of a poll, if this one is traced.
    pub(super) fn begin(self: &Arc<Self>, connector: &Arc<str>, table: &Arc<str>) -> Option<PollTrace> {
        if fastrand::f64() >= self.ratio {
            return None;
        }
        let now = now_nanos();
        let names = [("rowtide.connector", connector), ("rowtide.table", table)];
        let root = Span {
            trace: fastrand::u128(1..).to_be_bytes(),
            id: id(),
            parent: None,
            name: "poll",
            asks_others: false,
            begins: now,
            ends: now,
            attributes: names.map(|(key, name)| (key, Value::Text(Arc::clone(name)))).to_vec(),
            error: None,
        };
        Some(PollTrace { spans: Arc::clone(self), root, began: Instant::now(), has_ended: false })
    }

    fn add(&self, span: Span) {
        let mut waiting = locked(&self.waiting);
        if waiting.len() >= self.most {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push(span);
        if waiting.len() >= MANY.min(self.most) {
            self.many.notify_one();
        }
    }

    /// The spans that wait, and the number of those for which there was no room.
    pub fn take(&self) -> (Vec<Span>, u64) {
        (std::mem::take(&mut *locked(&self.waiting)), self.lost.swap(0, Ordering::Relaxed))
    }

    /// Returns when many wait.
    pub async fn are_many(&self) {
        self.many.notified().await;
    }
}

impl PollTrace {
    /// The time in which a part of the poll ended just now that took so long.
    fn part(&self, took: Duration) -> (Nanos, Nanos) {
        let ends = self.root.begins.saturating_add(nanos(self.began.elapsed()));
        (ends.saturating_sub(nanos(took)).max(self.root.begins), ends)
    }

    /// The statements have ended just now. They took so long, of which rows were encoded for a part, between the reads.
    pub fn read(&mut self, took: Duration, encoding: Duration, rows: u64) {
        let (begins, ends) = self.part(took);
        let busy = |time: Duration| ("rowtide.busy_us", Value::Count(nanos(time) / 1000));
        let span = |name, asks_others, attributes| Span {
            id: id(),
            parent: Some(self.root.id),
            name,
            asks_others,
            begins,
            ends,
            attributes,
            ..self.root.clone()
        };
        self.spans.add(span("query", true, vec![busy(took.saturating_sub(encoding))]));
        if rows > 0 {
            self.spans.add(span("encode", false, vec![busy(encoding), ("rowtide.rows", Value::Count(rows))]));
        }
        self.root.attributes.push(("rowtide.rows", Value::Count(rows)));
    }

    /// The poll has ended.
    pub fn end(mut self) {
        self.has_ended = true;
    }

    /// The trace, for the commit of the rows.
    pub fn context(&self) -> TraceContext {
        TraceContext { spans: Arc::clone(&self.spans), trace: self.root.trace, parent: self.root.id }
    }
}

impl Drop for PollTrace {
    fn drop(&mut self) {
        let (_, ends) = self.part(Duration::ZERO);
        let error = (!self.has_ended).then(|| "the poll failed; the status of the table says why".to_owned());
        self.spans.add(Span { ends, error, ..self.root.clone() });
    }
}

impl TraceContext {
    /// The transaction with the rows has ended just now, so long after it was to be committed.
    pub fn committed(&self, took: Duration, rows: u64, error: Option<String>) {
        let ends = now_nanos();
        self.spans.add(Span {
            trace: self.trace,
            id: id(),
            parent: Some(self.parent),
            name: "commit",
            asks_others: true,
            begins: ends.saturating_sub(nanos(took)),
            ends,
            attributes: vec![("rowtide.rows", Value::Count(rows))],
            error,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spans_of_a_poll_are_one_trace_and_too_many_are_counted() {
        let spans = Arc::new(Spans::new(1.0, 5));
        let (connector, table) = (Arc::from("c"), Arc::from("t"));
        let mut trace = spans.begin(&connector, &table).expect("a trace");
        let context = trace.context();
        trace.read(Duration::from_micros(900), Duration::from_micros(200), 3);
        trace.end();
        context.committed(Duration::from_millis(2), 3, None);
        drop(spans.begin(&connector, &table));
        drop(spans.begin(&connector, &table));
        let (all, lost) = spans.take();
        assert_eq!(all.iter().map(|span| span.name).collect::<Vec<_>>(), ["query", "encode", "poll", "commit", "poll"]);
        assert!(all[..4].iter().all(|span| span.trace == all[0].trace) && all[4].trace != all[0].trace);
        assert!(all[..4].iter().all(|span| span.name == "poll" || span.parent == Some(all[2].id)));
        assert_eq!(all[0].attributes, [("rowtide.busy_us", Value::Count(700))]);
        assert!(all[2].error.is_none() && all[4].error.is_some());
        assert_eq!((lost, spans.take().0.len()), (1, 0));
        assert!(Arc::new(Spans::new(0.0, 5)).begin(&connector, &table).is_none());
    }
}
