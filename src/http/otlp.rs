//! The export of metrics and traces to a collector of OpenTelemetry ([`otlp`](crate::telemetry::otlp)), at intervals and once
//! more at the end. What a collector does not take is tried again at the next time, one request of each kind; an outage is
//! said once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::MissedTickBehavior;

use crate::error::{Error, Result};
use crate::status::Boards;
use crate::telemetry::otlp::{Endpoint, OtlpSpec, encode_metrics, encode_spans};
use crate::telemetry::{Metrics, Spans, now_nanos};

/// The longest time for the last export, at the end of the process.
const FAREWELL: Duration = Duration::from_millis(400);

/// The export of a process.
pub struct Export {
    spec: OtlpSpec,
    metrics: Metrics,
    began: u64,
    to_metrics: Option<Sender>,
    to_traces: Option<(Sender, Arc<Spans>)>,
}

/// The way to one address.
struct Sender {
    what: &'static str,
    url: String,
    client: reqwest::Client,
    is_down: bool,
    /// The request that was not taken.
    kept: Option<Vec<u8>>,
}

impl Export {
    /// The export by these settings. Contacts nobody yet; polls are traced from now on.
    ///
    /// # Errors
    /// `Config` where a header or a certificate cannot be used.
    pub fn new(spec: OtlpSpec, metrics: Metrics) -> Result<Self> {
        let sender = |what, endpoint: &Option<Endpoint>| {
            endpoint.as_ref().map(|endpoint| Sender::new(what, endpoint)).transpose()
        };
        let to_metrics = sender("metrics", &spec.metrics)?;
        let to_traces = sender("traces", &spec.traces)?.map(|to| (to, metrics.trace(spec.ratio, spec.queue)));
        Ok(Self { spec, metrics, began: now_nanos(), to_metrics, to_traces })
    }

    /// Exports until the end.
    pub async fn run(mut self, boards: Boards, end: impl Future<Output = ()>) {
        let every = |time| {
            let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + time, time);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let (mut for_metrics, mut for_traces) = (every(self.spec.metrics_every), every(self.spec.traces_every));
        let spans = self.to_traces.as_ref().map(|(_, spans)| Arc::clone(spans));
        let are_many = async |spans: &Option<Arc<Spans>>| match spans {
            Some(spans) => spans.are_many().await,
            None => std::future::pending().await,
        };
        tokio::pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => break,
                _ = for_metrics.tick() => self.send_metrics(&boards).await,
                _ = for_traces.tick() => self.send_traces().await,
                () = are_many(&spans) => self.send_traces().await,
            }
        }
        let last = async {
            self.send_traces().await;
            self.send_metrics(&boards).await;
        };
        let _ = tokio::time::timeout(FAREWELL, last).await;
    }

    async fn send_metrics(&mut self, boards: &Boards) {
        let Some(to) = &mut self.to_metrics else { return };
        let text = self.metrics.scrape(&boards.snapshot());
        // They are as of now: what was not taken before counts no more.
        to.kept = None;
        to.send(encode_metrics(&self.spec.resource, &text, self.began, now_nanos())).await;
    }

    async fn send_traces(&mut self) {
        let Some((to, spans)) = &mut self.to_traces else { return };
        if let Some(kept) = to.kept.take()
            && !to.send(kept).await
        {
            return;
        }
        let (waiting, lost) = spans.take();
        if lost > 0 {
            tracing::warn!(lost, "more spans than OTEL_BSP_MAX_QUEUE_SIZE waited, these are lost");
        }
        if !waiting.is_empty() {
            to.send(encode_spans(&self.spec.resource, &waiting)).await;
        }
    }
}

impl Sender {
    fn new(what: &'static str, endpoint: &Endpoint) -> Result<Self> {
        let unusable = |what: &str| Error::config(format!("the export to OpenTelemetry cannot be set up: {what}"));
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            let wrong = || unusable(&format!("OTEL_EXPORTER_OTLP_HEADERS has an unusable header {name}"));
            let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let mut builder = reqwest::Client::builder().default_headers(headers).timeout(endpoint.timeout);
        if let Some(file) = &endpoint.certificate {
            let certificate = |error| {
                let what = format!("the certificates of OTEL_EXPORTER_OTLP_CERTIFICATE ({file}) cannot be read");
                unusable(&what).caused_by(error)
            };
            let pem = std::fs::read(file).map_err(|error| certificate(error.to_string()))?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| certificate(error.to_string()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|error| unusable("no HTTP client").caused_by(error))?;
        Ok(Self { what, url: endpoint.url.clone(), client, is_down: false, kept: None })
    }

    /// Sends a request; true if nothing of it is to be sent again.
    async fn send(&mut self, body: Vec<u8>) -> bool {
        let answer = self.client.post(&self.url).body(body.clone()).send().await;
        let (reason, is_passing) = match answer {
            Ok(answer) if answer.status().is_success() => {
                if std::mem::take(&mut self.is_down) {
                    tracing::info!("the collector takes {} again", self.what);
                }
                return true;
            }
            Ok(answer) => {
                let status = answer.status().as_u16();
                (format!("it answers {status}"), matches!(status, 429 | 502..=504))
            }
            Err(error) => (Error::internal("no answer").caused_by(error.without_url()).report(), true),
        };
        if !std::mem::replace(&mut self.is_down, true) {
            tracing::warn!(reason, "the collector of OTEL_EXPORTER_OTLP_ENDPOINT does not take {}", self.what);
        }
        self.kept = is_passing.then_some(body);
        !is_passing
    }
}
