//! rowtide polls relational tables into Kafka.
pub mod config;
pub mod convert;
pub mod dialect;
pub mod error;
pub mod kafka;
pub mod model;
pub mod offsets;
pub mod plan;
pub mod reader;
pub mod retry;
pub mod zone;
