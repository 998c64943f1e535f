//! The listeners of REST and their authentication, and the topic of connectors made by it.

use std::collections::BTreeMap;

use crate::config::judge::Judge;
use crate::config::spec::{ClientAuth, ConfigTopicSpec, CorsSpec, ListenerSpec, RestSpec, Secret};
use crate::config::values::listeners;

const HTTPS: &str = "listeners.https.";
const ADMIN_HTTPS: &str = "admin.listeners.https.";
/// The settings of which one names the certificate of a listener.
const CERTIFICATES: &[&str] = &["ssl.keystore.location", "ssl.keystore.certificate.chain", "ssl.certificate.location"];
const USERS: &str = "rest.auth.basic.";
const TOKENS: &str = "rest.auth.bearer.";
const BASIC: &str = "BasicAuthSecurityRestExtension";

/// `listeners`, `rest.*`, `admin.listeners`.
pub(super) fn build(judge: &mut Judge) -> RestSpec {
    let addresses = |text: &str| -> Vec<ListenerSpec> {
        let found = listeners(text).unwrap_or_default();
        found.into_iter().map(|(tls, host, port)| ListenerSpec { tls, host, port }).collect()
    };
    let admin_listeners = addresses(judge.given("admin.listeners").unwrap_or_default());
    let listeners = addresses(judge.text("listeners"));
    let mut ssl = under(judge, HTTPS);
    if ssl.is_empty() {
        ssl = under(judge, "ssl.").into_iter().map(|(name, value)| (format!("ssl.{name}"), value)).collect();
    }
    let mut admin_ssl = under(judge, ADMIN_HTTPS);
    if admin_ssl.is_empty() {
        admin_ssl.clone_from(&ssl);
    }
    let client_auth = client_auth(judge, &ssl);
    for (key, listeners, ssl) in [("listeners", &listeners, &ssl), ("admin.listeners", &admin_listeners, &admin_ssl)] {
        let has_certificate = CERTIFICATES.iter().any(|key| ssl.contains_key(*key));
        if listeners.iter().any(|listener| listener.tls) && !has_certificate {
            let message =
                format!("has an https listener, which needs a certificate: set {key}.https.ssl.keystore.location");
            judge.problem(key, message, &[]);
        }
    }
    let secrets = |found: BTreeMap<String, String>| -> BTreeMap<String, Secret> {
        found.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
    };
    let (users, tokens) = (secrets(under(judge, USERS)), secrets(under(judge, TOKENS)));
    for (prefix, given) in [(USERS, &users), (TOKENS, &tokens)] {
        for name in given.iter().filter(|(name, secret)| name.is_empty() || secret.reveal().is_empty()) {
            judge.problem(&format!("{prefix}{}", name.0), "needs a name behind it, and a value", &[]);
        }
    }
    if judge.elements("rest.extension.classes").iter().any(|class| class.ends_with(BASIC)) && users.is_empty() {
        let message =
            "has BasicAuthSecurityRestExtension, whose JAAS file is not read: set rest.auth.basic.USER=PASSWORD";
        judge.problem("rest.extension.classes", message, &[]);
    }
    let cors = CorsSpec {
        origins: judge.elements("access.control.allow.origin"),
        methods: judge.elements("access.control.allow.methods"),
    };
    let given = |key: &str| judge.given(key).filter(|text| !text.is_empty()).map(str::to_owned);
    RestSpec {
        listeners,
        advertised_host: given("rest.advertised.host.name"),
        advertised_port: given("rest.advertised.port").and_then(|port| port.parse().ok()).filter(|port| *port > 0),
        ssl,
        client_auth,
        users,
        tokens,
        hide_secrets: given("rest.hide.secrets").map(|text| text.eq_ignore_ascii_case("true")),
        admin_listeners,
        admin_ssl,
        cors,
        has_samples: given("ui.samples").is_some_and(|text| text.eq_ignore_ascii_case("true")),
        without_admin: judge.settings.get("admin.listeners").is_some_and(|entry| entry.text.trim().is_empty()),
    }
}

/// The values of a family, without its prefix.
fn under(judge: &Judge, prefix: &str) -> BTreeMap<String, String> {
    let of_family = judge.settings.worker.iter().filter_map(|(key, entry)| {
        let name = key.strip_prefix(prefix)?;
        Some((name.to_owned(), entry.text.trim().to_owned()))
    });
    of_family.collect()
}

fn client_auth(judge: &mut Judge, ssl: &BTreeMap<String, String>) -> ClientAuth {
    match ssl.get("ssl.client.auth").map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("" | "none") => ClientAuth::None,
        Some("requested") => ClientAuth::Requested,
        Some("required") => ClientAuth::Required,
        Some(_) => {
            let key = format!("{HTTPS}ssl.client.auth");
            let key = if judge.settings.worker.contains_key(&key) { key } else { "ssl.client.auth".to_owned() };
            judge.problem(&key, "must be one of none, requested, required", &[]);
            ClientAuth::None
        }
    }
}

/// `config.storage.*`.
pub(super) fn configs(judge: &mut Judge) -> ConfigTopicSpec {
    const PREFIX: &str = "config.storage.";
    super::kafka::note_default(judge, "config.storage.topic");
    let mut settings = under(judge, PREFIX);
    settings
        .retain(|name, _| !["topic", "replication.factor", "partitions", "cleanup.policy"].contains(&name.as_str()));
    ConfigTopicSpec {
        topic: judge.text("config.storage.topic").to_owned(),
        replication: i32::try_from(judge.number("config.storage.replication.factor")).unwrap_or(3),
        automatic_creation: judge.flag("internal.topics.automatic.creation.enable"),
        settings,
    }
}
