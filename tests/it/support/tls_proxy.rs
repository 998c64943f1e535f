//! TLS in front of a service that has none, or another certificate than a test wants: a server that asks for TLS as its
//! protocol does, ends it, and passes on what is in it.

use std::pin::Pin;
use std::sync::Arc;

use openssl::ssl::{Ssl, SslAcceptor, SslFiletype, SslMethod, SslVerifyMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

/// The protocol before TLS begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// PostgreSQL's `SSLRequest`.
    PostgreSql,
}

/// The server's side of TLS.
pub fn acceptor(folder: &str, sends_chain: bool, asks: bool) -> Arc<SslAcceptor> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_private_key_file(format!("{folder}/server.key"), SslFiletype::PEM).unwrap();
    if sends_chain {
        acceptor.set_certificate_chain_file(format!("{folder}/server.pem")).unwrap();
    } else {
        acceptor.set_certificate_file(format!("{folder}/server.pem"), SslFiletype::PEM).unwrap();
    }
    if asks {
        acceptor.set_ca_file(format!("{folder}/ca.pem")).unwrap();
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        acceptor.set_session_id_context(b"rowtide tests").unwrap();
    }
    Arc::new(acceptor.build())
}

/// Serves until the test ends; gives the port. `folder` is one of `scripts/services`; `sends_chain` is false for a server
/// that shows its own certificate only; `asks` for one that wants the client's.
pub async fn serve(folder: &str, upstream: &str, before: Before, sends_chain: bool, asks: bool) -> u16 {
    let acceptor = acceptor(folder, sends_chain, asks);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let upstream = upstream.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
            // A client that hangs up is no failure of the proxy.
            tokio::spawn(async move { drop(pass(client, &acceptor, &upstream, before).await) });
        }
    });
    port
}

async fn pass(
    mut client: TcpStream,
    acceptor: &SslAcceptor,
    upstream: &str,
    before: Before,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if before == Before::PostgreSql {
        client.read_exact(&mut [0; 8]).await?;
        client.write_all(b"S").await?;
    }
    let mut client = SslStream::new(Ssl::new(acceptor.context())?, client)?;
    Pin::new(&mut client).accept().await?;
    let mut server = TcpStream::connect(upstream).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
