//! The export to OpenTelemetry: what a collector gets over HTTP, decoded by the definitions of OpenTelemetry itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::http::get;
use crate::support::kafka::wait_for_records;
use crate::support::process::{Running, finish, rowtide};
use crate::support::{PATIENCE, eventually};

const TOKEN: &str = "Bearer canary-otlp";

/// A collector: keeps what it is sent, once it takes anything.
struct Collector {
    address: String,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    /// The number of requests to be refused first.
    refusals: usize,
    spans: Vec<Span>,
    metrics: Vec<Metric>,
    resource: Vec<KeyValue>,
}

impl Collector {
    fn start(refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("an address").to_string();
        let taken = Arc::new(Mutex::new(Taken { refusals, ..Taken::default() }));
        let shared = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || while serve(&stream, &shared).is_some() {});
            }
        });
        Self { address, taken }
    }

    fn spans(&self) -> Vec<Span> {
        self.taken.lock().expect("a lock").spans.clone()
    }
}

/// Answers one request of a connection.
fn serve(stream: &TcpStream, taken: &Mutex<Taken>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut head) = (0, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let head = head.to_lowercase();
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    assert!(head.contains(&format!("authorization: {}", TOKEN.to_lowercase())), "{head}");
    let mut taken = taken.lock().expect("a lock");
    let is_refused = taken.refusals > 0;
    if is_refused {
        taken.refusals -= 1;
    } else if path == "/v1/traces" {
        let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("spans");
        for of_resource in request.resource_spans {
            taken.resource = of_resource.resource.expect("a resource").attributes;
            taken.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    } else {
        assert_eq!(path, "/v1/metrics");
        let request = ExportMetricsServiceRequest::decode(body.as_slice()).expect("metrics");
        let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        taken.metrics = scopes.flat_map(|scope| scope.metrics).collect();
    }
    let status = if is_refused { "503 Service Unavailable" } else { "200 OK" };
    (&*stream).write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()?;
    if let Value::StringValue(text) = value { Some(text) } else { None }
}

fn number(attributes: &[KeyValue], key: &str) -> Option<i64> {
    let value = attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()?;
    if let Value::IntValue(number) = value { Some(*number) } else { None }
}

/// The spans of the first trace with a commit.
fn with_commit(spans: &[Span]) -> Option<Vec<Span>> {
    let trace = &spans.iter().find(|span| span.name == "commit")?.trace_id;
    let all: Vec<Span> = spans.iter().filter(|span| span.trace_id == *trace).cloned().collect();
    (all.len() == 4).then_some(all)
}

/// The metrics that the collector has are those that are scraped.
fn has_metrics(collector: &Collector, address: &str) {
    let committed = eventually("the metrics", PATIENCE, || {
        let taken = collector.taken.lock().expect("a lock");
        let rows = taken.metrics.iter().find(|metric| metric.name == "rowtide_rows_total")?.data.clone();
        let Some(Data::Sum(sum)) = rows else { panic!("{rows:?}") };
        sum.data_points.first().cloned().filter(|_| sum.is_monotonic)
    });
    assert_eq!(text(&committed.attributes, "table"), Some("public.t"));
    let taken = collector.taken.lock().expect("a lock");
    assert_eq!(text(&taken.resource, "service.name"), Some("orders"));
    let (_, scraped) = get(address, "/metrics");
    for metric in &taken.metrics {
        let line = |name: &str| scraped.lines().any(|line| line.starts_with(name));
        assert!(line(&metric.name), "{} is not scraped", metric.name);
        if let Some(Data::Histogram(histogram)) = &metric.data {
            let point = &histogram.data_points[0];
            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1, "{}", metric.name);
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{}", metric.name);
        }
    }
    let names: Vec<&str> = taken.metrics.iter().map(|metric| metric.name.as_str()).collect();
    for name in ["rowtide_query_seconds", "rowtide_encode_seconds", "rowtide_commit_seconds", "rowtide_sessions"] {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
}

#[test]
fn a_poll_is_one_trace_with_query_encode_and_commit_and_the_metrics_are_those_that_are_scraped() {
    let (database, collector) = (Postgres::new(), Collector::start(2));
    database.run("create table t (id serial primary key, v text); insert into t (v) values ('canary-row'), ('b')");
    let connector =
        Connector::new(&database.jdbc_url()).alone().set("mode", "incrementing").set("table.whitelist", "t");
    let mut command = rowtide();
    command.arg("run").arg(connector.file()).args(["--listen", "127.0.0.1:0"]).envs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address)),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={}", TOKEN.replace(' ', "%20"))),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ("OTEL_SERVICE_NAME", "orders".to_owned()),
    ]);
    let mut process = Running::spawn(command);
    let address = process.address();
    wait_for_records(&connector.topic("t"), 2);
    let spans = eventually("a trace with a commit", PATIENCE, || with_commit(&collector.spans()));
    let named =
        |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:?}"));
    let poll = named("poll");
    assert!(poll.parent_span_id.is_empty() && poll.trace_id.len() == 16 && poll.span_id.len() == 8, "{poll:?}");
    assert_eq!(text(&poll.attributes, "rowtide.connector"), Some(connector.name.as_str()));
    assert_eq!(text(&poll.attributes, "rowtide.table"), Some("public.t"));
    for name in ["query", "encode", "commit"] {
        let span = named(name);
        assert_eq!(span.parent_span_id, poll.span_id, "{name}");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 0, "{span:?}");
        assert!(span.status.is_none(), "{span:?}");
    }
    assert_eq!(number(&named("commit").attributes, "rowtide.rows"), Some(2));
    assert_eq!(number(&named("encode").attributes, "rowtide.rows"), Some(2));

    has_metrics(&collector, &address);
    // The collector has refused some at first: that is said once, without what is secret.
    process.wait_for_log_in_order(&["the collector of OTEL_EXPORTER_OTLP_ENDPOINT does not take", "takes"]);
    let log = process.log();
    assert!(!log.contains("canary"), "{log}");
    assert!(!format!("{:?}", collector.spans()).contains("canary-row"));
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn a_producer_tells_its_queue_its_retries_and_the_round_trips_to_the_brokers() {
    let database = Postgres::new();
    database.run("create table t (id serial primary key); insert into t default values");
    let connector =
        Connector::new(&database.jdbc_url()).alone().set("mode", "incrementing").set("table.whitelist", "t");
    let mut process = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = process.address();
    wait_for_records(&connector.topic("t"), 1);
    // They come every 15 s.
    let text = eventually("the figures of the producer", PATIENCE, || {
        let (_, text) = get(&address, "/metrics");
        text.contains("rowtide_producer_broker_rtt_seconds{").then_some(text)
    });
    for name in ["queue_messages", "queue_bytes", "retries_total", "request_queue_seconds"] {
        let line = format!("rowtide_producer_{name}{{connector=\"{}\",task=\"0\"", connector.name);
        assert!(text.contains(&line), "no {line} in {text}");
    }
    assert!(text.contains("rowtide_sessions{server=\"127.0.0.1:"), "{text}");
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn a_variable_of_opentelemetry_that_means_nothing_ends_the_start() {
    let connector = Connector::new(&Postgres::new().jdbc_url()).alone().set("mode", "bulk");
    let mut command = rowtide();
    command.arg("run").arg(connector.file()).args(["--listen", "off"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317").env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let finished = finish(&mut command).expect_code(2);
    finished.expect_says(&["OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"]);
}
