//! A TLS session with a database server whose certificate is verified, and the way into it for sqlx. sqlx trusts one
//! certificate of a file only, and every authority of the system beside it; so the session is made by [`crate::tls`],
//! and sqlx connects to it over loopback, by a TLS session of its own that only the two ends know the key of: it must
//! know that it may send a password. The server's protocol is followed up to the start of TLS, and carried after it.
//! Ends with sqlx's connection. Unverified connections have no use for it.

#![expect(clippy::disallowed_methods, reason = "it carries the bytes of one connection, and ends with it")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::tls::{self, Loopback, Trust};

/// The longest wait for the far end to say why a connection failed.
const AFTERTHOUGHT: Duration = Duration::from_secs(1);
/// One TLS record.
const CHUNK: usize = 16 * 1024;
/// The most bytes of a greeting: more than any server sends.
const LONGEST_GREETING: usize = 64 * 1024;
/// The packet of MySQL with which a client begins TLS, without its header.
const SSL_REQUEST: usize = 32;

/// The protocol in which the client asks for TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    PostgreSql,
    MySql,
}

/// The near end of a tunnel.
pub(super) struct Tunnel {
    pub(super) port: u16,
    pub(super) loopback: Loopback,
    failure: oneshot::Receiver<Error>,
    /// The task that carries the bytes, until there is a connection that ends it.
    carrier: Option<AbortHandle>,
}

/// Cancelled with the connection that was being made.
impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Some(carrier) = &self.carrier {
            carrier.abort();
        }
    }
}

impl Tunnel {
    /// Connects to a server and waits for the one client.
    ///
    /// # Errors
    /// `Unreachable` if the server is.
    pub(super) async fn open(host: &str, port: u16, protocol: Protocol, trust: Trust) -> Result<Self> {
        let host = host.trim_matches(['[', ']']).to_owned();
        let unreachable = |error| {
            Error::new(ErrorKind::Unreachable, "cannot connect to the database").caused_by(error as std::io::Error)
        };
        let server = TcpStream::connect((host.as_str(), port)).await.map_err(unreachable)?;
        server.set_nodelay(true).map_err(unreachable)?;
        let local = |error| Error::internal("no connection over loopback").caused_by(error as std::io::Error);
        let listener = TcpListener::bind((Loopback::HOST, 0)).await.map_err(local)?;
        let port = listener.local_addr().map_err(local)?.port();
        let loopback = Loopback::new()?;
        let acceptor = loopback.acceptor();
        let (report, failure) = oneshot::channel();
        let carrier = tokio::spawn(async move {
            let carried = async {
                let (mut client, _) = listener.accept().await.map_err(local)?;
                drop(listener);
                client.set_nodelay(true).map_err(local)?;
                let mut server = server;
                if !protocol.begins_tls(&mut client, &mut server).await.map_err(unreachable)? {
                    return Ok(());
                }
                let server = tls::connect(&host, server, &trust).await?;
                let client = acceptor.accept(client).await?;
                carry(client, server).await
            };
            if let Err(error) = carried.await {
                // Nobody listens any more where the connection was given up.
                let _ = report.send(error);
            }
        });
        Ok(Self { port, loopback, failure, carrier: Some(carrier.abort_handle()) })
    }

    /// The connection of sqlx, or the better reason why there is none.
    pub(super) async fn outcome<C>(mut self, connected: sqlx::Result<C>) -> Result<sqlx::Result<C>> {
        match connected {
            Ok(connection) => {
                self.carrier = None;
                Ok(Ok(connection))
            }
            Err(error @ sqlx::Error::Database(_)) => Ok(Err(error)),
            // The far end knows more of a connection that broke, as soon as it has seen it.
            Err(error) => match tokio::time::timeout(AFTERTHOUGHT, &mut self.failure).await {
                Ok(Ok(better)) => Err(better),
                _ => Ok(Err(error)),
            },
        }
    }
}

impl Protocol {
    /// Carries the bytes before TLS; false if there will be none, which the client has been told.
    async fn begins_tls(self, client: &mut TcpStream, server: &mut TcpStream) -> std::io::Result<bool> {
        match self {
            Protocol::PostgreSql => {
                let mut request = [0; 8];
                client.read_exact(&mut request).await?;
                server.write_all(&request).await?;
                let answer = server.read_u8().await?;
                client.write_u8(answer).await?;
                Ok(answer == b'S')
            }
            Protocol::MySql => {
                let greeting = packet(server).await?;
                client.write_all(&greeting).await?;
                // The client goes where the server has no TLS.
                let Ok(request) = packet(client).await else { return Ok(false) };
                if request.len() != 4 + SSL_REQUEST {
                    return Ok(false);
                }
                server.write_all(&request).await?;
                Ok(true)
            }
        }
    }
}

/// A packet of MySQL with its header: three bytes of length, a number.
async fn packet(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    stream.read_exact(&mut packet).await?;
    let length = usize::from(packet[0]) | usize::from(packet[1]) << 8 | usize::from(packet[2]) << 16;
    if length > LONGEST_GREETING {
        return Err(std::io::Error::other("no greeting of MySQL"));
    }
    packet.resize(4 + length, 0);
    stream.read_exact(&mut packet[4..]).await?;
    Ok(packet)
}

/// Carries bytes both ways until either side has closed: the server's last bytes are for nobody then, and a connection
/// that broke is found by sqlx as one that has ended.
async fn carry(client: tls::Encrypted<TcpStream>, server: tls::Encrypted<TcpStream>) -> Result<()> {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = split(server);
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => Ok(()),
        carried = copy(&mut from_server, &mut to_client) => carried.map_err(tls::ended),
    }
}

async fn copy(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        to.flush().await?;
    }
}
