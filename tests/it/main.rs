//! Every test that needs real services, in one binary: it links the C libraries once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod architecture;
mod cli;
mod dialects;
mod kafka;
mod modes;
mod support;
mod walkthrough;
