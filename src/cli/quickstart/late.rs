//! `rowtide quickstart --late-commits`: two connectors read one table of a real PostgreSQL server while transactions
//! pass each other, one with the guard and one without. Their deliveries are read back from their topics and compared
//! with the table.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use clap::Args;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, run_connector, say, worker_settings};
use crate::cli::output;
use crate::config::spec::ConnectorSpec;
use crate::config::{self, Document, Report, Surroundings};
use crate::convert::Decoder;
use crate::embedded::late::{connector_config, unused_name};
use crate::embedded::{Brokers, LateTable, SchemaRegistry};
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::consumer::{Start, TopicConsumer, TopicRecord, read_to_end};

/// The server to show it on; user and password as in a connector's configuration.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// PostgreSQL, as connection.url names it; any role will do that may create a table.
    #[arg(long, value_name = "URL", requires = "late_commits")]
    url: Option<String>,
    /// connection.user, unless the URL has it.
    #[arg(long, value_name = "USER", requires = "late_commits")]
    user: Option<String>,
    /// connection.password, unless the URL has it; ${env:NAME} and ${file:PATH:KEY} keep it off the command line.
    #[arg(long, value_name = "PASSWORD", requires = "late_commits")]
    password: Option<String>,
}

/// The variable in which the services of the tests name their server.
const TEST_SERVER: &str = "ROWTIDE_TEST_POSTGRES_URL";
/// `commit.guard` of the two connectors.
const GUARDS: [&str; 2] = ["off", "auto"];
/// The time for which the applications write, and their number.
const LOAD: Duration = Duration::from_secs(12);
const APPLICATIONS: usize = 8;
/// The interval at which the line on a terminal moves, and at which a line is written elsewhere.
const REDRAW: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(3);
/// The exit code of an interrupt in a shell: nothing was shown, so it is no success.
const INTERRUPTED: u8 = 130;

pub(super) async fn run(args: &ServerArgs, bars: &MultiProgress, stop: &CancellationToken) -> u8 {
    let stage = match Stage::prepare(args).await {
        Ok(stage) => stage,
        Err(code) => return code,
    };
    stage.run(bars, stop).await.unwrap_or_else(|error| output::fail(&error))
}

/// The two connectors, and where they write.
struct Stage {
    table: String,
    brokers: Brokers,
    /// Ends with this.
    _registry: SchemaRegistry,
    /// The specifications, in the order of [`GUARDS`].
    specs: [ConnectorSpec; 2],
}

/// Ids in a topic, and how often.
type Seen = HashMap<i64, usize>;

impl Stage {
    /// Brokers, registry and configurations. Errors have been reported when an exit code is given.
    async fn prepare(args: &ServerArgs) -> Result<Self, u8> {
        let fail = |error: Error| output::fail(&error);
        let environment = config::process_environment();
        let url = args.url.as_ref().or_else(|| environment.get(TEST_SERVER)).ok_or_else(|| {
            fail(Error::config("--late-commits needs a PostgreSQL server: rows of SQLite cannot pass each other").advise(
                "give its URL: rowtide quickstart --late-commits --url postgres://user:password@host:5432/database",
            ))
        })?;
        let mut connection = vec![("connection.url", url.as_str())];
        connection.extend(args.user.as_deref().map(|user| ("connection.user", user)));
        connection.extend(args.password.as_deref().map(|password| ("connection.password", password)));
        let brokers = Brokers::start(1).map_err(fail)?;
        let registry = SchemaRegistry::start().await.map_err(fail)?;
        let (table, sets) = (unused_name(), worker_settings(&brokers, &registry));
        let load = |guard: &str| -> Result<ConnectorSpec, Report> {
            let document =
                Document::parse("the quick start", &connector_config(guard, &table, &connection).to_string())?;
            // The environment of the user's own worker is not meant for this one.
            let environment = environment.clone().into_iter().filter(|(name, _)| !name.starts_with("CONNECT_"));
            let surroundings =
                Surroundings { environment: environment.collect(), sets: sets.clone(), ..Surroundings::default() };
            Ok(config::connector(document, surroundings)?.spec)
        };
        let both = load(GUARDS[0]).and_then(|off| Ok([off, load(GUARDS[1])?]));
        let specs = both.map_err(|report| {
            output::say_report(&report);
            ErrorKind::Config.exit_code()
        })?;
        Ok(Self { table, brokers, _registry: registry, specs })
    }

    fn topics(&self) -> Vec<String> {
        GUARDS.iter().map(|guard| format!("guard_{guard}_{}", self.table)).collect()
    }

    /// The exit code, or the error. The table is dropped in either case.
    async fn run(&self, bars: &MultiProgress, stop: &CancellationToken) -> Result<u8> {
        let mut table = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(INTERRUPTED),
            table = LateTable::connect(&self.specs[0].source, &self.table) => table?,
        };
        table.create().await?;
        let shown = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(INTERRUPTED),
            shown = self.show(&table, bars) => shown.map(|()| 0),
        };
        match (shown, table.remove().await) {
            (Ok(code), removed) => removed.map(|()| code),
            (Err(error), removed) => {
                if let Err(left) = removed {
                    output::fail(&left);
                }
                Err(error)
            }
        }
    }

    async fn show(&self, table: &LateTable, bars: &MultiProgress) -> Result<()> {
        say(&format!(
            "server     {}, {}\ntable      {} (dropped at the end)\nbrokers    {} (of this process)\n\n\
             Two connectors read it, mode=timestamp+incrementing. They differ in one key:\n  \
             commit.guard=off     a position, and rows after it: what polling connectors do\n  \
             commit.guard=auto    what rowtide does unless told otherwise\n",
            table.server(),
            self.specs[0].source.url,
            self.table,
            self.brokers.bootstrap_servers(),
        ))?;
        for topic in self.topics().iter().chain([&self.specs[0].offsets.topic]) {
            self.brokers.create_topic(topic, 1)?;
        }
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let mut connectors = JoinSet::new();
        for spec in self.specs.clone() {
            connectors.spawn(run_connector(spec, stop.clone(), ended.clone()));
        }
        let played = tokio::select! {
            played = self.play(table, bars) => played,
            () = ended.cancelled() => Err(Error::internal("a connector has ended")),
        };
        stop.cancel();
        while let Some(finished) = connectors.join_next().await {
            finished.map_err(|panic| Error::internal("a connector panicked").caused_by(panic))??;
        }
        played?;
        self.compare(table).await
    }

    async fn play(&self, table: &LateTable, bars: &MultiProgress) -> Result<()> {
        let mut topics = Topics::open(&self.specs[0], self.topics()).await?;
        play_one(table, &mut topics).await?;
        say(&format!(
            "\nNow {APPLICATIONS} applications for {} s: short transactions, one in ten held for up to 1.5 s, savepoints, \
             rollbacks.\n",
            LOAD.as_secs()
        ))?;
        play_load(table, &mut topics, bars).await?;
        // Rows that are missing in a topic whose connector has read this one will not come any more; but the guard gets
        // the time of one more poll to look back.
        let mut application = table.application().await?;
        application.begin().await?;
        let last = application.insert(false).await?;
        application.commit().await?;
        if !topics.until(|seen| seen.iter().all(|seen| seen.contains_key(&last))).await? {
            return Err(Error::new(ErrorKind::Kafka, "the last row did not arrive"));
        }
        let rows = table.committed().rows();
        topics.until(|[_, auto]| auto.len() as u64 >= rows).await?;
        Ok(())
    }

    /// Compares the topics, now that nobody writes to them any more, with the table.
    async fn compare(&self, table: &LateTable) -> Result<()> {
        let ids = table.ids().await?;
        let mut delivered = Vec::new();
        for (spec, topic) in self.specs.iter().zip(self.topics()) {
            let decoder = spec.value_converter.decoder()?;
            let mut seen = Seen::new();
            for record in read_to_end(&spec.kafka, &topic).await? {
                *seen.entry(id_of(&*decoder, record.value).await?).or_default() += 1;
            }
            delivered.push(Delivered::of(&ids, &seen));
        }
        let both = |count: usize| [count; 2];
        let late = table.committed().late() as usize;
        let each = |of: fn(&Delivered) -> usize| [of(&delivered[0]), of(&delivered[1])];
        let mut text = format!("\n{:24}{:>18}{:>20}\n", "", "commit.guard=off", "commit.guard=auto");
        for (what, [off, auto]) in [
            ("rows in the table", both(ids.len())),
            ("of these late", both(late)),
            ("delivered", each(|delivered| delivered.rows)),
            ("lost", each(|delivered| delivered.lost)),
            ("repeated", each(|delivered| delivered.repeated)),
        ] {
            let (off, auto) = (HumanCount(off as u64).to_string(), HumanCount(auto as u64).to_string());
            text.push_str(&format!("{what:24}{off:>18}{auto:>20}\n"));
        }
        text.push_str("\nLate is a row that was committed when one with a later timestamp had been.\n");
        say(&text)?;
        let [off, auto] = [&delivered[0], &delivered[1]];
        if auto.lost + auto.repeated > 0 {
            let what = format!("the guard has lost {} rows and repeated {}", auto.lost, auto.repeated);
            return Err(Error::internal(what));
        }
        say(&format!(
            "With the guard every row has come, once. Without it {} are gone for good, and nothing would have said so.\n\n\
             Next:\n  \
             rowtide explain connector.json        shows the guard of each of your tables, and the grant that would raise it\n  \
             docs/guarantees.md                    the promise for each database, and its proof\n",
            output::count(off.lost, "row"),
        ))
    }
}

/// The deliveries of a table's rows.
struct Delivered {
    rows: usize,
    lost: usize,
    repeated: usize,
}

impl Delivered {
    fn of(ids: &BTreeSet<i64>, seen: &Seen) -> Self {
        let rows = ids.iter().filter(|id| seen.contains_key(id)).count();
        let repeated = seen.values().map(|times| times - 1).sum();
        Self { rows, lost: ids.len() - rows, repeated }
    }
}

/// One row that commits late, slowly enough to be looked at.
async fn play_one(table: &LateTable, topics: &mut Topics) -> Result<()> {
    let (mut slow, mut quick) = (table.application().await?, table.application().await?);
    slow.begin().await?;
    let late = slow.insert(false).await?;
    say(&format!("\nA row takes its timestamp, and another one passes it.\n  A> begin; insert          row {late}\n"))?;
    quick.begin().await?;
    let passing = quick.insert(false).await?;
    quick.commit().await?;
    say(&format!("  B> begin; insert; commit  row {passing}, with a later timestamp\n"))?;
    if !topics.until(|seen| seen.iter().all(|seen| seen.contains_key(&passing))).await? {
        return Err(Error::new(ErrorKind::Kafka, "the first row did not arrive"));
    }
    say(&format!("     both connectors have delivered row {passing}\n"))?;
    slow.commit().await?;
    let committed = Instant::now();
    say(&format!("  A> commit                 only now row {late} can be seen\n"))?;
    if topics.until(|[_, auto]| auto.contains_key(&late)).await? {
        let after = committed.elapsed().as_millis();
        say(&format!(
            "     commit.guard=auto has delivered row {late}, {after} ms later; commit.guard=off never will\n"
        ))?;
    }
    Ok(())
}

/// Runs the applications, and shows the deliveries so far meanwhile.
async fn play_load(table: &LateTable, topics: &mut Topics, bars: &MultiProgress) -> Result<()> {
    let end = Instant::now() + LOAD;
    // On error the others are dropped with the set, and their open transactions are rolled back; on cancel all are.
    let mut applications = JoinSet::new();
    for _ in 0..APPLICATIONS {
        applications.spawn(table.application().await?.work(end));
    }
    let is_plain = bars.is_hidden();
    let line = bars.add(ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear));
    line.set_style(
        ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let period = if is_plain { LINE_EVERY } else { REDRAW };
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            record = topics.consumer.next() => topics.take(record?).await?,
            _ = ticks.tick() => {
                let left = end.saturating_duration_since(Instant::now()).as_secs();
                let [off, auto] = topics.seen.each_ref().map(|seen| HumanCount(seen.len() as u64));
                let (rows, late) = (HumanCount(table.committed().rows()), HumanCount(table.committed().late()));
                let text = format!("{left:>2} s left: {rows} rows, {late} of them late; off has delivered {off}, auto {auto}");
                if is_plain { output::say(&text) } else { line.set_message(text); line.tick() }
            }
            ended = applications.join_next() => match ended {
                Some(ended) => ended.map_err(|panic| Error::internal("an application panicked").caused_by(panic))??,
                None => return Ok(()),
            },
        }
    }
}

/// Both topics, as they are written.
struct Topics {
    consumer: TopicConsumer,
    decoder: Box<dyn Decoder>,
    /// The names, in the order of [`GUARDS`], as everything here.
    names: Vec<String>,
    seen: [Seen; 2],
}

impl Topics {
    async fn open(spec: &ConnectorSpec, names: Vec<String>) -> Result<Self> {
        let consumer = TopicConsumer::open(&spec.kafka, &names, Start::Beginning).await?;
        Ok(Self { consumer, decoder: spec.value_converter.decoder()?, names, seen: Default::default() })
    }

    async fn take(&mut self, record: TopicRecord) -> Result<()> {
        let id = id_of(&*self.decoder, record.record.value).await?;
        for (name, seen) in self.names.iter().zip(&mut self.seen) {
            if *name == record.topic {
                *seen.entry(id).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Reads on until something is true; false if it is not in time.
    async fn until(&mut self, is_so: impl Fn(&[Seen; 2]) -> bool) -> Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.seen) {
            match tokio::time::timeout_at(deadline, self.consumer.next()).await {
                Ok(record) => self.take(record?).await?,
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}

async fn id_of(decoder: &dyn Decoder, value: Option<Vec<u8>>) -> Result<i64> {
    let text = decoder.decode(&value.unwrap_or_default()).await?;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    value["id"].as_i64().ok_or_else(|| Error::internal("a record has no id"))
}
