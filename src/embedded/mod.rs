//! stub
pub mod brokers;
