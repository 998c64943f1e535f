//! Against real services; their addresses come from the environment.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod dialects;
