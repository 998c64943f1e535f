//! Services for the quick start that nobody has to install: brokers, a schema registry and a database inside this
//! process, reachable by other clients on loopback. Also the substitutes of the tests. Never used by `run`; nothing
//! here is a server to keep data on.

pub mod brokers;
pub mod database;
pub mod demo;
pub mod late;
pub mod registry;

pub use brokers::Brokers;
pub use database::DemoDatabase;
pub use late::LateTable;
pub use registry::SchemaRegistry;
