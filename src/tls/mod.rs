//! TLS files and the session they are for. Takes the forms that users have: PEM in any wrapping, DER, PKCS7 and PKCS12,
//! with and without passwords; gives certificates and keys in one form, PEM, to whoever talks to a database, the
//! registry or the brokers. So the three take the same files, and say the same of one that they cannot use. No secret
//! reaches a message, and no key a file. OpenSSL is named here only.

mod contents;
pub(crate) mod java;
mod pem;
mod server;
mod session;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use crate::error::{Error, Result};
use contents::Contents;
pub use contents::Input;
pub use server::{Demand, ServerTls};
pub use session::{Encrypted, Loopback, Trust, connect, ended};

/// Trusted certificates, of authorities or of servers themselves.
#[derive(Clone)]
pub struct Certificates {
    all: Vec<X509>,
    pem: Vec<String>,
    /// The file or setting they are from.
    origin: String,
}

impl Certificates {
    /// Reads every certificate of a file; keys in it are left alone.
    ///
    /// # Errors
    /// `Config` with the setting and the file, and what it is if it holds no certificate.
    pub fn read(input: &Input<'_>) -> Result<Self> {
        let contents = Contents::of(input, false)?;
        if contents.certificates.is_empty() {
            return Err(input.unusable(&format!("no certificate in it{}", contents.instead())));
        }
        let pem = contents.certificates.iter().map(|certificate| text(certificate.to_pem()));
        let pem = pem.collect::<std::result::Result<_, _>>().map_err(|error| input.unreadable("certificate", error))?;
        Ok(Self { all: contents.certificates, pem, origin: input.origin() })
    }

    /// Each as PEM.
    pub fn pem(&self) -> &[String] {
        &self.pem
    }
}

/// A client's certificate, those that lead from it to an authority, and its key.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<X509>,
    key: PKey<Private>,
    chain_pem: String,
    key_pem: String,
}

impl Identity {
    /// Finds a key and its certificates in one file or several, in any order.
    ///
    /// # Errors
    /// `Config` with the setting and the file, and what is missing.
    pub fn read(inputs: &[Input<'_>]) -> Result<Self> {
        let mut found = Contents::default();
        for input in inputs {
            found.extend(Contents::of(input, true)?);
        }
        let Some(input) = inputs.last() else { return Err(Error::internal("a client's certificate out of no file")) };
        let Some((key, own)) = found.pair() else {
            return Err(match (found.keys.is_empty(), found.certificates.is_empty()) {
                (true, _) => input.unusable(&format!("no private key in it{}", found.instead())),
                (_, true) => inputs[0].unusable("no certificate beside the key"),
                _ => input.unusable("the key does not belong to the certificate"),
            });
        };
        let chain = found.chain(own);
        let convert = || {
            let certificates: std::result::Result<String, ErrorStack> =
                chain.iter().map(|certificate| text(certificate.to_pem())).collect();
            Ok((certificates?, text(key.private_key_to_pem_pkcs8())?))
        };
        let (chain_pem, key_pem) = convert().map_err(|error| input.unreadable("private key", error))?;
        Ok(Self { chain, key, chain_pem, key_pem })
    }

    /// The client's certificate and the chain to its authority, as PEM.
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The key as PEM of PKCS8, not encrypted.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

fn text(pem: std::result::Result<Vec<u8>, ErrorStack>) -> std::result::Result<String, ErrorStack> {
    pem.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
