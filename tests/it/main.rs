//! Every test that needs real services, in one binary: it links the C libraries once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, unreachable_pub, missing_docs)]

mod architecture;
mod brokers;
mod cli;
mod cursors;
mod dialects;
mod exactly_once;
mod failures;
mod faults;
mod formats;
mod guard;
mod kafka;
mod late_demo;
mod lifecycle;
mod modes;
mod moves;
mod mysql_family;
mod recreated;
mod rows;
mod schema_change;
mod schemas;
mod servers;
mod sql;
mod standalone;
mod statements;
mod support;
mod tail;
mod ties;
mod tls_files;
mod type_settings;
mod types;
mod walkthrough;
mod whole;
