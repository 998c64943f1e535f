//! The meaning of parameters together, once all are known: encryption, key stores and the session's zone. Leaves what
//! the dialect reads (see `parameters.rs`); whatever else was kept on the way here is gone.

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
    key_store(parameters, "trustStore", "trustStoreType", &["sslCa"]);
    key_store(parameters, "keyStore", "keyStoreType", &["sslCert", "sslKey"]);
    if !parameters.contains_key("trustStore") {
        parameters.remove("trustStorePassword");
    }
    // A file may hold both; if it does not, that is said when it is read.
    for (name, other) in [("sslCert", "sslKey"), ("sslKey", "sslCert")] {
        if let Some(path) = parameters.get(name).cloned() {
            parameters.entry(other.to_owned()).or_insert(path);
        }
    }
    let has_client = ["keyStore", "sslCert"].iter().any(|name| parameters.contains_key(*name));
    if let Some(password) = parameters.remove("keyPassword").filter(|_| has_client) {
        let known = parameters.entry("keyStorePassword".to_owned()).or_insert_with(|| password.clone());
        if *known != password {
            wrong.push(("keyPassword", "must be that of the key store, as everywhere in PKCS12"));
        }
    }
    if !has_client {
        parameters.remove("keyStorePassword");
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

/// A PEM file becomes `sslCa`, or `sslCert` and `sslKey`, which a store replaces. What another file is its content
/// says when it is read: Java reads PKCS12 also where JKS, its default type, is asked for.
fn key_store(parameters: &mut Parameters, store: &str, kind: &str, pem: &[&str]) {
    let kind = parameters.remove(kind).unwrap_or_default();
    let Some(path) = parameters.get(store).cloned() else { return };
    let lower = path.to_lowercase();
    let is_pem_by_name = [".pem", ".crt", ".cer", ".cert"].iter().any(|ending| lower.ends_with(ending));
    let is_pem = kind == "PEM" || (kind != "PKCS12" && is_pem_by_name);
    for name in pem {
        parameters.remove(*name);
        if is_pem {
            parameters.insert((*name).to_owned(), path.clone());
        }
    }
    if is_pem {
        parameters.remove(store);
    }
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
