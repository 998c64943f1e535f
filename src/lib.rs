//! rowtide polls relational tables into Kafka, exactly once.
//!
//! The flow: `cli` reads the command line and `config` the files; `connector` builds the parts and spawns one `task`
//! per group of tables. In a task the poll stage has `plan` write a page, `dialect` run it and `reader` encode its rows
//! with the encoders that `convert` bound, rows that commit late included (`guard`); the commit stage hands the batch
//! to `kafka` and its offset to `offsets`, in one transaction. `status` and `telemetry` say what happens, `http` shows
//! it.

#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod cli;
pub mod config;
pub mod connector;
pub mod convert;
pub mod dialect;
pub mod embedded;
pub mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod guard;
pub mod herder;
pub mod http;
pub mod kafka;
pub mod lock;
pub mod model;
pub mod near;
pub mod offsets;
pub mod plan;
pub mod reader;
pub mod retry;
pub mod setting;
pub mod sql;
pub mod status;
pub mod task;
pub mod telemetry;
pub mod tls;
pub mod transform;
pub mod zone;
