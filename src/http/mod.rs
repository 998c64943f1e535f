//! The HTTP side of a running process: health, status, metrics. One file per resource; reads boards and
//! counters, changes nothing. Connectors are not managed here yet.

mod health;
mod metrics;
mod status;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::status::Boards;
use crate::telemetry::Metrics;

/// The default address to listen on.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8083";

/// The longest time for open requests once the process stops.
const CLOSING: Duration = Duration::from_secs(2);

/// The state that the resources read.
#[derive(Clone)]
pub struct HttpState {
    /// The status of every connector.
    pub boards: Boards,
    /// The counters.
    pub metrics: Metrics,
}

/// A bound listener, not served yet: a wrong `--listen` is known before anything runs.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds `--listen`; none if it is `off`.
    ///
    /// # Errors
    /// `Config` naming the option and the address.
    pub async fn bind(listen: &str) -> Result<Option<Self>> {
        if listen.eq_ignore_ascii_case("off") {
            return Ok(None);
        }
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            let advice = match error.kind() {
                std::io::ErrorKind::AddrInUse => "another process listens there; give another port, or `--listen off`",
                _ => "give HOST:PORT, or `--listen off`",
            };
            Error::config(format!("cannot listen on --listen {listen}")).caused_by(error).advise(advice)
        })?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::config(format!("cannot listen on --listen {listen}")).caused_by(error))?;
        Ok(Some(Self { listener, address }))
    }

    /// The address, with the port the system chose if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` completes, then lets open requests finish for a moment. Dropping the
    /// future ends it at once.
    ///
    /// # Errors
    /// `Io` if the listener fails.
    pub async fn serve(self, state: HttpState, shutdown: impl Future<Output = ()>) -> Result<()> {
        let (close, closing) = oneshot::channel::<()>();
        let serving = axum::serve(self.listener, router(state)).with_graceful_shutdown(async {
            // The sender being dropped means the same.
            let _ = closing.await;
        });
        let mut serving = std::pin::pin!(serving.into_future());
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = shutdown => {
                let _ = close.send(());
                // A client that does not finish in time is cut off.
                tokio::time::timeout(CLOSING, serving).await.unwrap_or(Ok(()))
            }
        };
        ended.map_err(|error| Error::new(ErrorKind::Io, "the HTTP listener failed").caused_by(error))
    }
}

fn router(state: HttpState) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/status", get(status::status))
        .route("/metrics", get(metrics::metrics))
        .fallback(async || refusal(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || refusal(StatusCode::METHOD_NOT_ALLOWED))
        .with_state(state)
}

/// An error in the form of Connect's REST.
fn refusal(status: StatusCode) -> Response {
    let body = serde_json::json!({"error_code": status.as_u16(), "message": format!("HTTP {status}")});
    (status, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::status::StatusBoard;

    struct Running {
        boards: Boards,
        url: String,
        stop: oneshot::Sender<()>,
        server: tokio::task::JoinHandle<Result<()>>,
    }

    async fn start() -> Running {
        let server = Server::bind("127.0.0.1:0").await.unwrap().unwrap();
        let url = format!("http://{}", server.address());
        let state = HttpState { boards: Boards::default(), metrics: Metrics::new() };
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
        let error = Server::bind(&address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("--listen {address}")), "{error}");
        assert!(error.advice().contains("another process"), "{}", error.advice());
        running.stop.send(()).unwrap();
        running.server.await.unwrap().unwrap();
        assert!(Server::bind(&address).await.unwrap().is_some());
        assert!(Server::bind("off").await.unwrap().is_none());
        assert_eq!(Server::bind("nonsense").await.unwrap_err().kind(), ErrorKind::Config);
    }
}
