//! The test house: where the services are, databases and names of a test's own, runs of the real binary,
//! reads of topics, and the one oracle for delivery. Isolation is by name, so all tests run in parallel.

pub mod any;
pub mod browser;
pub mod clocked;
pub mod config;
pub mod connect;
pub mod db;
pub mod golden;
pub mod http;
pub mod https;
pub mod kafka;
pub mod load;
pub mod oracle;
pub mod private;
pub mod process;
pub mod registry;
pub mod rest;
pub mod tls_files;
pub mod tls_proxy;
pub mod web;

use std::time::{Duration, Instant};

/// Addresses of the services, from the environment that `scripts/services env` prints. A missing one fails
/// the run: skipping in silence would prove nothing.
pub struct Stack {
    pub postgres: String,
    pub brokers: String,
    pub registry: String,
}

/// The address of one service.
pub fn address(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests with scripts/test"))
}

impl Stack {
    pub fn get() -> Self {
        Self {
            postgres: address("ROWTIDE_TEST_POSTGRES_URL"),
            brokers: address("ROWTIDE_TEST_BOOTSTRAP"),
            registry: address("ROWTIDE_TEST_REGISTRY_URL"),
        }
    }
}

/// The replicas of topics: on three brokers three, which `min.insync.replicas=2` makes count.
pub fn replication() -> usize {
    address("ROWTIDE_TEST_BOOTSTRAP").split(',').count().min(3)
}

/// A name nobody else has: the topic, connector, database and transactional id of one test hang on it.
pub fn unique(stem: &str) -> String {
    format!("{stem}_{:08x}", fastrand::u32(..))
}

/// Waits until `condition` gives a value. The wait is a condition with a deadline, never a sleep.
pub fn eventually<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The patience of most waits: generous, because a loaded machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(60);
