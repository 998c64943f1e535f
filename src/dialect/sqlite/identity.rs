//! The server's identity: there is no server, only the version of the library. A file has no identity of its own.

use super::super::connection::ServerIdentity;
use super::session::Session;

impl ServerIdentity for Session {
    fn server(&self) -> &str {
        &self.server
    }
}
