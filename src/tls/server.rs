//! TLS of a listener of our own: the certificate that is shown to clients, and those that they have to show.

use std::collections::BTreeMap;
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVerifyMode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::java::{Given, client, trusted};
use super::session::{Encrypted, store};
use super::{Certificates, Identity};
use crate::error::{Error, ErrorKind, Result};

/// The accepting end of connections with anybody, or with those whose certificate is trusted.
#[derive(Clone)]
pub struct ServerTls(SslAcceptor);

/// The certificates that clients have to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// None.
    Nothing,
    /// Those that are shown must be trusted.
    IfShown,
    /// Without a trusted one nobody enters.
    Always,
}

impl ServerTls {
    /// Reads the stores of `ssl.*`.
    ///
    /// # Errors
    /// `Config`, naming the key and the file.
    pub fn of(ssl: &BTreeMap<String, String>, demand: Demand) -> Result<Self> {
        let get = |key: &'static str| -> Given<'_> {
            ssl.get(key).map(|text| text.trim()).filter(|text| !text.is_empty()).map(|text| (key, text))
        };
        let inputs = client(get)?;
        if inputs.is_empty() {
            return Err(Error::config(
                "an https listener needs a certificate: set listeners.https.ssl.keystore.location",
            ));
        }
        let identity = Identity::read(&inputs)?;
        let authorities = trusted(get)?.map(|input| Certificates::read(&input)).transpose()?;
        if demand != Demand::Nothing && authorities.is_none() {
            let message = "certificates of clients are asked for, and none is trusted: set listeners.https.ssl.truststore.location";
            return Err(Error::config(message));
        }
        let built = build(&identity, authorities.as_ref(), demand);
        built.map(Self).map_err(|error| {
            Error::config("the certificate or key of the https listener cannot be used").caused_by(error)
        })
    }

    /// Begins TLS with a client.
    ///
    /// # Errors
    /// `Unreachable` if it does not, or shows no certificate that is trusted.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Result<Encrypted<S>> {
        let failed = |error: ErrorStack| Error::internal("TLS cannot begin").caused_by(error);
        let ssl = Ssl::new(self.0.context()).map_err(failed)?;
        let mut stream = Encrypted::new(ssl, stream).map_err(failed)?;
        let accepted = Pin::new(&mut stream).accept().await;
        accepted.map_err(|error| Error::new(ErrorKind::Unreachable, "no TLS with a client").caused_by(error))?;
        Ok(stream)
    }
}

fn build(
    identity: &Identity,
    authorities: Option<&Certificates>,
    demand: Demand,
) -> std::result::Result<SslAcceptor, ErrorStack> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    let mut chain = identity.chain.iter();
    if let Some(own) = chain.next() {
        acceptor.set_certificate(own)?;
    }
    acceptor.set_private_key(&identity.key)?;
    for issuer in chain {
        acceptor.add_extra_chain_cert(issuer.clone())?;
    }
    acceptor.check_private_key()?;
    if let Some(authorities) = authorities.filter(|_| demand != Demand::Nothing) {
        acceptor.set_verify_cert_store(store(&authorities.all)?)?;
    }
    acceptor.set_verify(match demand {
        Demand::Nothing => SslVerifyMode::NONE,
        Demand::IfShown => SslVerifyMode::PEER,
        Demand::Always => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
    });
    Ok(acceptor.build())
}
