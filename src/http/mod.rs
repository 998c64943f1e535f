//! The HTTP side of a running process: health, status, metrics, the REST of Kafka Connect (`rest-api.md`), by which
//! connectors are managed, and the page for people. One file per resource; what a resource does it asks of the [`Herder`].

mod answer;
mod auth;
mod classes;
mod client;
mod connectors;
mod control;
mod cors;
mod definitions;
mod events;
mod given;
mod health;
mod listener;
mod loggers;
mod metrics;
mod offsets;
mod openapi;
mod origin;
mod otlp;
mod page;
mod plugins;
mod request;
mod root;
mod routes;
mod sentences;
mod settings;
mod shown;
mod status;
mod tables;
mod tasks;
mod topics;
mod validation;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use self::answer::Refused;
pub use self::auth::Credentials;
pub use self::client::Client;
pub use self::cors::Cors;
pub use self::listener::{DEFAULT_LISTEN, Server};
pub use self::openapi::markdown as paths_markdown;
use self::origin::Hosts;
pub use self::otlp::Export;
use self::routes::Served;
pub use self::view::View;
use crate::herder::Herder;
use crate::status::Boards;
use crate::telemetry::{LogControl, Metrics};

/// The time limit of a request.
const PATIENCE: Duration = Duration::from_secs(90);
const STARTING: &str = "Worker is still starting up.";
/// The paths that are answered before the worker has started.
const AT_ONCE: &[&str] = &["/health", "/status", "/metrics", "/admin", "/rowtide/v1/openapi.json"];

/// The state that the resources read, and the worker that they ask.
#[derive(Clone)]
pub struct HttpState {
    /// The status of every connector.
    pub boards: Boards,
    /// The counters.
    pub metrics: Metrics,
    /// The worker.
    pub herder: Arc<dyn Herder>,
    /// The levels of the log.
    pub logs: LogControl,
    /// The form of answers.
    pub view: View,
    /// The credentials that are accepted.
    pub credentials: Credentials,
    /// The origins whose scripts may ask.
    pub cors: Cors,
    /// A process without connectors is ready for some.
    pub may_be_empty: bool,
}

/// The resources, and what every request goes through.
fn router(state: HttpState, served: Served, hosts: Hosts) -> Router {
    routes::router(served)
        .fallback(async || Refused::plain(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || Refused::plain(StatusCode::METHOD_NOT_ALLOWED))
        .layer(middleware::from_fn_with_state(state.clone(), in_time))
        .layer(middleware::from_fn(origin::check))
        .layer(middleware::from_fn_with_state(state.credentials.clone(), auth::check))
        .layer(middleware::from_fn_with_state(state.cors.clone(), cors::check))
        .layer(middleware::from_fn_with_state(hosts, origin::check_host))
        .with_state(state)
}

/// Answers within the patience of clients. What a request has begun is carried out all the same.
async fn in_time(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_at_once = AT_ONCE.iter().any(|open| path.starts_with(open)) || page::is_asked(&request);
    if !state.herder.has_started() && !is_at_once {
        return Refused::new(StatusCode::SERVICE_UNAVAILABLE, STARTING).into_response();
    }
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "Request timed out").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use serde_json::Value;
    use tokio::sync::oneshot;

    use super::*;
    use crate::config::spec::RestSpec;
    use crate::config::{Document, Report};
    use crate::error::{Error, ErrorKind};
    use crate::herder::{
        ConnectorInfo, HerderError, OffsetChanges, Outcome, Put, SettingChanges, TableInfo, TableOrder, Written,
    };
    use crate::model::{Backfill, OffsetMove, SourceOffset, SourcePartition};
    use crate::status::StatusBoard;

    /// A worker that has no connectors and takes none.
    struct Empty;

    fn none<T: Send + 'static>(name: &str) -> BoxFuture<'static, Outcome<T>> {
        std::future::ready(Err(HerderError::NotFound(name.to_owned()))).boxed()
    }

    impl Herder for Empty {
        fn connectors(&self) -> Vec<String> {
            Vec::new()
        }
        fn has_started(&self) -> bool {
            true
        }
        fn cluster_id(&self) -> BoxFuture<'static, Option<String>> {
            std::future::ready(None).boxed()
        }
        fn config(&self, name: &str) -> Outcome<Document> {
            Err(HerderError::NotFound(name.to_owned()))
        }
        fn status(&self, name: &str) -> Outcome<ConnectorInfo> {
            Err(HerderError::NotFound(name.to_owned()))
        }
        fn tasks(&self, name: &str) -> Outcome<Vec<BTreeMap<String, String>>> {
            Err(HerderError::NotFound(name.to_owned()))
        }
        fn topics(&self, _: &str) -> BTreeSet<String> {
            BTreeSet::new()
        }
        fn reset_topics(&self, _: &str) {}
        fn validate(&self, _: &Document) -> Report {
            Report::default()
        }
        fn reach(&self, _: Document) -> BoxFuture<'static, Outcome<Vec<String>>> {
            none("")
        }
        fn put(&self, _: Document, _: Put) -> BoxFuture<'static, Outcome<Written>> {
            std::future::ready(Err(HerderError::Closing)).boxed()
        }
        fn patch(&self, name: &str, _: SettingChanges) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
        fn delete(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
        fn pause(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
        fn resume(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
        fn stop(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
        fn restart(&self, name: &str, _: bool) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
        fn table(&self, name: &str, _: &str) -> BoxFuture<'static, Outcome<TableInfo>> {
            none(name)
        }
        fn explain(&self, name: &str, _: &str) -> BoxFuture<'static, Outcome<Value>> {
            none(name)
        }
        fn samples(&self, name: &str, _: &str, _: usize) -> BoxFuture<'static, Outcome<Vec<Value>>> {
            none(name)
        }
        fn order(&self, name: &str, _: &str, _: TableOrder) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
        fn move_offset(&self, name: &str, _: &str, _: OffsetMove) -> BoxFuture<'static, Outcome<Option<SourceOffset>>> {
            none(name)
        }
        fn backfill(
            &self,
            name: &str,
            _: &str,
            _: Option<Backfill>,
        ) -> BoxFuture<'static, Outcome<Option<SourceOffset>>> {
            none(name)
        }
        fn set_interval(&self, name: &str, _: Duration) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
        fn offsets(&self, name: &str) -> BoxFuture<'static, Outcome<BTreeMap<SourcePartition, SourceOffset>>> {
            none(name)
        }
        fn alter_offsets(&self, name: &str, _: OffsetChanges) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
        fn reset_offsets(&self, name: &str) -> BoxFuture<'static, Outcome<()>> {
            none(name)
        }
    }

    struct Running {
        boards: Boards,
        url: String,
        stop: oneshot::Sender<()>,
        server: tokio::task::JoinHandle<()>,
    }

    async fn bind(listen: &str) -> crate::error::Result<Option<Server>> {
        Server::bind(Some(listen), &RestSpec::default()).await
    }

    async fn start() -> Running {
        let server = bind("127.0.0.1:0").await.unwrap().unwrap();
        let url = format!("http://{}", server.address());
        let view = View {
            worker_id: server.address().to_string(),
            base: url.clone(),
            hide_secrets: false,
            without_admin: false,
            has_samples: false,
        };
        let state = HttpState {
            boards: Boards::default(),
            metrics: Metrics::new(),
            herder: Arc::new(Empty),
            logs: LogControl::detached(),
            view,
            credentials: Credentials::default(),
            cors: Cors::default(),
            may_be_empty: false,
        };
        let boards = state.boards.clone();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(server.serve(state, async {
            let _ = stopped.await;
        }));
        Running { boards, url, stop, server }
    }

    async fn get_json(url: String) -> (u16, Value) {
        let response = reqwest::get(url).await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    #[tokio::test]
    async fn ready_says_which_table_is_not_and_why() {
        let running = start().await;
        let ready = || get_json(format!("{}/health/ready", running.url));
        assert_eq!(ready().await.0, 503, "no connector yet");
        let board = StatusBoard::new("demo", Duration::from_secs(30));
        running.boards.add(board.clone());
        board.running();
        let table = board.table("t");
        let (status, body) = ready().await;
        assert_eq!((status, &body["ready"]), (503, &Value::Bool(false)));
        assert_eq!(body["problems"][0]["connector"], "demo");
        assert_eq!(body["problems"][0]["table"], "t");
        assert!(body["problems"][0]["reason"].as_str().unwrap().starts_with("not polled yet"), "{body}");
        table.polled(false, true);
        assert_eq!(ready().await, (200, serde_json::json!({"ready": true, "problems": []})));
        assert_eq!(get_json(format!("{}/health/live", running.url)).await.0, 200);
    }

    #[tokio::test]
    async fn status_and_metrics_show_the_boards() {
        let running = start().await;
        let board = StatusBoard::new("demo", Duration::from_secs(30));
        running.boards.add(board.clone());
        board.table("t").failed(&Error::new(ErrorKind::Privilege, "permission denied"));
        let (_, body) = get_json(format!("{}/status", running.url)).await;
        let table = &body["connectors"][0]["tables"][0];
        assert_eq!(
            (&table["table"], &table["state"], &table["reason"]),
            (&Value::from("t"), &Value::from("failed"), &Value::from("permission denied"))
        );
        let response = reqwest::get(format!("{}/metrics", running.url)).await.unwrap();
        assert_eq!(response.headers()["content-type"], crate::telemetry::CONTENT_TYPE);
        let text = response.text().await.unwrap();
        assert!(text.contains(r#"rowtide_table_state{connector="demo",table="t",state="failed"} 1"#), "{text}");
        assert_eq!(get_json(format!("{}/nothing", running.url)).await.1["error_code"], 404);
    }

    #[tokio::test]
    async fn it_stops_when_told_and_frees_the_port() {
        let running = start().await;
        let address = running.url.trim_start_matches("http://").to_owned();
        let error = bind(&address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("--listen {address}")), "{error}");
        assert!(error.advice().contains("another process"), "{}", error.advice());
        running.stop.send(()).unwrap();
        running.server.await.unwrap();
        assert!(bind(&address).await.unwrap().is_some());
        assert!(bind("off").await.unwrap().is_none());
        assert_eq!(bind("nonsense").await.unwrap_err().kind(), ErrorKind::Config);
    }
}
