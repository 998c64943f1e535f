//! What parameters mean together, once all are known: encryption, key stores and the session's zone.
//! Leaves what the dialect reads (see `parameters.rs`); whatever else was kept on the way here is gone.

use std::collections::BTreeMap;

use super::super::{Connection, Parameter, refused};
use super::Driver;
use super::parameters::canonical;
use crate::zone::Zone;

type Parameters = BTreeMap<String, String>;

/// Settles all of it.
pub(in crate::config::url) fn settle(connection: &mut Connection, given: &[Parameter], driver: Driver) {
    let parameters = &mut connection.url.parameters;
    let mut wrong = Vec::new();
    ssl_mode(parameters, driver);
    for store in [TRUST, CLIENT] {
        if let Err(message) = key_store(parameters, &store) {
            wrong.push((store.name, message));
        }
    }
    let key_password = parameters.remove("keyPassword");
    if key_password.is_some() && key_password.as_ref() != parameters.get("keyStorePassword") {
        wrong.push(("keyPassword", "must be that of the key store, as everywhere in PKCS12"));
    }
    match (parameters.contains_key("sslCert"), parameters.contains_key("sslKey")) {
        // A file may hold both.
        (true, false) => {
            let both = parameters["sslCert"].clone();
            parameters.insert("sslKey".to_owned(), both);
        }
        (false, true) => wrong.push(("sslKey", "needs the certificate it belongs to, in sslCert")),
        _ => {}
    }
    match session_zone(parameters) {
        Ok(true) => {}
        Ok(false) => {
            let names = given.iter().map(|parameter| &parameter.name);
            let unused = names.filter(|name| {
                matches!(canonical(name), Some("connectionTimeZone" | "forceConnectionTimeZoneToSession"))
            });
            connection.ignored.extend(unused.cloned());
        }
        Err((name, message)) => wrong.push((name, message)),
    }
    for (name, message) in wrong {
        let of = given.iter().rev().find(|parameter| canonical(&parameter.name) == Some(name));
        connection.problems.extend(of.map(|parameter| refused(parameter, message)));
    }
}

/// `useSSL` and its companions say what `sslMode` says, which wins.
fn ssl_mode(parameters: &mut Parameters, driver: Driver) {
    let mut flag = |name: &str| parameters.remove(name).map(|value| value == "true");
    let (used, required, verified) = (flag("useSSL"), flag("requireSSL"), flag("verifyServerCertificate"));
    let (trusted, nameless) = (flag("trustServerCertificate"), flag("disableSslHostnameVerification"));
    let mode = match driver {
        Driver::MariaDb => match used {
            Some(true) if trusted == Some(true) => "REQUIRED",
            Some(true) if nameless == Some(true) => "VERIFY_CA",
            Some(true) => "VERIFY_IDENTITY",
            Some(false) => "DISABLED",
            None => return,
        },
        Driver::ConnectorJ | Driver::Native => match (used, required, verified) {
            (None, None, None) => return,
            (Some(false), ..) => "DISABLED",
            (.., Some(true)) => "VERIFY_CA",
            (_, Some(true), _) => "REQUIRED",
            _ => "PREFERRED",
        },
    };
    parameters.entry("sslMode".to_owned()).or_insert_with(|| mode.to_owned());
}

/// A store and the parameters that go with it.
struct Store {
    name: &'static str,
    kind: &'static str,
    password: &'static str,
    /// The parameters that name the same in PEM.
    pem: &'static [&'static str],
}

const TRUST: Store =
    Store { name: "trustStore", kind: "trustStoreType", password: "trustStorePassword", pem: &["sslCa"] };
const CLIENT: Store =
    Store { name: "keyStore", kind: "keyStoreType", password: "keyStorePassword", pem: &["sslCert", "sslKey"] };

/// A PEM file becomes `sslCa` or `sslCert` and `sslKey`; PKCS12 stays. Java reads PKCS12 also where its
/// default type, JKS, is asked for: the name of the file then decides.
fn key_store(parameters: &mut Parameters, store: &Store) -> Result<(), &'static str> {
    let kind = parameters.remove(store.kind).unwrap_or_default();
    let Some(path) = parameters.get(store.name).cloned() else {
        parameters.remove(store.password);
        return Ok(());
    };
    let lower = path.to_lowercase();
    let ends_with = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    let is_pem = kind == "PEM" || (kind != "PKCS12" && ends_with(&[".pem", ".crt", ".cer", ".cert"]));
    let is_p12 = kind == "PKCS12" || ends_with(&[".p12", ".pfx", ".pkcs12"]);
    for pem in store.pem {
        parameters.remove(*pem);
        if is_pem {
            parameters.insert((*pem).to_owned(), path.clone());
        }
    }
    if is_pem {
        parameters.remove(store.name);
        parameters.remove(store.password);
    } else if !is_p12 && (kind == "JKS" || ends_with(&[".jks"])) {
        return Err("is a Java key store, which only Java reads; convert it: keytool -importkeystore \
                    -srckeystore old.jks -destkeystore new.p12 -deststoretype PKCS12");
    }
    Ok(())
}

/// `sessionZone`, from what sets the session's zone. False if a zone was given and has no effect.
fn session_zone(parameters: &mut Parameters) -> Result<bool, (&'static str, &'static str)> {
    let forced = parameters.remove("forceConnectionTimeZoneToSession");
    let connection = parameters.remove("connectionTimeZone");
    let (name, zone) = match (parameters.remove("timezone"), forced.as_deref()) {
        (Some(zone), _) => ("timezone", zone),
        (None, Some("true")) => {
            let name = if connection.is_some() { "connectionTimeZone" } else { "forceConnectionTimeZoneToSession" };
            (name, connection.unwrap_or_default())
        }
        (None, _) => return Ok(false),
    };
    match zone.to_uppercase().as_str() {
        "SERVER" | "SYSTEM" | "DISABLE" => return Ok(true),
        "" | "LOCAL" | "AUTO" => {
            let message = "would make the zone of this machine that of the session; name a zone in connectionTimeZone";
            return Err((name, message));
        }
        _ => {}
    }
    let zone = zone.parse().map_err(|_| (name, "must be a time zone such as Europe/Berlin or +02:00"))?;
    parameters.insert("sessionZone".to_owned(), spelled(&zone));
    Ok(true)
}

/// As Java's `ZoneId.normalized()`: what never changes is an offset, which a server without zone tables knows.
fn spelled(zone: &Zone) -> String {
    let name = zone.to_string();
    let is_constant =
        matches!(zone, Zone::Fixed(_)) || name.starts_with("Etc/") || !name.contains('/') && zone_is_utc(&name);
    if !is_constant {
        return name;
    }
    let seconds = zone.instant_to_wall(0) / 1_000_000;
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn zone_is_utc(name: &str) -> bool {
    ["UTC", "GMT", "UCT", "Zulu", "Universal", "Greenwich", "GMT0", "GMT+0", "GMT-0"].contains(&name)
}
