//! Every test that needs real services, in one binary: it links the C libraries once.

mod architecture;
mod dialects;
mod kafka;
mod modes;
mod support;
mod walkthrough;
