//! Proxies of toxiproxy between rowtide and each of the servers it talks to, and what can go wrong on the way.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use serde_json::json;

use super::rig::{Loaded, Rig};
use crate::support::config::Connector;
use crate::support::{Stack, address, unique, web};

/// The peer that rowtide talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Database,
    Registry,
    Broker,
}

impl Side {
    pub const ALL: [Side; 3] = [Side::Database, Side::Registry, Side::Broker];
}

/// The trouble on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Connections are reset.
    Reset,
    /// Connections are cut after some bytes: in the middle of a result.
    Cut,
    /// Answers come late.
    Late,
    /// It comes by drops.
    Slow,
    /// New connections are refused and old ones closed.
    Refused,
    /// Nothing comes back, and nobody says so.
    Stalled,
    /// Nothing arrives, and nobody says so.
    HalfOpen,
}

impl Trouble {
    pub const ALL: [Trouble; 7] = [
        Trouble::Reset,
        Trouble::Cut,
        Trouble::Late,
        Trouble::Slow,
        Trouble::Refused,
        Trouble::Stalled,
        Trouble::HalfOpen,
    ];
}

/// One proxy; gone with the test.
struct Proxy {
    api: String,
    name: String,
    /// The address it listens on.
    listen: String,
}

impl Proxy {
    fn new(listen: &str, upstream: &str) -> Self {
        let (api, name) = (address("ROWTIDE_TEST_TOXIPROXY_URL"), unique("proxy"));
        let body = json!({"name": name, "listen": listen, "upstream": upstream, "enabled": true});
        let made = web::post(&format!("{api}/proxies"), &body.to_string());
        assert_eq!(made.status, 201, "{}", made.body);
        let made: serde_json::Value = serde_json::from_str(&made.body).expect("JSON");
        let listen = made["listen"].as_str().expect("an address").to_owned();
        Self { api, name, listen }
    }

    fn breaks(&self, trouble: Trouble, rng: &mut Rng) {
        let (kind, stream, attributes) = match trouble {
            Trouble::Refused => return self.enable(false),
            Trouble::Reset => ("reset_peer", "downstream", json!({"timeout": 0})),
            Trouble::Cut => ("limit_data", "downstream", json!({"bytes": rng.u32(1..20_000)})),
            Trouble::Late => ("latency", "downstream", json!({"latency": 300, "jitter": 300})),
            Trouble::Slow => ("bandwidth", "downstream", json!({"rate": 2})),
            Trouble::Stalled => ("timeout", "downstream", json!({"timeout": 0})),
            Trouble::HalfOpen => ("timeout", "upstream", json!({"timeout": 0})),
        };
        let body = json!({"name": "trouble", "type": kind, "stream": stream, "attributes": attributes});
        let added = web::post(&format!("{}/proxies/{}/toxics", self.api, self.name), &body.to_string());
        assert_eq!(added.status, 200, "{}", added.body);
    }

    fn heal(&self) {
        web::delete(&format!("{}/proxies/{}/toxics/trouble", self.api, self.name));
        self.enable(true);
    }

    fn enable(&self, enabled: bool) {
        let changed =
            web::post(&format!("{}/proxies/{}", self.api, self.name), &json!({"enabled": enabled}).to_string());
        assert_eq!(changed.status, 200, "{}", changed.body);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        web::delete(&format!("{}/proxies/{}", self.api, self.name));
    }
}

/// There is one port that the broker advertises, so one test at a time has a proxy there.
static BROKER: Mutex<()> = Mutex::new(());

pub fn broker_turn() -> MutexGuard<'static, ()> {
    BROKER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The proxies of one connector.
pub struct Proxies {
    /// None for a file.
    database: Option<Proxy>,
    registry: Proxy,
    /// One for each, or none.
    brokers: Vec<Proxy>,
    _broker_turn: Option<MutexGuard<'static, ()>>,
}

/// `host:port` of a URL.
fn host_of(url: &str) -> &str {
    let (_, rest) = url.split_once("://").expect("a URL");
    rest.split(['/', '?']).next().expect("an address")
}

impl Proxies {
    /// A rig whose connector reaches the database and the registry through proxies, and the broker if asked for.
    pub fn with_rig<D: Loaded>(through_broker: bool, change: impl FnOnce(Connector) -> Connector) -> (Self, Rig<D>) {
        let (mut database, registry_url) = (None, Stack::get().registry);
        let registry = Proxy::new("127.0.0.1:0", host_of(&registry_url));
        let turn = through_broker.then(broker_turn);
        let proxied = through_broker.then(|| address("ROWTIDE_TEST_BOOTSTRAP_PROXIED"));
        let upstream = address("ROWTIDE_TEST_BOOTSTRAP_UPSTREAM");
        let ways = proxied.iter().flat_map(|proxied| proxied.split(',').zip(upstream.split(',')));
        let brokers = ways.map(|(listen, upstream)| Proxy::new(listen, upstream)).collect();
        let rig = Rig::new(|connector| {
            let url = connector.keys["connection.url"].clone();
            let mut connector = change(connector);
            if url.contains("://") {
                let proxy = database.insert(Proxy::new("127.0.0.1:0", host_of(&url)));
                connector = connector.set("connection.url", &url.replace(host_of(&url), &proxy.listen));
            }
            let connector = match proxied {
                Some(proxied) => connector.set("bootstrap.servers", &proxied),
                None => connector,
            };
            let registry = registry_url.replace(host_of(&registry_url), &registry.listen);
            ["key", "value"].into_iter().fold(connector, |connector, role| {
                connector.set(&format!("{role}.converter.schema.registry.url"), &registry)
            })
        });
        (Self { database, registry, brokers, _broker_turn: turn }, rig)
    }

    fn of(&self, side: Side) -> Vec<&Proxy> {
        match side {
            Side::Database => self.database.iter().collect(),
            Side::Registry => vec![&self.registry],
            Side::Broker => self.brokers.iter().collect(),
        }
    }

    /// True if there is a connection that can break.
    pub fn reaches(&self, side: Side) -> bool {
        !self.of(side).is_empty()
    }

    /// All ways to that side, or one of them.
    pub fn breaks(&self, side: Side, trouble: Trouble, rng: &mut Rng) {
        let mut proxies = self.of(side);
        if proxies.len() > 1 && rng.bool() {
            let one = rng.usize(..proxies.len());
            proxies = vec![proxies[one]];
        }
        assert!(!proxies.is_empty(), "no proxy of {side:?}");
        proxies.into_iter().for_each(|proxy| proxy.breaks(trouble, rng));
    }

    pub fn heal(&self, side: Side) {
        self.of(side).into_iter().for_each(Proxy::heal);
    }
}
