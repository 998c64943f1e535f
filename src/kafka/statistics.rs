//! The figures of a producer, out of librdkafka's statistics.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use crate::telemetry::{BrokerFigures, ProducerFigures};

/// The interval of the statistics, unless the user gives one.
pub(super) const INTERVAL_MS: &str = "15000";

/// The part of the statistics that is read.
#[derive(Debug, Deserialize)]
struct Statistics {
    msg_cnt: i64,
    msg_size: i64,
    #[serde(default)]
    brokers: HashMap<String, Broker>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    nodeid: i32,
    #[serde(default)]
    txretries: u64,
    outbuf_latency: Option<Window>,
    rtt: Option<Window>,
}

/// The times of the last interval, in microseconds.
#[derive(Debug, Deserialize)]
struct Window {
    p99: i64,
}

/// The figures in a text of statistics; none if it is none.
pub(super) fn figures(json: &[u8]) -> Option<ProducerFigures> {
    let Statistics { msg_cnt, msg_size, brokers } = serde_json::from_slice(json).ok()?;
    let time = |window: &Option<Window>| {
        let micros = window.as_ref().and_then(|window| u64::try_from(window.p99).ok());
        Duration::from_micros(micros.unwrap_or_default())
    };
    let retries = brokers.values().map(|broker| broker.txretries).sum();
    // Addresses of the bootstrap, and the coordinators beside the brokers they are, have no id.
    let known = brokers.values().filter(|broker| broker.nodeid >= 0);
    let brokers = known.map(|broker| BrokerFigures {
        id: broker.nodeid,
        wait: time(&broker.outbuf_latency),
        round_trip: time(&broker.rtt),
    });
    Some(ProducerFigures { messages: msg_cnt, bytes: msg_size, retries, brokers: brokers.collect() })
}
