//! Settings that say how offsets are recognised as those of the server and the table that are read.

/// The identity of servers and tables: by what a server is recognised as the one the offsets belong to, and the
/// reaction to a table that begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentitySpec {
    /// `server.identity`.
    pub server: ServerIdentity,
    /// `table.recreated`.
    pub recreated: Recreated,
}

/// The servers that offsets belong to.
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

/// `table.recreated`: the treatment of a table that begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recreated {
    /// The table stops.
    Fail,
    /// The table is read from its beginning.
    Follow,
}
