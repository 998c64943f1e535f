//! How it is recognised that offsets still belong to what is read.

/// By what a server is recognised as the one the offsets belong to, and what is done about a table that begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentitySpec {
    /// `server.identity`.
    pub server: ServerIdentity,
    /// `table.recreated`.
    pub recreated: Recreated,
}

/// Which servers offsets belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerIdentity {
    /// The one server they were read from.
    #[default]
    Host,
    /// Every server of its replication cluster.
    Cluster,
    /// Any server.
    Off,
}

/// What is done about a table that begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recreated {
    /// The table stops.
    Fail,
    /// It is read from its beginning.
    Follow,
}
