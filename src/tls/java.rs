//! The settings `ssl.*` by which Java's clients and servers name their stores, and librdkafka's names for the same. Says which
//! file or text is meant; what is in it is read elsewhere.

use std::path::Path;

use super::Input;
use crate::error::Result;

/// A setting: its name and value.
pub(crate) type Given<'a> = Option<(&'static str, &'a str)>;

/// The trusted certificates; none if none are named.
///
/// # Errors
/// `Config`, naming the key and the file.
pub(crate) fn trusted<'a>(get: impl Fn(&'static str) -> Given<'a>) -> Result<Option<Input<'a>>> {
    const PASSWORD: &str = "ssl.truststore.password";
    if let Some((key, pem)) = get("ssl.truststore.certificates").or_else(|| get("ssl.ca.pem")) {
        return Ok(Some(Input::text(key, pem)));
    }
    // librdkafka's may be a folder, or the word that lets it search.
    let own = get("ssl.ca.location").filter(|(_, path)| *path != "probe" && !Path::new(path).is_dir());
    let Some((key, path)) = get("ssl.truststore.location").or(own) else { return Ok(None) };
    let password = get(PASSWORD).map(|(_, password)| password);
    Ok(Some(Input::file(key, path)?.password(PASSWORD, password)))
}

/// A certificate and its key, in one store or several; none if there is none.
///
/// # Errors
/// `Config`, naming the key and the file.
pub(crate) fn client<'a>(get: impl Fn(&'static str) -> Given<'a>) -> Result<Vec<Input<'a>>> {
    const OF_KEY: &str = "ssl.key.password";
    const OF_STORE: &str = "ssl.keystore.password";
    let of = |key| get(key).map(|(_, password)| password);
    if let Some((key, path)) = get("ssl.keystore.location") {
        return Ok(vec![Input::file(key, path)?.passwords((OF_STORE, of(OF_STORE)), (OF_KEY, of(OF_KEY)))]);
    }
    let mut inputs = Vec::new();
    for (inline, location) in [
        (get("ssl.keystore.certificate.chain").or_else(|| get("ssl.certificate.pem")), get("ssl.certificate.location")),
        (get("ssl.keystore.key").or_else(|| get("ssl.key.pem")), get("ssl.key.location")),
    ] {
        let input = match (inline, location) {
            (Some((key, pem)), _) => Input::text(key, pem),
            (None, Some((key, path))) => Input::file(key, path)?,
            (None, None) => continue,
        };
        inputs.push(input.password(OF_KEY, of(OF_KEY)));
    }
    Ok(inputs)
}
