//! Rows of a page that cannot be delivered and are left out (`errors.tolerance`, `row.too.large`). Makes sure that
//! their values are at fault and not a schema that has changed, logs them where that is asked for, and writes the
//! letters of the dead letter topic. They travel in the batch of the page, in its transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value as Json, json};
use tokio::sync::OnceCell;

use super::Parts;
use super::binding::{Binding, describe};
use super::handoff::Skipped;
use super::polled::{Bound, Polled};
use crate::config::spec::{RowErrorSpec, TableSpec, TooLarge};
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::limits::{OVERHEAD, header_size};
use crate::model::{EncodedBatch, Header, Instant, RowText, Schema};
use crate::reader::{LeftOut, Tolerance};
use crate::status::now_millis;
use crate::transform;

const NO_ROOM: &str = "the row is left out here, because this record would be too large with it";

/// The knowledge of a relation about its rows that are left out.
#[derive(Default)]
pub(super) struct Skipping {
    /// The largest size of a record of the dead letter topic.
    limit: OnceCell<usize>,
    /// The log has said that rows are left out.
    said: AtomicBool,
}

/// The rows of a page that are left out.
pub(super) fn tolerance(errors: &RowErrorSpec) -> Tolerance {
    Tolerance {
        values: errors.tolerated,
        too_large: errors.too_large == TooLarge::DeadLetter,
        texts: errors.dead_letters.is_some() || (errors.logged && errors.values_logged),
    }
}

impl Polled {
    /// Describes the table again, after a value did not fit: if it is the same as before the value is at fault.
    /// A dialect that has learned something from the value (a NULL where none was declared, an integer beyond its
    /// field) describes another table now.
    ///
    /// # Errors
    /// `SchemaChanged` if it is another one; those of the connection.
    pub(super) async fn confirm(
        &self,
        parts: &Parts,
        connection: &mut dyn SourceConnection,
        bound: &Bound,
    ) -> Result<()> {
        let described = describe(&self.spec, connection).await?;
        if parts.driver_choices.settled(described) != bound.binding.definition {
            return Err(Error::new(ErrorKind::SchemaChanged, "a value does not fit the columns as described before"));
        }
        Ok(())
    }

    /// Logs the rows and writes their letters.
    pub(super) async fn report_left_out(
        &self,
        parts: &Parts,
        bound: &Bound,
        left_out: Vec<LeftOut>,
    ) -> Result<Option<Skipped>> {
        let Some(last) = left_out.last() else { return Ok(None) };
        let errors = &self.spec.errors;
        if !errors.logged && !self.skipping.said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                table = %self.name, error = %last.error.report(), advice = last.error.advice(),
                "rows are left out; this is said once, /status and the metrics count them"
            );
        }
        let mut letters = None;
        if let Some(spec) = &errors.dead_letters {
            let topic: Arc<str> = spec.topic.as_str().into();
            let limit = self.skipping.limit.get_or_try_init(|| (parts.ensure_topic)(Arc::clone(&topic), true)).await?;
            letters = Some((EncodedBatch::new(topic, left_out.len(), 512), *limit));
        }
        for row in &left_out {
            let failed =
                Failed { parts, spec: &self.spec, table: &self.name, binding: &bound.binding, error: &row.error };
            if errors.logged {
                failed.log(row.row.as_ref().filter(|_| errors.values_logged));
            }
            if let Some((letters, limit)) = &mut letters {
                failed.write(row.row.as_ref(), *limit, letters)?;
            }
        }
        let skipped = Skipped {
            rows: left_out.len() as u64,
            reason: last.error.report(),
            letters: letters.map(|(letters, _)| letters),
        };
        Ok(Some(skipped))
    }
}

/// A row that is left out, and where it would have gone.
struct Failed<'a> {
    parts: &'a Parts,
    spec: &'a TableSpec,
    table: &'a str,
    binding: &'a Binding,
    error: &'a Error,
}

impl Failed<'_> {
    /// Connect's words for where a record failed: the stage, and the class that does its work there.
    fn stage(&self) -> (&'static str, &str) {
        if self.error.kind() == ErrorKind::RecordTooLarge {
            return ("KAFKA_PRODUCE", "org.apache.kafka.clients.producer.KafkaProducer");
        }
        if let Some(class) = self.error.context(transform::CLASS) {
            return ("TRANSFORMATION", class);
        }
        ("VALUE_CONVERTER", self.parts.spec.value_converter_class())
    }

    /// Connect's line. The row's values are there if the operator has asked for them.
    fn log(&self, row: Option<&RowText>) {
        let (stage, class) = self.stage();
        let record = row.map_or_else(String::new, |row| format!(", where source record is = {}", texts(row)));
        tracing::error!(
            table = %self.table, error = %self.error.report(), advice = self.error.advice(),
            "Error encountered in task {}-{}. Executing stage '{stage}' with class '{class}'{record}.",
            self.parts.spec.connector(), self.parts.task
        );
    }

    /// Appends the row's letter. One that does not fit goes without the row, then without the key.
    fn write(&self, row: Option<&RowText>, limit: usize, letters: &mut EncodedBatch) -> Result<()> {
        let headers = self.headers();
        let of_headers: usize = headers.iter().map(header_size).sum();
        let key = row.and_then(|row| key_text(self.binding, row));
        for (key, row) in [(key.as_deref(), row), (key.as_deref(), None), (None, None)] {
            let value = self.value(row).to_string();
            let encode_key = key.map(|key| |out: &mut Vec<u8>| append(out, key));
            letters.push(encode_key, Some(|out: &mut Vec<u8>| append(out, &value)))?;
            let at = letters.len() - 1;
            if letters.last_len() + of_headers + OVERHEAD <= limit {
                headers.into_iter().for_each(|header| letters.add_header(at, header));
                return Ok(());
            }
            letters.truncate(at);
        }
        let message = format!("a dead letter is too large, even without its row: at most {limit} bytes are allowed");
        Err(Error::new(ErrorKind::RecordTooLarge, message).with("topic", &letters.topic))
    }

    fn value(&self, row: Option<&RowText>) -> Json {
        let mut value = json!({
            "connector": self.parts.spec.connector(),
            "table": self.table,
            "topic": &*self.binding.topic,
            "kind": self.error.kind().snake_case(),
            "message": self.error.report(),
            "advice": self.error.advice(),
            "time": Instant::from_millis(now_millis()).to_rfc3339(),
            "row": row.map(texts),
        });
        if row.is_none() {
            value["note"] = NO_ROOM.into();
        }
        value
    }

    /// Connect's headers of a dead letter, where they are wanted.
    fn headers(&self) -> Vec<Header> {
        if !self.spec.errors.dead_letters.as_ref().is_some_and(|letters| letters.headers) {
            return Vec::new();
        }
        let (stage, class) = self.stage();
        vec![
            Header::text("__connect.errors.topic", &*self.binding.topic),
            Header::text("__connect.errors.connector.name", self.parts.spec.connector()),
            Header::text("__connect.errors.task.id", self.parts.task.to_string()),
            Header::text("__connect.errors.stage", stage),
            Header::text("__connect.errors.class.name", class),
            Header::text("__connect.errors.exception.message", self.error.report()),
        ]
    }
}

fn append(out: &mut Vec<u8>, text: &str) -> Result<()> {
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// A row as JSON: columns in order, each its text or null.
fn texts(row: &RowText) -> Json {
    Json::Object(row.iter().map(|(name, text)| (name.clone(), json!(text))).collect::<Map<_, _>>())
}

/// The row's key: the text of a bare one, else JSON of its columns' texts; none if there is no key, or it is null.
fn key_text(binding: &Binding, row: &RowText) -> Option<String> {
    let (schema, projection) = binding.key.as_ref()?;
    let columns: RowText = projection.iter().filter_map(|index| row.get(*index).cloned()).collect();
    match schema {
        Schema::Field(_) => columns.into_iter().next()?.1,
        Schema::Record(_) | Schema::Hoisted { .. } => Some(texts(&columns).to_string()),
    }
}
