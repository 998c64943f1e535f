//! Tests against real services.
mod kafka;
