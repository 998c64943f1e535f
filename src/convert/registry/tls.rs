//! Certificates of `ssl.*`: PEM trust stores, PEM and PKCS12 key stores. Java's JKS is refused with the
//! command that converts it.

use std::fs;

use reqwest::{Certificate, ClientBuilder, Identity};

use super::settings::Options;
use crate::config::spec::Secret;
use crate::error::{Error, ErrorKind, Result};

const JKS_MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// What `ssl.*` says.
pub(super) struct Settings {
    trusted: Option<Vec<Certificate>>,
    identity: Option<Identity>,
    verify_hostname: bool,
}

impl Settings {
    /// Reads the options and the files they name.
    ///
    /// # Errors
    /// `Io` if a file cannot be read, `Config` if it is of a kind that is not supported.
    pub(super) fn parse(options: Options<'_>) -> Result<Self> {
        // Unset verifies, unlike the reference, where it does not; set to nothing or `none` is its opt-out.
        let verify_hostname = !options
            .raw("ssl.endpoint.identification.algorithm")
            .is_some_and(|text| text.trim().is_empty() || text.trim().eq_ignore_ascii_case("none"));
        Ok(Self { trusted: trusted(options)?, identity: identity(options)?, verify_hostname })
    }

    /// Adds them to a client.
    pub(super) fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder> {
        let mut builder = builder.tls_danger_accept_invalid_hostnames(!self.verify_hostname);
        if let Some(certificates) = &self.trusted {
            builder = builder.tls_certs_only(certificates.iter().cloned());
        }
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        Ok(builder)
    }
}

fn trusted(options: Options<'_>) -> Result<Option<Vec<Certificate>>> {
    const LOCATION: &str = "ssl.truststore.location";
    let pem = match (options.get("ssl.truststore.certificates"), options.get(LOCATION)) {
        (Some(inline), _) => inline_pem(inline).into_bytes(),
        (None, Some(path)) => read(LOCATION, path)?,
        (None, None) => return Ok(None),
    };
    if !is_pem(&pem) {
        return Err(Error::config(format!("{LOCATION}: only PEM trust stores are supported"))
            .advise("export it: keytool -exportcert -rfc -keystore STORE -alias NAME -file ca.pem"));
    }
    let certificates = Certificate::from_pem_bundle(&pem)
        .map_err(|error| Error::config(format!("{LOCATION}: no certificates in it")).caused_by(error))?;
    if certificates.is_empty() {
        return Err(Error::config(format!("{LOCATION}: no certificates in it")));
    }
    Ok(Some(certificates))
}

fn identity(options: Options<'_>) -> Result<Option<Identity>> {
    const LOCATION: &str = "ssl.keystore.location";
    let unusable = |error: reqwest::Error| {
        Error::config(format!("{LOCATION}: the key or its certificate cannot be used"))
            .caused_by(error)
            .advise("a PEM key must be an unencrypted PKCS #8 key (openssl pkcs8 -topk8 -nocrypt); check the password of a PKCS12 store")
    };
    let inline = (options.get("ssl.keystore.certificate.chain"), options.get("ssl.keystore.key"));
    if let (Some(chain), Some(key)) = inline {
        let (chain, key) = (inline_pem(chain), inline_pem(key));
        return Identity::from_pkcs8_pem(chain.as_bytes(), key.as_bytes()).map(Some).map_err(unusable);
    }
    let Some(path) = options.get(LOCATION) else { return Ok(None) };
    let store = read(LOCATION, path)?;
    if is_pem(&store) {
        let (chain, key) = split_pem(&String::from_utf8_lossy(&store));
        return Identity::from_pkcs8_pem(chain.as_bytes(), key.as_bytes()).map(Some).map_err(unusable);
    }
    if store.starts_with(&JKS_MAGIC) {
        return Err(Error::config(format!("{LOCATION}: JKS key stores are not supported")).advise(
            "convert it: keytool -importkeystore -srckeystore STORE -destkeystore store.p12 -deststoretype PKCS12",
        ));
    }
    let password = Secret::new(options.raw("ssl.keystore.password").unwrap_or_default());
    Identity::from_pkcs12_der(&store, password.reveal()).map(Some).map_err(unusable)
}

fn read(option: &str, path: &str) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        Error::new(ErrorKind::Io, format!("{option}: cannot be read")).with("file", path).caused_by(error)
    })
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

/// The certificates and the key of one file.
fn split_pem(text: &str) -> (String, String) {
    let (mut chain, mut key) = (String::new(), String::new());
    let mut in_key = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("-----BEGIN ") {
            in_key = line.contains("PRIVATE KEY");
        }
        let part = if in_key { &mut key } else { &mut chain };
        part.push_str(line);
        part.push('\n');
    }
    (chain, key)
}

/// PEM given in a property has spaces where its line ends were; only its armour may keep them.
fn inline_pem(text: &str) -> String {
    if text.contains('\n') {
        return text.to_owned();
    }
    let mut lines = String::new();
    for part in text.split("-----") {
        let part = part.trim();
        if part.starts_with("BEGIN ") || part.starts_with("END ") {
            lines.push_str(&format!("-----{part}-----\n"));
        } else if !part.is_empty() {
            lines.push_str(&part.split_whitespace().collect::<Vec<_>>().join("\n"));
            lines.push('\n');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn parse(name: &str, value: &str) -> Result<Settings> {
        let settings = BTreeMap::from([(format!("schema.registry.{name}"), value.to_owned())]);
        Settings::parse(Options(&settings))
    }

    #[test]
    fn hosts_are_verified_unless_told_not_to() {
        let verified = |value| parse("ssl.endpoint.identification.algorithm", value).unwrap().verify_hostname;
        assert!(verified("https"));
        assert!(!verified(""));
        assert!(!verified("none"));
        assert!(parse("ssl.protocol", "TLSv1.3").unwrap().verify_hostname);
    }

    #[test]
    fn stores_that_cannot_be_read_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.jks");
        fs::write(&path, [&JKS_MAGIC[..], b"rest"].concat()).unwrap();
        let path = path.to_str().unwrap();
        for option in ["ssl.truststore.location", "ssl.keystore.location"] {
            assert!(parse(option, path).err().unwrap().advice().contains("keytool"));
        }
        assert_eq!(parse("ssl.keystore.location", "/nowhere").err().unwrap().kind(), ErrorKind::Io);
    }

    /// Of nobody, for tests.
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBlDCCATugAwIBAgIUGW1zjKnEjLnVz1iPSjYKhytoFE0wCgYIKoZIzj0EAwIw\n\
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA4NDU0MFoYDzIxMjYxMDI4\n\
MDg0NTQwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n\
PQMBBwNCAARBC48y1Y4MVdb03A9ciq5g4ZDmDU8ANISSUHeXuNt6bCDARSmWgTPG\n\
ERYZEdjthmH6dZmIm6OWvZdyYyJPOkcpo2kwZzAdBgNVHQ4EFgQUyAXQZpwm4CD2\n\
xpyDvpSqUchagIgwHwYDVR0jBBgwFoAUyAXQZpwm4CD2xpyDvpSqUchagIgwDwYD\n\
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID\n\
RwAwRAIgRHoPXh9pJ/qH21Brk+8eUttMTJdbEz4E0nSy2zM7xqcCIHduXvIcdsk7\n\
0piA6q/p5sL0OhLNT6slN/hmdDZe7F1N\n\
-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWRCdLeCryoA+JGN1\n\
nxzv70LWyqZo6fcMOIyPJgi+hpWhRANCAARBC48y1Y4MVdb03A9ciq5g4ZDmDU8A\n\
NISSUHeXuNt6bCDARSmWgTPGERYZEdjthmH6dZmIm6OWvZdyYyJPOkcp\n\
-----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_and_its_certificate_can_be_in_one_file_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.pem");
        for content in [format!("{KEY}{CERTIFICATE}"), format!("{CERTIFICATE}{KEY}{CERTIFICATE}")] {
            fs::write(&path, content).unwrap();
            let settings = parse("ssl.keystore.location", path.to_str().unwrap()).unwrap();
            settings.apply(ClientBuilder::new()).unwrap().build().unwrap();
        }
        let trusted = parse("ssl.truststore.certificates", &CERTIFICATE.replace('\n', " ")).unwrap().trusted.unwrap();
        assert_eq!(trusted.len(), 1);
        fs::write(&path, CERTIFICATE).unwrap();
        let error = parse("ssl.keystore.location", path.to_str().unwrap()).err().unwrap();
        assert!(error.advice().contains("PKCS #8"));
    }

    #[test]
    fn a_pem_on_one_line_gets_its_lines_back() {
        let pem = "-----BEGIN CERTIFICATE----- AAA BBB -----END CERTIFICATE-----";
        assert_eq!(inline_pem(pem), "-----BEGIN CERTIFICATE-----\nAAA\nBBB\n-----END CERTIFICATE-----\n");
    }
}
