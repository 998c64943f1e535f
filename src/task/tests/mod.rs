//! The two stages against a scripted source and scripted brokers, in paused time. Whatever the script
//! does, what is committed in the end equals the source, each row once and in order.

mod controlled;
mod database;
mod faults;
mod fences;
mod guarded;
mod resting;
mod runs;
mod schedule;
mod scripted;
mod servers;
mod skipped;
mod source;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::faults::Step;
use self::scripted::{Outside, SinkFault, SourceFault};
use self::source::Registry;
use super::columns::KnownColumns;
use super::commit::CommitStage;
use super::control::Control;
use super::driver_types::DriverChoices;
use super::handoff::{self, Handoff, StepEnd};
use super::memory::MemoryBudget;
use super::plan_check::KnownPlans;
use super::refused::Refusals;
use super::samples::Samples;
use super::server::ServerGuard;
use super::{Fence, Parts, run};
use crate::config::spec::ServerIdentity;
use crate::config::spec::{ConnectorSpec, SourceSpec, TaskSpec};
use crate::config::{Document, Surroundings, connector};
use crate::dialect::sessions::Sessions;
use crate::error::{ErrorKind, Result};
use crate::model::{EncodedBatch, Offsets, Relation, TableId};
use crate::retry::Backoff;
use crate::status::{StatusBoard, TableState};
use crate::telemetry::Metrics;

fn parts(outside: &Outside, once: bool, changes: &[(&str, &str)]) -> Parts {
    parts_of(outside, once, spec(changes))
}

fn spec(changes: &[(&str, &str)]) -> ConnectorSpec {
    let settings = [
        ("name", "c"),
        ("connection.url", "jdbc:postgresql://localhost/d"),
        ("mode", "incrementing"),
        ("incrementing.column.name", "id"),
        ("topic.prefix", "p_"),
        ("batch.max.rows", "4"),
        ("poll.interval.ms", "1000"),
        // The scripted source shows nothing of its transactions.
        ("commit.guard", "off"),
        ("bootstrap.servers", "localhost:9092"),
        ("value.converter.schema.registry.url", "http://localhost:8081"),
    ];
    let settings: std::collections::BTreeMap<String, String> =
        settings.iter().chain(changes).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let loaded = connector(Document::from_map("c", settings), Surroundings::default());
    loaded.unwrap_or_else(|report| panic!("{report}")).spec
}

fn parts_of(outside: &Outside, once: bool, spec: ConnectorSpec) -> Parts {
    let (source, sink, topics) = (outside.clone(), outside.clone(), outside.clone());
    Parts {
        spec: TaskSpec::new(Arc::new(spec)),
        // A dialect lives as long as the process.
        dialect: Box::leak(Box::new(source)),
        sessions: Sessions::default(),
        key_converter: Arc::new(Registry(outside.clone())),
        value_converter: Arc::new(Registry(outside.clone())),
        header_converter: Arc::new(Registry(outside.clone())),
        store: Arc::new(outside.clone()),
        sink: Arc::new(move |task| Ok(sink.sink(task))),
        ensure_topic: Arc::new(move |_, _| {
            let topics = topics.clone();
            async move { topics.visit(Step::EnsureTopic).await.map(|_| usize::MAX) }.boxed()
        }),
        look_at_topics: Arc::new(|_| async { Ok(None) }.boxed()),
        holds_records: Arc::new(|_| async { Some(false) }.boxed()),
        board: StatusBoard::new("c", Duration::from_secs(30)),
        metrics: Metrics::new().connector("c"),
        once,
        task: 0,
        fence: Fence::among(1).remove(0),
        server: ServerGuard::new(false, ServerIdentity::Host),
        columns: KnownColumns::default(),
        driver_choices: DriverChoices::default(),
        plans: KnownPlans::default(),
        memory: Arc::new(MemoryBudget::default().claim(1, 256 << 20).unwrap()).of_task(0),
        control: Control::default(),
        samples: Samples::default(),
    }
}

fn table(name: &str) -> Relation {
    Relation::Table(TableId { catalog: None, schema: None, name: name.into() })
}

fn tables(names: &[&str]) -> watch::Receiver<Vec<Relation>> {
    watch::channel(names.iter().map(|name| table(name)).collect()).1
}

/// Reads table `t` to its end, whatever happens; the rows must be there once and in order.
async fn delivers(outside: &Outside) {
    let outcome = run(parts(outside, true, &[]), tables(&["t"]), CancellationToken::new()).await;
    outcome.unwrap();
    assert_exactly_once(outside, "t");
    assert_eq!(outside.faults_left(), 0, "the script was not played to its end");
    assert_eq!(outside.open(), 0);
}

#[track_caller]
fn assert_exactly_once(outside: &Outside, table: &str) {
    let committed = outside.committed(&format!("p_{table}"));
    assert_eq!(committed, outside.rows(table));
    assert_eq!(outside.offset(table), committed.last().copied(), "the offset is that of the last row");
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_the_sink_ends_in_exactly_once() {
    use SinkFault::*;
    for fault in [RejectInit, RejectBegin, RejectSend, RejectCommit, LoseAnswer, LoseCommit, Hold, SendTwice] {
        for times in [1, 3] {
            let outside = Outside::default();
            outside.insert("t", 1..=50);
            // All rows fit into one transaction: once these have passed there is nothing to try again.
            let times = if matches!(fault, LoseAnswer | Hold | SendTwice) { 1 } else { times };
            outside.sink_faults(std::iter::repeat_n(fault, times));
            delivers(&outside).await;
        }
    }
}

/// A step of table `t` with one row.
fn step(id: i64, end: StepEnd) -> Handoff {
    let mut batch = EncodedBatch::new("p_t".into(), 1, 8);
    let append = |out: &mut Vec<u8>| -> Result<()> {
        out.extend(id.to_string().bytes());
        Ok(())
    };
    batch.push(None::<fn(&mut Vec<u8>) -> Result<()>>, Some(append)).unwrap();
    handoff::Step { end, ..handoff::Step::torn("t".into(), batch, None) }.into()
}

#[tokio::test(start_paused = true)]
async fn part_of_a_step_waits_for_the_rest_and_is_not_committed_without_it() {
    for has_rest in [true, false] {
        let outside = Outside::default();
        let parts = parts(&outside, true, &[]);
        let mut sink = outside.sink(0);
        sink.init().await.unwrap();
        let (mut backoff, refusals) = (Backoff::default(), Refusals::default());
        let stage = CommitStage::new(&parts, sink, Offsets::default(), &mut backoff, &refusals);
        let (sender, receiver) = mpsc::channel(1);
        let polling = async {
            sender.send(step(1, StepEnd::Torn)).await.unwrap();
            // Far longer than a growing transaction is left open otherwise.
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert_eq!(outside.transactions(), 0);
            if has_rest {
                sender.send(step(2, StepEnd::More)).await.unwrap();
            }
            drop(sender);
        };
        let (outcome, ()) = tokio::join!(stage.run(receiver), polling);
        outcome.unwrap();
        assert_eq!(outside.committed("p_t"), if has_rest { vec![1, 2] } else { vec![] });
        assert_eq!(outside.open(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_the_source_ends_in_exactly_once() {
    use SourceFault::*;
    for fault in [Connect, Describe, Statement, BreakAfter(0), BreakAfter(2), Changed] {
        for times in [1, 3] {
            let outside = Outside::default();
            outside.insert("t", 1..=50);
            outside.source_faults(std::iter::repeat_n(fault, times));
            delivers(&outside).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fenced_task_stops_without_another_try() {
    let outside = Outside::default();
    outside.insert("t", 1..=9);
    outside.sink_faults([SinkFault::Fence]);
    let error = run(parts(&outside, true, &[]), tables(&["t"]), CancellationToken::new()).await.unwrap_err();
    assert_eq!((error.kind(), outside.transactions()), (ErrorKind::Fenced, 0));
    assert_eq!(outside.epoch(), 2, "ours and the other's; ours did not come back");
}

/// A task that runs until it is stopped.
struct Task {
    stop: CancellationToken,
    board: StatusBoard,
    selected: watch::Sender<Vec<Relation>>,
    handle: tokio::task::JoinHandle<Result<()>>,
}

impl Task {
    fn start(outside: &Outside, names: &[&str], changes: &[(&str, &str)]) -> Self {
        Self::start_parts(parts(outside, false, changes), names)
    }

    fn start_parts(parts: Parts, names: &[&str]) -> Self {
        let (selected, receiver) = watch::channel(names.iter().map(|name| table(name)).collect());
        let (stop, board) = (CancellationToken::new(), parts.board.clone());
        let handle = tokio::spawn(run(parts, receiver, stop.clone()));
        Self { stop, board, selected, handle }
    }

    fn state(&self, name: &str) -> Option<TableState> {
        self.board.with(|status| status.table(name).map(|table| table.state))
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.handle.await.unwrap()
    }
}

/// Lets the paused clock run.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_task_opens_no_transaction() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    let task = Task::start(&outside, &["t"], &[]);
    pass(5).await;
    let (transactions, statements) = (outside.transactions(), outside.statements());
    pass(60).await;
    assert_eq!((outside.transactions(), outside.open()), (transactions, 0));
    assert!(outside.statements() >= statements + 50);
    task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_closed_between_two_polls_is_made_again_without_a_word() {
    let outside = Outside::default();
    outside.close_idle();
    outside.insert("t", 1..=5);
    let task = Task::start(&outside, &["t"], &[("poll.interval.ms", "60000")]);
    for second in 1..=300 {
        pass(1).await;
        assert_ne!(task.state("t"), Some(TableState::BackingOff), "after {second} s");
        if second % 100 == 0 {
            outside.insert("t", second..=second + 3);
        }
    }
    pass(100).await;
    task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn a_stop_commits_what_is_open() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    outside.sink_faults([SinkFault::Hold]);
    let task = Task::start(&outside, &["t"], &[]);
    pass(30).await;
    assert_eq!((outside.open(), outside.committed("p_t").len()), (1, 0), "the commit takes a minute");
    task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_missing_fails_alone_and_is_read_when_it_appears() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    let task = Task::start(&outside, &["t", "u"], &[]);
    pass(5).await;
    assert_eq!(task.state("u"), Some(TableState::Failed));
    assert_exactly_once(&outside, "t");
    // Meanwhile another one appears.
    outside.insert("v", 1..=3);
    task.selected.send_modify(|relations| relations.push(table("v")));
    pass(5).await;
    assert_exactly_once(&outside, "v");
    outside.insert("u", 1..=7);
    pass(120).await;
    assert_eq!(task.state("u"), Some(TableState::Idle));
    assert_exactly_once(&outside, "u");
    task.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_table_that_leaves_and_comes_back_goes_on_where_it_was() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    outside.insert("u", 1..=5);
    let task = Task::start(&outside, &["t", "u"], &[]);
    pass(5).await;
    task.selected.send_modify(|relations| relations.retain(|relation| *relation == table("t")));
    pass(5).await;
    assert_eq!(task.state("u"), None);
    outside.insert("u", 6..=9);
    task.selected.send_modify(|relations| relations.push(table("u")));
    pass(5).await;
    task.stop().await.unwrap();
    assert_exactly_once(&outside, "u");
}

#[tokio::test(start_paused = true)]
async fn a_task_of_which_nothing_works_goes_on_while_another_has_a_table_that_does() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    let mut task = Task::start(&outside, &["u"], &[]);
    let other = task.board.table("t");
    pass(300).await;
    assert!(!task.handle.is_finished(), "the other task still has a table that works");
    other.failed(&crate::error::Error::config("scripted"));
    pass(120).await;
    let error = (&mut task.handle).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceSchema);
}

#[tokio::test(start_paused = true)]
async fn six_tasks_read_their_tables_through_two_sessions_and_none_starves() {
    let outside = Outside::default();
    let names = ["t1", "t2", "t3", "t4", "t5", "t6"];
    names.iter().for_each(|name| outside.insert(name, 1..=50));
    let parts = parts(&outside, false, &[("connection.pool.size", "2")]);
    let stop = CancellationToken::new();
    let tasks = runs::start_tasks(&parts, &names, (0, 6), || parts.board.clone(), &stop);
    for end in [51, 52, 53] {
        tokio::time::sleep(Duration::from_secs(5)).await;
        names.iter().for_each(|name| outside.insert(name, [end]));
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    names.iter().for_each(|name| assert_exactly_once(&outside, name));
    assert_eq!(outside.most_sessions(), 2);
    // Those of the same settings are handed on, not closed and opened again.
    assert_eq!(outside.calls(Step::Connect), 2);
    stop.cancel();
    runs::end(tasks).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_given_up_for_another_connector_while_its_holder_waits_for_the_next_poll() {
    let outside = Outside::default();
    outside.insert("t", 1..=3);
    let parts = parts(&outside, false, &[("connection.pool.size", "1"), ("poll.interval.ms", "3600000")]);
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(parts.clone(), tables(&["t"]), stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = SourceSpec { user: Some("other".to_owned()), ..parts.spec.source().clone() };
    for _ in 0..2 {
        let opened = parts.sessions.open(parts.dialect, &other);
        let session = tokio::time::timeout(Duration::from_secs(1), opened).await.unwrap().unwrap();
        assert!(!session.is_handed_over(), "it is of another user");
        // A second one has to wait, and may give up.
        let second = parts.sessions.open(parts.dialect, parts.spec.source());
        tokio::time::timeout(Duration::from_secs(60), second).await.unwrap_err();
        session.close().await;
    }
    assert_eq!(outside.most_sessions(), 1);
    stop.cancel();
    task.await.unwrap().unwrap();
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn a_start_at_the_present_that_could_not_be_found_is_not_the_beginning() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    outside.set_now(10);
    outside.source_faults([SourceFault::Clock; 2]);
    let changes = [
        ("mode", "timestamp+incrementing"),
        ("timestamp.column.name", "ts"),
        ("timestamp.initial", "-1"),
        ("key.mode", "none"),
    ];
    let task = Task::start(&outside, &["t"], &changes);
    pass(5).await;
    outside.insert("t", 1_000..=1_005);
    outside.set_now(5_000);
    pass(5).await;
    task.stop().await.unwrap();
    assert_eq!(outside.faults_left(), 0);
    assert_eq!(outside.committed("p_t"), (1_000..=1_005).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn columns_that_keep_changing_stop_the_table_in_the_end() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    outside.insert("u", 1..=5);
    let task = Task::start(&outside, &["t", "u"], &[("table.poll.interval.ms", "3600000")]);
    pass(5).await;
    outside.source_faults(std::iter::repeat_n(SourceFault::Changed, 20));
    pass(60).await;
    let failed = ["t", "u"].map(|name| task.state(name) == Some(TableState::Failed));
    assert!(failed[0] || failed[1]);
    outside.clear_faults();
    task.stop().await.unwrap_or_default();
}

#[tokio::test(start_paused = true)]
async fn brokers_that_do_not_answer_show_in_the_status_of_every_table_they_hold_up() {
    let outside = Outside::default();
    outside.insert("t", 1..=50);
    outside.insert("u", 1..=1);
    outside.sink_faults([SinkFault::Hold]);
    let task = Task::start(&outside, &["t", "u"], &[]);
    pass(15).await;
    let status = task.board.snapshot();
    for name in ["t", "u"] {
        let table = status.table(name).unwrap();
        assert_eq!(table.state, TableState::Waiting, "{table:?}");
        assert!(table.reason.as_deref().unwrap().contains("Kafka has not confirmed"), "{table:?}");
    }
    pass(60).await;
    assert_eq!(task.state("t"), Some(TableState::Idle));
    task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn a_large_table_does_not_keep_the_small_ones_waiting() {
    let outside = Outside::default();
    outside.insert("large", 1..=100_000);
    let names: Vec<String> = (0..99).map(|n| format!("small{n}")).collect();
    for name in &names {
        outside.insert(name, 1..=3);
    }
    let mut all = vec!["large"];
    all.extend(names.iter().map(String::as_str));
    run(parts(&outside, true, &[]), tables(&all), CancellationToken::new()).await.unwrap();
    let history = outside.history();
    let last_small = history.iter().rposition(|(topic, _)| topic != "p_large").unwrap();
    assert!(last_small < 1_000, "small tables waited for {last_small} records");
    for name in all {
        assert_exactly_once(&outside, name);
    }
}
