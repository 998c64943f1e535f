//! Brokers and a registry in the place of those that a configuration names (`run --embedded`): how they are reached is
//! replaced, everything else stays.

use super::document::{Document, Entries};
use super::keys;
use super::layers::key_of_variable;
use super::load::Surroundings;
use crate::convert::{CONVERTERS, converter_of};

/// The addresses of brokers and registry that take records in the clear and from everybody; the brokers make topics by
/// themselves.
#[derive(Debug, Clone)]
pub struct Services {
    /// `bootstrap.servers`.
    pub bootstrap_servers: String,
    /// `schema.registry.url`.
    pub registry_url: String,
}

/// Roles of converters that have a registry.
const ROLES: &[&str] = &["key.converter", "value.converter"];

impl Services {
    /// Replaces the connection settings of brokers and registry in a connector's document and around it. The offsets topic
    /// is taken to be there.
    pub fn replace(&self, document: &mut Document, around: &mut Surroundings) {
        document.entries.retain(|key, _| !is_connection(key));
        if let Some(worker) = &mut around.worker {
            worker.entries.retain(|key, _| !is_connection(key));
        }
        around.environment.retain(|variable, _| !key_of_variable(variable).is_some_and(|key| is_connection(&key)));
        around.sets.retain(|(key, _)| !is_connection(key));
        let mut set = |key: &str, value: &str| around.sets.push((key.to_owned(), value.to_owned()));
        set("bootstrap.servers", &self.bootstrap_servers);
        set("internal.topics.automatic.creation.enable", "false");
        // Those of this process have no admin interface, and make topics at the first request.
        set("topic.creation.enable", "false");
        for role in ROLES {
            if has_registry(role, &document.entries, around) {
                around.sets.push((format!("{role}.schema.registry.url"), self.registry_url.clone()));
            }
        }
    }
}

/// True if a converter of this role with a registry is configured; that of values is Avro where none is.
fn has_registry(role: &str, connector: &Entries, around: &Surroundings) -> bool {
    let set = || around.sets.iter().rev().find(|(key, _)| key == role).map(|(_, class)| class.clone());
    let variable = || {
        let named = |(variable, _): &(&String, &String)| key_of_variable(variable).as_deref() == Some(role);
        around.environment.iter().find(named).map(|(_, class)| class.clone())
    };
    let file = || around.worker.as_ref()?.entries.get(role).map(|entry| entry.raw.clone());
    let class = connector.get(role).map(|entry| entry.raw.clone()).or_else(set).or_else(variable).or_else(file);
    match class {
        Some(class) => converter_of(CONVERTERS, &class)
            .is_some_and(|definition| definition.setting("schema.registry.url").is_some()),
        None => role == "value.converter",
    }
}

/// True if a setting says how brokers or registry are reached.
fn is_connection(key: &str) -> bool {
    const CLIENTS: &[&str] =
        &["producer.override.", "consumer.override.", "admin.override.", "producer.", "consumer.", "admin."];
    const TO_BROKERS: &[&str] = &["security.", "ssl.", "sasl.", "bootstrap.", "metadata.broker.list"];
    const TO_REGISTRY: &[&str] = &["schema.registry.", "basic.auth.", "bearer.auth.", "ssl.", "proxy."];
    if let Some((role, setting)) = keys::converter_setting(key) {
        return ROLES.contains(&role) && TO_REGISTRY.iter().any(|prefix| setting.starts_with(prefix));
    }
    let bare = CLIENTS.iter().find_map(|client| key.strip_prefix(client)).unwrap_or(key);
    TO_BROKERS.iter().any(|prefix| bare.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::connector;

    fn replaced(
        connector_text: &str,
        worker: &str,
        environment: &[(&str, &str)],
    ) -> crate::config::spec::ConnectorSpec {
        let services =
            Services { bootstrap_servers: "127.0.0.1:1".to_owned(), registry_url: "http://127.0.0.1:2".to_owned() };
        let text =
            format!("name=n\nconnection.url=jdbc:sqlite:/tmp/none.db\nmode=bulk\ntopic.prefix=p_\n{connector_text}");
        let mut document = Document::parse("c", &text).unwrap();
        let environment: BTreeMap<String, String> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let worker = Some(Document::parse("w", worker).unwrap());
        let mut around = Surroundings { worker, environment, strict: true, ..Surroundings::default() };
        services.replace(&mut document, &mut around);
        connector(document, around).unwrap_or_else(|report| panic!("{report}")).spec
    }

    #[test]
    fn brokers_and_registry_are_replaced_wherever_they_were_named() {
        let secured = "bootstrap.servers=far:9093\nsecurity.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n\
                       sasl.jaas.config=${file:/run/secrets/none:jaas}\nproducer.ssl.truststore.location=/none.pem\n";
        let avro = "value.converter=io.confluent.connect.avro.AvroConverter\n\
                    value.converter.schema.registry.url=https://far\nvalue.converter.basic.auth.user.info=a:b\n\
                    value.converter.enhanced.avro.schema.support=true\n";
        let variables = [("CONNECT_BOOTSTRAP_SERVERS", "farther:9092"), ("CONNECT_SSL_PROTOCOL", "TLS")];
        for (connector, worker) in [(avro, secured), ("", &*format!("{secured}{avro}")), ("", ""), (avro, "")] {
            let spec = replaced(connector, worker, &variables);
            assert_eq!(spec.kafka.bootstrap_servers, "127.0.0.1:1");
            assert_eq!(spec.value_converter.settings["schema.registry.url"], "http://127.0.0.1:2");
            assert!(!spec.value_converter.settings.contains_key("basic.auth.user.info"));
            let kept = connector.contains("enhanced") || worker.contains("enhanced");
            assert_eq!(spec.value_converter.settings.contains_key("enhanced.avro.schema.support"), kept);
        }
    }

    #[test]
    fn converters_without_a_registry_get_none() {
        let json = "value.converter=JsonConverter\nvalue.converter.schemas.enable=false\n\
                    key.converter=StringConverter\n";
        for (connector, worker) in [(json, ""), ("", json)] {
            let spec = replaced(connector, worker, &[]);
            assert!(!spec.value_converter.settings.contains_key("schema.registry.url"));
            assert!(!spec.key_converter.settings.contains_key("schema.registry.url"));
        }
        let keys = "key.converter=AvroConverter\nkey.converter.schema.registry.url=http://far\n";
        let spec = replaced(&format!("{keys}value.converter=JsonConverter"), "", &[]);
        assert_eq!(spec.key_converter.settings["schema.registry.url"], "http://127.0.0.1:2");
    }
}
