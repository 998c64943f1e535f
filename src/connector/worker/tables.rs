//! Requests about single tables of a running connector. What is wanted of them goes to the tasks through the control of
//! the present run, and is forgotten with it; the other tables do not notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::hosted::Hosted;
use crate::config::spec::{KeyColumns, PartitionBy, TableSpec, TaskSpec};
use crate::connector::{explain, inspect, offset_tools};
use crate::convert::Decoder;
use crate::dialect::dialect_of;
use crate::error::{Error, ErrorKind, Result};
use crate::herder::{ConnectState, HerderError, Outcome, TableInfo, TableOrder};
use crate::model::{Backfill, OffsetMove, Relation, SourceOffset};
use crate::retry::within;
use crate::status::allowance;
use crate::task::binding::stored_for;
use crate::task::control::{Control, Moved};

impl Shared {
    /// Makes a table rest, go on, or start anew.
    pub(super) async fn order(&self, hosted: &Hosted, table: &str, order: TableOrder) -> Outcome<()> {
        let (control, _) = hosted.control().await?;
        let name = hosted.relation(table)?.to_string();
        match order {
            TableOrder::Pause => control.pause(&name, true),
            TableOrder::Resume => control.pause(&name, false),
            TableOrder::Restart => control.restart(&name),
        }
        self.note(&hosted.name, Some(&name), format!("{} was asked for", order.as_str()));
        Ok(())
    }

    /// Changes the offset of a table in the connector's own transaction.
    pub(super) async fn move_offset(
        &self,
        hosted: &Hosted,
        table: &str,
        change: OffsetMove,
    ) -> Outcome<Option<SourceOffset>> {
        let (control, over) = hosted.control().await?;
        let relation = hosted.relation(table)?;
        let name = relation.to_string();
        let change = self.as_stored(hosted, &relation, change).await?;
        let Some(answered) = control.move_offset(&name, change) else { return Err(HerderError::Busy(name)) };
        self.note(&hosted.name, Some(&name), "another offset was asked for");
        let offset = self.changed(answered, &name, (&control, &over)).await?;
        let position = offset.as_ref().map_or_else(|| "the beginning".to_owned(), ToString::to_string);
        self.note(&hosted.name, Some(&name), format!("the offset was changed to {position}"));
        Ok(offset)
    }

    /// Begins a backfill of a table, or ends the one there is.
    pub(super) async fn backfill(
        &self,
        hosted: &Hosted,
        table: &str,
        request: Option<Backfill>,
    ) -> Outcome<Option<SourceOffset>> {
        let (control, over) = hosted.control().await?;
        let relation = hosted.relation(table)?;
        let name = relation.to_string();
        if let Some(request) = &request {
            self.look_at_backfill(hosted, (&relation, request)).await.map_err(|error| match error.kind() {
                ErrorKind::Unreachable => HerderError::Failed(error),
                _ => HerderError::Wrong(error),
            })?;
        }
        let what = if request.is_some() { "a backfill was asked for" } else { "the end of the backfill was asked for" };
        let Some(answered) = control.backfill(&name, request) else { return Err(HerderError::Busy(name)) };
        self.note(&hosted.name, Some(&name), what);
        self.changed(answered, &name, (&control, &over)).await
    }

    async fn look_at_backfill(&self, hosted: &Hosted, of: (&Relation, &Backfill)) -> Result<()> {
        let spec = hosted.spec()?;
        let (dialect, what) = (dialect_of(&spec.source)?, format!("database {}", spec.source.url));
        within(self.options.timeout, &what, async {
            let mut connection = self.sessions.open(dialect, &spec.source).await?;
            let looked = inspect::backfill(&spec, dialect, &mut *connection, of).await;
            connection.finish().await;
            looked
        })
        .await
    }

    /// The progress of a table that is committed by request.
    async fn changed(
        &self,
        answered: oneshot::Receiver<Moved>,
        name: &str,
        (control, over): (&Control, &CancellationToken),
    ) -> Outcome<Option<SourceOffset>> {
        // A connector that cannot fence or reads nothing for now takes it later.
        let answer = tokio::select! {
            answer = answered => answer.ok(),
            () = over.cancelled() => None,
            () = tokio::time::sleep(self.options.timeout) => None,
        };
        match answer {
            Some(answer) => answer.map_err(HerderError::Wrong),
            None if control.withdraw(name) => {
                let message = "nothing was changed, for the connector takes no orders at the moment";
                let error = Error::new(ErrorKind::Refused, message).with("table", name);
                Err(error.advise("its status says why; try again when it is running").into())
            }
            None => {
                let message = "whether it was changed is not known: its transaction was not confirmed";
                let error = Error::new(ErrorKind::OutcomeUnknown, message).with("table", name);
                Err(error.advise("look at the stored offsets, and try again if they are the old ones").into())
            }
        }
    }

    /// A change with the time that Kafka Connect stores for it.
    async fn as_stored(&self, hosted: &Hosted, relation: &Relation, change: OffsetMove) -> Result<OffsetMove> {
        let OffsetMove::To { timestamp: Some(timestamp), incrementing } = change else { return Ok(change) };
        let spec = hosted.spec()?;
        let (what, partition) = (format!("database {}", spec.source.url), spec.source_partition(relation));
        let timestamp = offset_tools::stored_time(&spec, &partition, timestamp);
        let timestamp = Some(within(self.options.timeout, &what, timestamp).await?);
        Ok(OffsetMove::To { timestamp, incrementing })
    }

    /// Gives the tables of a connector another poll interval until it starts anew.
    pub(super) async fn set_interval(&self, hosted: &Hosted, interval: Duration) -> Outcome<()> {
        let (control, _) = hosted.control().await?;
        let present = match control.configured() {
            Some(spec) => spec,
            None => TaskSpec::new(Arc::new(hosted.spec()?)),
        };
        let newer = present.with_interval(interval);
        hosted.board.set_allowance(allowance(newer.longest_interval()));
        control.configure(newer);
        self.note(&hosted.name, None, format!("poll.interval.ms={} was asked for", interval.as_millis()));
        Ok(())
    }

    /// The settings of a table, and its stored offset.
    pub(super) async fn table(&self, hosted: &Hosted, table: &str) -> Outcome<TableInfo> {
        let relation = hosted.relation(table)?;
        let present = hosted.control().await.ok().and_then(|(control, _)| control.configured());
        let spec = hosted.spec()?;
        let spec = present.map_or_else(|| spec.for_table(&relation), |present| present.for_table(&relation));
        let stored: HashMap<_, _> = self.stored(hosted).await?.offsets.into_iter().collect();
        let found = stored_for(&spec, &stored);
        let partition = found.map_or(&spec.partition, |(partition, _)| partition).clone();
        let offset = found.map(|(_, stored)| stored.offset.clone());
        Ok(TableInfo { settings: settings(&spec), partition, offset })
    }

    /// The reads and writes of a table. What cannot be told of it is told with the reason, as the command line does.
    pub(super) async fn explain(&self, hosted: &Hosted, table: &str) -> Outcome<Json> {
        let relation = hosted.relation(table)?;
        let explained = self.explained(hosted, &relation).await;
        Ok(explained.unwrap_or_else(|error| explain::failure(&relation, &error)))
    }

    async fn explained(&self, hosted: &Hosted, relation: &Relation) -> Result<Json> {
        let spec = hosted.spec()?;
        let (dialect, stored) = (dialect_of(&spec.source)?, self.stored(hosted).await?);
        let what = format!("database {}", spec.source.url);
        within(self.options.timeout, &what, async {
            let mut connection = self.sessions.open(dialect, &spec.source).await?;
            let explained = explain::table(&spec, dialect, &mut *connection, relation, &stored.offsets, 0).await;
            connection.finish().await;
            explained.map(|explanation| explanation.json())
        })
        .await
    }
}

impl Shared {
    /// The last records of a table, decoded.
    pub(super) async fn samples(&self, hosted: &Hosted, table: &str, limit: usize) -> Outcome<Vec<Json>> {
        let name = hosted.relation(table)?.to_string();
        let Some(samples) = hosted.lock().await?.samples() else { return Ok(Vec::new()) };
        let spec = hosted.spec()?;
        let (keys, values) = (spec.key_converter.decoder()?, spec.value_converter.decoder()?);
        let mut decoded = Vec::new();
        for sample in samples.last(&name, limit) {
            let key = self.decoded(&*keys, sample.key).await?;
            decoded.push(json!({"key": key, "value": self.decoded(&*values, sample.value).await?}));
        }
        Ok(decoded)
    }

    async fn decoded(&self, decoder: &dyn Decoder, bytes: Option<Vec<u8>>) -> Result<Json> {
        let Some(bytes) = bytes else { return Ok(Json::Null) };
        let text = within(self.options.timeout, "the schema registry", decoder.decode(&bytes)).await?;
        Ok(serde_json::from_str(&text).unwrap_or(Json::String(text)))
    }
}

impl Hosted {
    /// The control of its present run, and the end of that run.
    async fn control(&self) -> Outcome<(Control, CancellationToken)> {
        let life = self.lock().await?;
        life.control().ok_or_else(|| HerderError::NotRunning(self.name.clone(), self.info().state))
    }

    /// A table of it.
    fn relation(&self, table: &str) -> Outcome<Relation> {
        // One that is just starting has none yet.
        let none = || match self.info().state {
            ConnectState::Running => HerderError::NoTable { connector: self.name.clone(), table: table.to_owned() },
            state => HerderError::NotRunning(self.name.clone(), state),
        };
        self.assignment.find(table).ok_or_else(none)
    }
}

/// The settings of a table, by their keys.
fn settings(spec: &TableSpec) -> Map<String, Json> {
    let mode = &spec.mode;
    let (key, columns) = match &spec.key.columns {
        KeyColumns::None => ("none", None),
        KeyColumns::PrimaryKey => ("primary_key", None),
        KeyColumns::Named(columns) => ("columns", Some(columns.join(","))),
    };
    let partition_by = match &spec.partition_by {
        PartitionBy::Key => "key".to_owned(),
        PartitionBy::Table => "table".to_owned(),
        PartitionBy::Columns(columns) => format!("columns:{}", columns.join(",")),
    };
    let millis = |time: Duration| json!(time.as_millis() as u64);
    let all = [
        ("mode", json!(mode.mode.as_str())),
        ("incrementing.column.name", json!(mode.incrementing)),
        ("timestamp.column.name", json!((!mode.timestamp.is_empty()).then(|| mode.timestamp.join(",")))),
        ("key.mode", json!(key)),
        ("message.key.columns", json!(columns)),
        ("topic", json!(spec.topic().ok().map(|topic| topic.to_string()))),
        ("partition.by", json!(partition_by)),
        ("poll.interval.ms", millis(spec.polling.interval)),
        ("poll.interval.max.ms", millis(spec.polling.longest_interval)),
        ("batch.max.rows", json!(spec.polling.batch_max_rows)),
        ("load.rows.per.second", json!((spec.polling.load_rate > 0).then_some(spec.polling.load_rate))),
        ("timestamp.delay.interval.ms", millis(spec.polling.delay)),
        ("query.suffix", json!(spec.polling.suffix)),
        ("where", json!(spec.filter)),
        ("commit.guard", json!(spec.guard.wanted.as_str())),
        ("by_pattern", json!(spec.applied.iter().map(ToString::to_string).collect::<Vec<_>>())),
    ];
    all.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)).collect()
}
