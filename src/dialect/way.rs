//! The way to a server: host, port and how the connection is secured. Certificates that are to be verified are verified by
//! our own TLS, which knows every form of them, and the driver speaks through a tunnel on loopback.

use sqlx::ConnectOptions;

use super::stranger::caught;
use super::tunnel::{Protocol, Tunnel};
use crate::error::{ErrorKind, Result};
use crate::tls::{Loopback, Trust};

/// A driver's options, as far as they say where to connect.
pub(super) trait Reach: ConnectOptions + Clone {
    /// The driver's modes of TLS.
    type Mode: Copy + Send + Sync;
    /// The protocol before TLS begins.
    const PROTOCOL: Protocol;
    /// The mode in which the driver verifies certificate and name.
    const VERIFIED: Self::Mode;

    /// True if a mode verifies the certificate and then also the name; none where the driver does not verify.
    fn verifies_name(mode: Self::Mode) -> Option<bool>;

    /// True if the connection is a local socket, which has no TLS.
    fn is_socket(&self, host: &str) -> bool;

    fn to(self, host: &str, port: u16, mode: Self::Mode) -> Self;

    /// The options with authorities, as PEM.
    fn trusting(self, authorities: Vec<u8>) -> Self;

    /// The options with a certificate of the client and its key, as PEM.
    fn identified(self, certificates: &[u8], key: &[u8]) -> Self;
}

/// A host, and how a connection to it is secured.
#[derive(Clone)]
pub(super) struct Way<M> {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) mode: M,
    pub(super) trust: Trust,
}

impl<M: Copy> Way<M> {
    /// Connects, through a tunnel where the server's certificate is verified.
    pub(super) async fn connect<O>(&self, options: O) -> Result<sqlx::Result<O::Connection>>
    where
        O: Reach<Mode = M>,
        O::Connection: Sized,
    {
        let Self { host, port, mode, trust } = self;
        let verifies_name = O::verifies_name(*mode).filter(|_| !options.is_socket(host));
        let Some(name) = verifies_name else {
            let mut options = options.to(host, *port, *mode);
            if let Some(authorities) = &trust.authorities {
                options = options.trusting(authorities.pem().concat().into_bytes());
            }
            if let Some(identity) = &trust.identity {
                options = options.identified(identity.chain_pem().as_bytes(), identity.key_pem().as_bytes());
            }
            return Ok(caught(options.connect()).await);
        };
        let tunnel = Tunnel::open(host, *port, O::PROTOCOL, Trust { name, ..trust.clone() }).await?;
        let own = tunnel.loopback.certificate_pem().to_vec();
        let options = options
            .to(&Loopback::HOST.to_string(), tunnel.port, O::VERIFIED)
            .identified(&own, tunnel.loopback.key_pem())
            .trusting(own);
        tunnel.outcome(caught(options.connect()).await).await
    }
}

/// The kind of a TLS handshake's failure, by OpenSSL's text. A certificate that does not hold, or a server without TLS,
/// does not pass by itself. A connection that broke meanwhile does, although what OpenSSL thought of the certificate
/// until then is said behind it in brackets, also where nobody wanted to know.
pub(super) fn handshake_failure(text: &str) -> ErrorKind {
    let broke = text.to_lowercase().contains("unexpected eof") || text.contains("(os error");
    let permanent = text.contains("certificate") || text.contains("does not support");
    if permanent && !broke { ErrorKind::Config } else { ErrorKind::Unreachable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_breaks_in_a_handshake_is_tried_again() {
        for (text, kind) in [
            ("unexpected EOF (self-signed certificate in certificate chain)", ErrorKind::Unreachable),
            ("Connection reset by peer (os error 104) (self-signed certificate)", ErrorKind::Unreachable),
            ("error:0A000126:SSL routines::unexpected eof while reading", ErrorKind::Unreachable),
            (
                "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed",
                ErrorKind::Config,
            ),
            ("server does not support TLS", ErrorKind::Config),
        ] {
            assert_eq!(handshake_failure(text), kind, "{text}");
        }
    }
}
