//! A TLS session with a server whose certificate is verified, and one over loopback that nobody else can enter.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    ConnectConfiguration, Ssl, SslAcceptor, SslConnector, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode,
};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Name, X509Ref, X509VerifyResult};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Certificates, Identity};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;

/// An encrypted stream.
pub type Encrypted<S> = tokio_openssl::SslStream<S>;

/// Trust between the client and a server: what the server has to show, and the client's own identity.
#[derive(Clone, Default)]
pub struct Trust {
    /// The authorities that may have signed its certificate, or the certificate itself; none for those of the system.
    pub authorities: Option<Certificates>,
    /// True if the certificate must be for the host that was asked for.
    pub name: bool,
    /// The client's own certificate.
    pub identity: Option<Identity>,
}

/// Begins TLS as a client.
///
/// # Errors
/// `Config` if the certificate does not hold, with the reason; `Unreachable` if the connection breaks.
pub async fn connect<S>(host: &str, stream: S, trust: &Trust) -> Result<Encrypted<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let unusable = |error: ErrorStack| Error::config("the client's certificate or key cannot be used").caused_by(error);
    let (prepared, doubt) = (trust.clone(), Arc::new(Mutex::new(None)));
    let noted = doubt.clone();
    // The authorities of a system are read from files.
    let configured = tokio::task::spawn_blocking(move || configuration(&prepared, noted)).await;
    let configured = configured.map_err(|error| Error::internal("TLS could not be prepared").caused_by(error))?;
    let ssl = configured.and_then(|configuration| configuration.into_ssl(host)).map_err(unusable)?;
    let mut stream = Encrypted::new(ssl, stream).map_err(unusable)?;
    match Pin::new(&mut stream).connect().await {
        Ok(()) => Ok(stream),
        Err(error) => {
            let doubt = locked(&doubt).take();
            Err(refused(host, trust, (stream.ssl().verify_result(), doubt), error))
        }
    }
}

/// The certificate that did not hold. After a handshake that failed OpenSSL has none to show.
struct Doubt {
    issuer: String,
    names: String,
}

fn configuration(trust: &Trust, doubt: Arc<Mutex<Option<Doubt>>>) -> Result<ConnectConfiguration, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    match &trust.authorities {
        Some(authorities) => builder.set_cert_store(store(&authorities.all)?),
        None => {
            let system = openssl_probe::probe();
            // If one of the two is missing the other is still used.
            if let Some(file) = &system.cert_file {
                let _ = builder.load_verify_locations(Some(file), None);
            }
            for folder in &system.cert_dir {
                let _ = builder.load_verify_locations(None, Some(folder));
            }
        }
    }
    if let Some(Identity { chain, key, .. }) = &trust.identity {
        let mut chain = chain.iter();
        if let Some(own) = chain.next() {
            builder.set_certificate(own)?;
        }
        builder.set_private_key(key)?;
        for issuer in chain {
            builder.add_extra_chain_cert(issuer.clone())?;
        }
    }
    builder.set_verify_callback(SslVerifyMode::PEER, move |holds, chain| {
        if let (false, Some(certificate)) = (holds, chain.current_cert()) {
            let found = Doubt { issuer: distinguished(certificate.issuer_name()), names: names(certificate) };
            locked(&doubt).get_or_insert(found);
        }
        holds
    });
    Ok(builder.build().configure()?.verify_hostname(trust.name))
}

/// As Java has it: each certificate is trusted for itself, also an authority between or the server's own.
pub(super) fn store(certificates: &[X509]) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for certificate in certificates {
        store.add_cert(certificate.clone())?;
    }
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::TRUSTED_FIRST)?;
    Ok(store.build())
}

const SERVER_REFUSED: &str = "the server may want a client certificate of an authority it knows, or another version of TLS; its own log says more";

/// OpenSSL reports a connection that ends in the middle of TLS as an error of the protocol.
fn is_broken(stack: &ErrorStack) -> bool {
    // SSL_R_UNEXPECTED_EOF_WHILE_READING
    stack.errors().iter().any(|error| error.reason_code() == 294)
}

/// The error of a session that was not opened. OpenSSL's verdict on a certificate is also there where the connection
/// broke.
fn refused(
    host: &str,
    trust: &Trust,
    (verdict, doubt): (X509VerifyResult, Option<Doubt>),
    error: openssl::ssl::Error,
) -> Error {
    if error.ssl_error().is_none_or(is_broken) {
        let error = error.into_io_error().unwrap_or_else(std::io::Error::other);
        return Error::new(ErrorKind::Unreachable, "the connection broke in the TLS handshake").caused_by(error);
    }
    if verdict == X509VerifyResult::OK {
        return Error::config("the TLS handshake failed").caused_by(error).advise(SERVER_REFUSED);
    }
    let Doubt { issuer, names } = doubt.unwrap_or(Doubt { issuer: "unknown".to_owned(), names: "unknown".to_owned() });
    let failed = Error::config("the server's certificate does not hold").caused_by(verdict.error_string());
    let origin = trust.authorities.as_ref().map_or("the system", |authorities| authorities.origin.as_str());
    match verdict.as_raw() {
        // X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH.
        62 | 64 => failed.advise(format!(
            "it is for {names}, and was asked for {host}; connect by one of its names, or verify the authority only"
        )),
        // X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED.
        9 | 10 => failed.advise("it, or one it depends on, has expired or is not valid yet; look at both clocks"),
        _ => failed.advise(format!(
            "it leads to {issuer}, which is not among the certificates of {origin}; add the certificate of that authority"
        )),
    }
}

/// The error of a session that has ended. With TLS 1.3 a server refuses a client's certificate only after the
/// handshake.
pub fn ended(error: std::io::Error) -> Error {
    let says_no = error.get_ref().and_then(|cause| cause.downcast_ref::<openssl::ssl::Error>());
    if says_no.is_some_and(|cause| cause.ssl_error().is_some_and(|stack| !is_broken(stack))) {
        return Error::config("the server has ended the TLS session").caused_by(error).advise(SERVER_REFUSED);
    }
    Error::new(ErrorKind::Unreachable, "the connection to the database was lost").caused_by(error)
}

/// The names a certificate is for.
fn names(certificate: &X509Ref) -> String {
    let alternative = certificate.subject_alt_names();
    let names = alternative.iter().flatten().filter_map(|name| match name.ipaddress() {
        Some(&[a, b, c, d]) => Some(Ipv4Addr::new(a, b, c, d).to_string()),
        Some(bytes) => <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        None => name.dnsname().map(str::to_owned),
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() { distinguished(certificate.subject_name()) } else { names.join(", ") }
}

/// `CN=a, O=b`.
fn distinguished(name: &openssl::x509::X509NameRef) -> String {
    let part = |entry: &openssl::x509::X509NameEntryRef| {
        let key = entry.object().nid().short_name().unwrap_or("?");
        format!("{key}={}", entry.data().to_string().unwrap_or_default())
    };
    name.entries().map(part).collect::<Vec<_>>().join(", ")
}

/// Both ends of one connection over loopback: a program without `certificate_pem` and `key_pem` cannot enter it, nor
/// pose as its other end. They live as long as it does and are kept in memory only.
pub struct Loopback {
    acceptor: SslAcceptor,
    certificate_pem: Vec<u8>,
    key_pem: Vec<u8>,
}

impl Loopback {
    /// The address that its certificate is for.
    pub const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

    /// Makes a key and its certificate.
    ///
    /// # Errors
    /// `Internal`.
    pub fn new() -> Result<Self> {
        Self::make().map_err(|error| Error::internal("no key for a connection of its own").caused_by(error))
    }

    fn make() -> Result<Self, ErrorStack> {
        let key = PKey::from_ec_key(EcKey::generate(EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?.as_ref())?)?;
        let certificate = own_certificate(&key)?;
        let mut acceptor = SslAcceptor::mozilla_modern_v5(SslMethod::tls_server())?;
        acceptor.set_private_key(&key)?;
        acceptor.set_certificate(&certificate)?;
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        acceptor.set_verify_cert_store(store(std::slice::from_ref(&certificate))?)?;
        acceptor.set_session_cache_mode(SslSessionCacheMode::OFF);
        acceptor.set_options(SslOptions::NO_TICKET);
        acceptor.set_num_tickets(0)?;
        Ok(Self {
            acceptor: acceptor.build(),
            certificate_pem: certificate.to_pem()?,
            key_pem: key.private_key_to_pem_pkcs8()?,
        })
    }

    /// The certificate of both ends, as PEM.
    pub fn certificate_pem(&self) -> &[u8] {
        &self.certificate_pem
    }

    /// Its key, as PEM.
    pub fn key_pem(&self) -> &[u8] {
        &self.key_pem
    }

    /// The acceptor of a server's side.
    pub fn acceptor(&self) -> Acceptor {
        Acceptor(self.acceptor.clone())
    }
}

/// The accepting end of a [`Loopback`].
pub struct Acceptor(SslAcceptor);

impl Acceptor {
    /// Begins TLS with a client that holds the key.
    ///
    /// # Errors
    /// `Internal` if it does not.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Result<Encrypted<S>> {
        let stranger = |error: ErrorStack| Error::internal("no TLS over loopback").caused_by(error);
        let ssl = Ssl::new(self.0.context()).map_err(stranger)?;
        let mut stream = Encrypted::new(ssl, stream).map_err(stranger)?;
        let accepted = Pin::new(&mut stream).accept().await;
        accepted.map_err(|error| Error::internal("another process has come in over loopback").caused_by(error))?;
        Ok(stream)
    }
}

/// Valid at all times: clocks do not matter to a connection within a process.
fn own_certificate(key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_text("CN", "rowtide")?;
    let name = name.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(Asn1Integer::from_bn(BigNum::from_u32(1)?.as_ref())?.as_ref())?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(Asn1Time::from_unix(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::from_str_x509("99991231235959Z")?.as_ref())?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    let context = builder.x509v3_context(None, None);
    let address = SubjectAlternativeName::new().ip(&Loopback::HOST.to_string()).build(&context)?;
    builder.append_extension(address)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}
