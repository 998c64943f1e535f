//! PKCS12 stores, as the Java drivers are given them, in the PEM that sqlx takes.

use openssl::error::ErrorStack;
use openssl::pkcs12::{ParsedPkcs12_2, Pkcs12};

use super::connect::file;
use crate::error::{Error, Result};

/// The certificates of a trust store.
pub(super) fn trusted(path: &str, password: &str) -> Result<Vec<u8>> {
    let store = open("the trust store", path, password)?;
    let mut pem = Vec::new();
    for certificate in store.ca.iter().flatten().chain(store.cert.as_deref()) {
        pem.extend(certificate.to_pem().map_err(|error| unreadable("the trust store", path, error))?);
    }
    if pem.is_empty() {
        return Err(Error::config(format!("the trust store {path} holds no certificate")));
    }
    Ok(pem)
}

/// Certificate chain and key of a client's store.
pub(super) fn client(path: &str, password: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let store = open("the key store", path, password)?;
    let (Some(certificate), Some(key)) = (&store.cert, &store.pkey) else {
        return Err(Error::config(format!("the key store {path} holds no key with its certificate")));
    };
    let convert = || -> std::result::Result<(Vec<u8>, Vec<u8>), ErrorStack> {
        let mut chain = certificate.to_pem()?;
        for issuer in store.ca.iter().flatten() {
            chain.extend(issuer.to_pem()?);
        }
        Ok((chain, key.private_key_to_pem_pkcs8()?))
    };
    convert().map_err(|error| unreadable("the key store", path, error))
}

fn open(what: &str, path: &str, password: &str) -> Result<ParsedPkcs12_2> {
    let bytes = file(what, path)?;
    let parsed = Pkcs12::from_der(&bytes).and_then(|store| store.parse2(password));
    parsed.map_err(|error| unreadable(what, path, error))
}

fn unreadable(what: &str, path: &str, error: ErrorStack) -> Error {
    Error::config(format!("{what} {path} cannot be read as PKCS12"))
        .caused_by(error)
        .advise("check its password, or convert it to PEM: openssl pkcs12 -in STORE -nodes -out FILE")
}

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;
    use openssl::x509::{X509, X509Name};

    use super::*;

    #[test]
    fn stores_become_pem_and_a_wrong_password_is_said_to_be() {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_text("CN", "rowtide").unwrap();
        let name = name.build();
        let mut certificate = X509::builder().unwrap();
        certificate.set_subject_name(&name).unwrap();
        certificate.set_issuer_name(&name).unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = certificate.build();
        let store = Pkcs12::builder().pkey(&key).cert(&certificate).build2("secret").unwrap().to_der().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.p12").display().to_string();
        std::fs::write(&path, store).unwrap();
        let (chain, private) = client(&path, "secret").unwrap();
        assert_eq!(chain, certificate.to_pem().unwrap());
        assert!(private.starts_with(b"-----BEGIN PRIVATE KEY-----"));
        assert_eq!(trusted(&path, "secret").unwrap(), chain);
        let error = trusted(&path, "other").unwrap_err();
        assert!(error.report().contains("cannot be read as PKCS12") && !error.report().contains("other"));
        assert!(trusted("/no/such/store", "").is_err());
    }
}
