//! The settings of a process that hosts connectors: the listeners of REST and their authentication, and the topic of the
//! connectors made by it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::{KafkaSpec, Secret};

/// A process that takes connectors by REST.
#[derive(Debug, Clone)]
pub struct HostSpec {
    /// The brokers.
    pub kafka: KafkaSpec,
    /// `config.storage.*`.
    pub configs: ConfigTopicSpec,
    /// `listeners`, `rest.*`.
    pub rest: RestSpec,
    /// Defaults that differ from Connect's.
    pub notes: Vec<String>,
}

/// The topic of connector configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigTopicSpec {
    /// `config.storage.topic`.
    pub topic: String,
    /// `config.storage.replication.factor`; -1 is the broker's default.
    pub replication: i32,
    /// `internal.topics.automatic.creation.enable`.
    pub automatic_creation: bool,
    /// Other `config.storage.*` settings, passed to the topic.
    pub settings: BTreeMap<String, String>,
}

/// The listeners of REST, and their authentication.
#[derive(Clone, Default)]
pub struct RestSpec {
    /// `listeners`; empty if the key is not there.
    pub listeners: Vec<ListenerSpec>,
    /// `rest.advertised.host.name`.
    pub advertised_host: Option<String>,
    /// `rest.advertised.port`.
    pub advertised_port: Option<u16>,
    /// `listeners.https.ssl.*` without `listeners.https.`; else the `ssl.*` of the worker.
    pub ssl: BTreeMap<String, String>,
    /// `ssl.client.auth` among them.
    pub client_auth: ClientAuth,
    /// `rest.auth.basic.USER`: users with their passwords.
    pub users: BTreeMap<String, Secret>,
    /// `rest.auth.bearer.NAME`: tokens by the names of those who have them.
    pub tokens: BTreeMap<String, Secret>,
    /// `rest.hide.secrets`; none: where a listener is not loopback.
    pub hide_secrets: Option<bool>,
    /// `admin.listeners` is empty: no `/admin`.
    pub without_admin: bool,
    /// `admin.listeners`; empty: `/admin` is where REST is, or nowhere.
    pub admin_listeners: Vec<ListenerSpec>,
    /// `admin.listeners.https.ssl.*`, else the same as [`RestSpec::ssl`].
    pub admin_ssl: BTreeMap<String, String>,
    /// `access.control.*`.
    pub cors: CorsSpec,
    /// `ui.samples`: values of rows may be shown.
    pub has_samples: bool,
}

/// The origins whose scripts may ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CorsSpec {
    /// `access.control.allow.origin`; empty: none.
    pub origins: Vec<String>,
    /// `access.control.allow.methods`; empty: those of a simple request.
    pub methods: Vec<String>,
}

/// One of `listeners`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// `https`.
    pub tls: bool,
    /// A name or an address; empty: all addresses.
    pub host: String,
    /// The port; 0: one that is free.
    pub port: u16,
}

/// `ssl.client.auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    None,
    /// One is asked for, and judged if it is shown.
    Requested,
    /// Without one nobody enters.
    Required,
}

impl RestSpec {
    /// True if a client has to authenticate itself.
    pub fn has_auth(&self) -> bool {
        !self.users.is_empty() || !self.tokens.is_empty() || self.client_auth == ClientAuth::Required
    }
}

impl ListenerSpec {
    /// True if only processes of this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// `host:port`, to bind to.
    pub fn address(&self) -> String {
        let host = if self.host.is_empty() { "0.0.0.0" } else { &self.host };
        format!("{host}:{}", self.port)
    }
}

impl fmt::Debug for RestSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestSpec")
            .field("listeners", &self.listeners)
            .field("users", &self.users.keys().collect::<Vec<_>>())
            .field("tokens", &self.tokens.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
