//! rowtide polls relational tables into Kafka.
pub mod cli;
pub mod config;
pub mod convert;
pub mod dialect;
pub mod embedded;
pub mod error;
pub mod http;
pub mod kafka;
pub mod model;
pub mod offsets;
pub mod plan;
pub mod reader;
pub mod retry;
pub mod status;
pub mod telemetry;
pub mod zone;
