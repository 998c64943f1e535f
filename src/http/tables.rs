//! `/rowtide/v1/connectors/{name}` and its tables: state, explanation, and control of single tables while the others go on.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::HttpState;
use super::answer::{Answer, Refused, ok};
use super::request::{Asked, At, Body};
use crate::herder::{HerderError, TableOrder};
use crate::model::{Backfill, OffsetMove, SourceOffset};
use crate::offsets::{format, moved};
use crate::status::ConnectorStatus;

/// The names of a connector and of a table of it.
type Names = At<(String, String)>;

const LASTS: &str = "it lasts until the connector or the process starts anew";
/// The most samples of one answer.
const MOST_SAMPLES: u64 = 100;

/// The status of a connector.
fn found(state: &HttpState, name: &str) -> Answer<ConnectorStatus> {
    // One that is not rowtide's has none.
    state.herder.config(name)?;
    let status = state.boards.snapshot().into_iter().find(|status| status.name == name);
    status.ok_or_else(|| HerderError::Foreign(name.to_owned()).into())
}

/// A connector and its tables.
pub(super) async fn connector(State(state): State<HttpState>, At(name): At<String>) -> Answer {
    let status = found(&state, &name)?;
    Ok(ok(json!(status)))
}

/// A table with its settings and its stored offset.
pub(super) async fn get(State(state): State<HttpState>, At((name, table)): Names) -> Answer {
    let status = found(&state, &name)?;
    let Some(own) = status.table(&table) else { return Err(HerderError::NoTable { connector: name, table }.into()) };
    let mut body = json!(own);
    let info = state.herder.table(&name, &table).await?;
    body["settings"] = Value::Object(info.settings);
    body["partition"] = json!(info.partition.0);
    body["offset"] = shown(info.offset.as_ref());
    Ok(ok(body))
}

/// An offset in Kafka Connect's fields.
fn shown(offset: Option<&SourceOffset>) -> Value {
    offset.and_then(|offset| serde_json::from_slice(&format::value(offset)).ok()).unwrap_or(Value::Null)
}

/// The reads and writes of a table.
pub(super) async fn explain(State(state): State<HttpState>, At((name, table)): Names) -> Answer {
    Ok(ok(state.herder.explain(&name, &table).await?))
}

/// The last records of a table, if the worker lets values be shown.
pub(super) async fn samples(State(state): State<HttpState>, At((name, table)): Names, asked: Asked) -> Answer {
    if !state.view.has_samples {
        let message = "Values of rows are not shown: the worker's setting ui.samples is not true";
        return Err(Refused::new(StatusCode::FORBIDDEN, message));
    }
    let limit = asked.number("limit")?.unwrap_or(MOST_SAMPLES).min(MOST_SAMPLES);
    let samples = state.herder.samples(&name, &table, usize::try_from(limit).unwrap_or(usize::MAX)).await?;
    Ok(ok(json!({"table": table, "samples": samples})))
}

/// Makes a table rest.
pub(super) async fn pause(State(state): State<HttpState>, At(names): Names) -> Answer {
    order(&state, names, TableOrder::Pause, &format!("The table rests when its present step has ended; {LASTS}")).await
}

/// Lets a table go on.
pub(super) async fn resume(State(state): State<HttpState>, At(names): Names) -> Answer {
    order(&state, names, TableOrder::Resume, "The table goes on").await
}

/// Starts a table anew.
pub(super) async fn restart(State(state): State<HttpState>, At(names): Names) -> Answer {
    order(&state, names, TableOrder::Restart, "The table is bound anew and tried again").await
}

async fn order(
    state: &HttpState,
    (name, table): (String, String),
    order: TableOrder,
    message: &str,
) -> Answer<Response> {
    state.herder.order(&name, &table, order).await?;
    let body = json!({"connector": name, "table": table, "message": message});
    Ok((StatusCode::ACCEPTED, ok(body)).into_response())
}

/// Moves the offset of a table.
pub(super) async fn move_offset(State(state): State<HttpState>, At((name, table)): Names, Body(body): Body) -> Answer {
    let change = position(body)?;
    moved_to(&state, name, table, change).await
}

/// Forgets the offset of a table.
pub(super) async fn reset_offset(State(state): State<HttpState>, At((name, table)): Names) -> Answer {
    moved_to(&state, name, table, OffsetMove::Beginning).await
}

async fn moved_to(state: &HttpState, name: String, table: String, change: OffsetMove) -> Answer {
    let offset = state.herder.move_offset(&name, &table, change).await?;
    let position = offset.as_ref().map_or_else(|| "the beginning".to_owned(), ToString::to_string);
    Ok(ok(json!({"connector": name, "table": table, "offset": shown(offset.as_ref()), "position": position})))
}

/// The position in a body: `{"timestamp": "2024-02-29T12:00:00Z", "incrementing": 42}`.
fn position(body: Value) -> Answer<OffsetMove> {
    let mut body = fields(body, &["timestamp", "incrementing"])?;
    let timestamp = match body.remove("timestamp") {
        None | Some(Value::Null) => None,
        Some(Value::Number(millis)) => Some(millis.as_i64().and_then(moved::of_millis).ok_or_else(bad_time)?),
        Some(Value::String(text)) => Some(moved::timestamp(&text).ok_or_else(bad_time)?),
        Some(_) => return Err(bad_time()),
    };
    let incrementing = match body.remove("incrementing") {
        None | Some(Value::Null) => None,
        Some(number) => {
            let whole = number.as_i64();
            Some(whole.ok_or_else(|| Refused::bad("`incrementing` must be a whole number of at most 64 bits"))?)
        }
    };
    Ok(OffsetMove::To { timestamp, incrementing })
}

fn bad_time() -> Refused {
    Refused::bad(format!("`timestamp` must be {}", moved::TIMESTAMP))
}

/// An object with no other fields than these.
fn fields(body: Value, known: &[&str]) -> Answer<Map<String, Value>> {
    let words = || known.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
    let Value::Object(body) = body else {
        return Err(Refused::bad(format!("The body must be an object with {}", words())));
    };
    match body.keys().find(|field| !known.contains(&field.as_str())) {
        Some(other) => Err(Refused::bad(format!("Unrecognized field \"{other}\"; known are {}", words()))),
        None => Ok(body),
    }
}

/// Reads a table again while it is polled.
pub(super) async fn backfill(State(state): State<HttpState>, At((name, table)): Names, Body(body): Body) -> Answer {
    let request = request(body)?;
    let progress = state.herder.backfill(&name, &table, Some(request)).await?;
    let position = progress.as_ref().map(ToString::to_string);
    let body = json!({
        "connector": name, "table": table, "progress": shown(progress.as_ref()), "position": position,
        "message": "The backfill stands beside the table in the status, until all its rows are committed",
    });
    Ok((StatusCode::CREATED, ok(body)).into_response())
}

/// Ends the backfill of a table.
pub(super) async fn no_backfill(State(state): State<HttpState>, At((name, table)): Names) -> Answer {
    state.herder.backfill(&name, &table, None).await?;
    Ok(ok(json!({"connector": name, "table": table, "message": "The backfill has ended; what it delivered stays"})))
}

/// The request in a body: `{"where": "id > 7", "topic": "orders_again", "rows_per_second": 1000}`.
fn request(body: Value) -> Answer<Backfill> {
    const RATE: &str = "rows_per_second";
    let mut body = fields(body, &["where", "topic", RATE])?;
    let mut text = |field: &str| match body.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(_) => Err(Refused::bad(format!("`{field}` must be a text that is not empty"))),
    };
    let (condition, topic) = (text("where")?, text("topic")?);
    let rate = match body.remove(RATE) {
        None | Some(Value::Null) => None,
        Some(number) => {
            let rate = number.as_u64().and_then(|rate| u32::try_from(rate).ok()).filter(|rate| *rate > 0);
            Some(rate.ok_or_else(|| Refused::bad(format!("`{RATE}` must be a whole number from 1 to {}", u32::MAX)))?)
        }
    };
    Ok(Backfill { condition, topic, rate })
}

/// Another poll interval, for as long as the connector runs.
pub(super) async fn interval(State(state): State<HttpState>, At(name): At<String>, Body(body): Body) -> Answer {
    const KEY: &str = "poll.interval.ms";
    state.herder.config(&name)?;
    let body = fields(body, &[KEY])?;
    let millis = body.get(KEY).and_then(Value::as_u64).filter(|millis| i32::try_from(*millis).is_ok());
    let Some(millis) = millis else {
        return Err(Refused::bad(format!("`{KEY}` must be a whole number from 0 to {}", i32::MAX)));
    };
    state.herder.set_interval(&name, Duration::from_millis(millis)).await?;
    let message = format!("It is not kept in the connector's settings: {LASTS}");
    Ok(ok(json!({"connector": name, KEY: millis, "message": message})))
}
