//! Certificates of `ssl.*`, in the form that the registry's client takes.

use reqwest::{Certificate, ClientBuilder, Identity};

use super::super::options::Options;
use crate::error::{Error, Result};
use crate::tls::{self, Certificates, Input};

/// The `ssl.*` settings.
pub(super) struct Settings {
    trusted: Option<Vec<Certificate>>,
    identity: Option<Identity>,
    verify_hostname: bool,
}

impl Settings {
    /// Reads the options and the files they name.
    ///
    /// # Errors
    /// `Config` if a file cannot be read, or is of a kind that is not supported.
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
    const INLINE: &str = "ssl.truststore.certificates";
    const PASSWORD: &str = "ssl.truststore.password";
    let input = match (options.get(INLINE), options.get(LOCATION)) {
        (Some(inline), _) => Input::text(INLINE, inline),
        (None, Some(path)) => Input::file(LOCATION, path)?.password(PASSWORD, options.raw(PASSWORD)),
        (None, None) => return Ok(None),
    };
    let certificates = Certificates::read(&input)?;
    let certificates = certificates.pem().iter().map(|pem| Certificate::from_pem(pem.as_bytes()));
    let unusable = |error| Error::config(format!("{LOCATION}: a certificate cannot be used")).caused_by(error);
    certificates.collect::<std::result::Result<_, reqwest::Error>>().map(Some).map_err(unusable)
}

fn identity(options: Options<'_>) -> Result<Option<Identity>> {
    const LOCATION: &str = "ssl.keystore.location";
    const CHAIN: &str = "ssl.keystore.certificate.chain";
    const KEY: &str = "ssl.keystore.key";
    let of_key = options.raw("ssl.key.password");
    let inputs = match (options.get(CHAIN), options.get(KEY), options.get(LOCATION)) {
        (Some(chain), Some(key), _) => {
            vec![Input::text(CHAIN, chain), Input::text(KEY, key).password("ssl.key.password", of_key)]
        }
        (_, _, Some(path)) => {
            let of_store = options.raw("ssl.keystore.password");
            let passwords = (("ssl.keystore.password", of_store), ("ssl.key.password", of_key));
            vec![Input::file(LOCATION, path)?.passwords(passwords.0, passwords.1)]
        }
        _ => return Ok(None),
    };
    let found = tls::Identity::read(&inputs)?;
    let identity = Identity::from_pkcs8_pem(found.chain_pem().as_bytes(), found.key_pem().as_bytes());
    identity.map(Some).map_err(|error| Error::config(format!("{LOCATION}: the key cannot be used")).caused_by(error))
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

    /// A certificate of nobody, for tests.
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
            std::fs::write(&path, content).unwrap();
            let settings = parse("ssl.keystore.location", path.to_str().unwrap()).unwrap();
            settings.apply(ClientBuilder::new()).unwrap().build().unwrap();
        }
        let trusted = parse("ssl.truststore.certificates", &CERTIFICATE.replace('\n', " ")).unwrap().trusted.unwrap();
        assert_eq!(trusted.len(), 1);
    }
}
