//! Tests against real services.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod kafka;
