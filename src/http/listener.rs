//! Listeners: bound before anything runs, so that a wrong address is known; then served, with or without TLS. A client that is
//! slow, that says nothing, or that comes a thousand times takes nobody else's place.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::HttpState;
use super::origin::Hosts;
use super::routes::Served;
use crate::config::spec::{ClientAuth, ListenerSpec, RestSpec};
use crate::error::{Error, Result};
use crate::tls::{Demand, ServerTls};

/// The default address to listen on.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8083";

/// The longest time for open requests once the process stops.
const CLOSING: Duration = Duration::from_secs(2);
/// The time limit for the head of a request, on new connections and on kept ones.
const HEAD: Duration = Duration::from_secs(30);
/// The time limit for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The most open connections; more of them wait in the system's queue.
const MOST: usize = 4_096;
/// The pause after an error of `accept`, such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);

/// Bound listeners, not served yet.
pub struct Server {
    bound: Vec<Bound>,
}

struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<ServerTls>,
    served: Served,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.bound.iter().map(|bound| bound.address)).finish()
    }
}

impl Server {
    /// Binds `--listen`, an address or `off`; where it is not given, `listeners`; else the default. None for `off`.
    ///
    /// # Errors
    /// `Config` naming the option or the key, and the address; that of a certificate.
    pub async fn bind(listen: Option<&str>, rest: &RestSpec) -> Result<Option<Self>> {
        let option = |listen: &str| ("--listen", vec![(listen.to_owned(), false)]);
        let (named, addresses) = match listen {
            Some(listen) if listen.eq_ignore_ascii_case("off") => return Ok(None),
            Some(listen) => option(listen),
            None if rest.listeners.is_empty() => option(DEFAULT_LISTEN),
            None => {
                let address = |listener: &ListenerSpec| (listener.address(), listener.tls);
                ("listeners", rest.listeners.iter().map(address).collect())
            }
        };
        let has_admin = !rest.without_admin && rest.admin_listeners.is_empty();
        let served = if has_admin { Served::Everything } else { Served::WithoutAdmin };
        let of_rest = addresses.into_iter().map(|(text, tls)| (named, text, tls.then_some(&rest.ssl), served));
        let of_admin = rest.admin_listeners.iter().map(|listener| {
            ("admin.listeners", listener.address(), listener.tls.then_some(&rest.admin_ssl), Served::AdminOnly)
        });
        let mut bound = Vec::new();
        for (named, text, ssl, served) in of_rest.chain(of_admin) {
            let tls = ssl.map(|ssl| ServerTls::of(ssl, demand(rest.client_auth))).transpose()?;
            let (listener, address) = bind(named, &text).await?;
            bound.push(Bound { listener, address, tls, served });
        }
        Ok(Some(Self { bound }))
    }

    /// The first address, with the port the system chose if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.bound.first().map_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)), |bound| bound.address)
    }

    /// True if the first listener speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.bound.first().is_some_and(|bound| bound.tls.is_some())
    }

    /// The addresses that other machines can reach.
    pub fn open_addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|bound| bound.address).filter(|address| !address.ip().is_loopback()).collect()
    }

    /// Answers until `shutdown` completes, then lets open requests finish for a moment. Dropping the
    /// future ends it at once.
    pub async fn serve(self, state: HttpState, shutdown: impl Future<Output = ()>) {
        let closing = CancellationToken::new();
        let places = Arc::new(Semaphore::new(MOST));
        let mut listening = JoinSet::new();
        for bound in self.bound {
            let is_open_to_all = bound.address.ip().is_loopback() && state.credentials.is_everybody();
            let own = || Hosts::of_this_machine(&state.view.worker_id);
            let router = super::router(state.clone(), bound.served, if is_open_to_all { own() } else { Hosts::any() });
            listening.spawn(accept(bound, router, Arc::clone(&places), closing.clone()));
        }
        shutdown.await;
        closing.cancel();
        while listening.join_next().await.is_some() {}
    }
}

fn demand(client_auth: ClientAuth) -> Demand {
    match client_auth {
        ClientAuth::None => Demand::Nothing,
        ClientAuth::Requested => Demand::IfShown,
        ClientAuth::Required => Demand::Always,
    }
}

async fn bind(named: &str, text: &str) -> Result<(TcpListener, SocketAddr)> {
    let failed = |error: std::io::Error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another process listens there; give another port, or `--listen off`",
            _ => "give HOST:PORT, or `--listen off`",
        };
        Error::config(format!("cannot listen on {named} {text}")).caused_by(error).advise(advice)
    };
    let listener = TcpListener::bind(text).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Takes connections until the process stops; then waits for those that are open.
async fn accept(bound: Bound, router: Router, places: Arc<Semaphore>, closing: CancellationToken) {
    let mut connections = JoinSet::new();
    let tls = bound.tls.map(Arc::new);
    loop {
        let place = tokio::select! {
            () = closing.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { break };
        let stream = tokio::select! {
            () = closing.cancelled() => break,
            accepted = bound.listener.accept() => accepted,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (router, closing, tls) = (router.clone(), closing.clone(), tls.clone());
        connections.spawn(async move {
            connection(stream, tls, router, closing).await;
            drop(place);
        });
    }
    drop(bound.listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, tls: Option<Arc<ServerTls>>, router: Router, closing: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return requests(stream, router, closing).await };
    let begun = tokio::select! {
        () = closing.cancelled() => return,
        begun = tokio::time::timeout(HANDSHAKE, tls.accept(stream)) => begun,
    };
    match begun {
        Ok(Ok(stream)) => requests(stream, router, closing).await,
        Ok(Err(error)) => tracing::debug!(error = %error.report(), "a client did not begin TLS"),
        Err(_) => tracing::debug!("a client did not begin TLS in time"),
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    closing: CancellationToken,
) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // What breaks off is the client's affair.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // A client that does not finish in time is cut off.
            tokio::time::timeout(CLOSING, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
