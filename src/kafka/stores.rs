//! Certificates and keys of `ssl.*`, by Java's names or librdkafka's, as the PEM that librdkafka takes. Reads the files
//! that settings name and does nothing else; no key is written anywhere.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::tls::java::{Given, client, trusted};
use crate::tls::{Certificates, Identity};

/// The settings that are looked at together here, by Java's names.
pub(super) const STORES: &[&str] = &[
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// librdkafka's names for the same, which are replaced by the PEM that was read.
const OF_LIBRDKAFKA: &[&str] =
    &["ssl.certificate.location", "ssl.certificate.pem", "ssl.key.location", "ssl.key.password", "ssl.key.pem"];

/// Adds the contents of the stores to a client's settings.
///
/// # Errors
/// `Config`, naming the key and the file.
pub(super) fn add(java: &BTreeMap<String, String>, settings: &mut BTreeMap<String, String>) -> Result<()> {
    let get = |key: &'static str| -> Given<'_> {
        java.get(key).map(|text| text.trim()).filter(|text| !text.is_empty()).map(|text| (key, text))
    };
    if let Some(input) = trusted(get)? {
        settings.remove("ssl.ca.location");
        settings.insert("ssl.ca.pem".to_owned(), Certificates::read(&input)?.pem().concat());
    }
    let inputs = client(get)?;
    if !inputs.is_empty() {
        let identity = Identity::read(&inputs)?;
        for key in OF_LIBRDKAFKA {
            settings.remove(*key);
        }
        settings.insert("ssl.certificate.pem".to_owned(), identity.chain_pem().to_owned());
        settings.insert("ssl.key.pem".to_owned(), identity.key_pem().to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::samples;

    fn settings(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, String>> {
        let java = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        // librdkafka's own names have been taken over by now.
        let mut settings = BTreeMap::clone(&java);
        settings.retain(|key, _| !STORES.contains(&key.as_str()));
        add(&java, &mut settings)?;
        Ok(settings)
    }

    #[test]
    fn stores_of_java_and_files_of_librdkafka_become_the_same() {
        let (folder, client) = (tempfile::tempdir().unwrap(), samples::client());
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        let authorities = file("ca.pem", client.authorities.as_bytes());
        let (store, chain) = (file("store.p12", &client.pkcs12("secret")), file("chain.pem", client.chain.as_bytes()));
        let (key, both) =
            (file("key.pem", client.encrypted("secret").as_bytes()), file("both.pem", client.both().as_bytes()));
        let trusted = settings(&[("ssl.truststore.location", &authorities)]).unwrap();
        assert_eq!(trusted["ssl.ca.pem"].matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(settings(&[("ssl.ca.location", &authorities)]).unwrap(), trusted);
        assert_eq!(
            settings(&[("ssl.truststore.certificates", &client.authorities.replace('\n', " "))]).unwrap(),
            trusted
        );
        for probed in ["probe", folder.path().to_str().unwrap()] {
            assert_eq!(settings(&[("ssl.ca.location", probed)]).unwrap()["ssl.ca.location"], probed);
        }
        let expected = BTreeMap::from([
            ("ssl.certificate.pem".to_owned(), client.chain.clone()),
            ("ssl.key.pem".to_owned(), client.key.clone()),
        ]);
        for pairs in [
            &[("ssl.keystore.location", store.as_str()), ("ssl.keystore.password", "secret")][..],
            &[("ssl.keystore.location", &both)],
            &[("ssl.keystore.certificate.chain", &client.chain), ("ssl.keystore.key", &client.key)],
            &[("ssl.certificate.location", &chain), ("ssl.key.location", &key), ("ssl.key.password", "secret")],
        ] {
            assert_eq!(settings(pairs).unwrap(), expected, "{:?}", pairs[0].0);
        }
        assert!(settings(&[("ssl.keystore.location", "/nowhere/at/all")]).is_err());
    }
}
