//! Against real services; their addresses come from the environment.

mod dialects;
