//! The servers of the family, and the differences of their sessions.

use crate::model::drivers::{DriverParameters, Maker};

/// The servers of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    MySql,
    MariaDb,
    TiDb,
}

impl Server {
    pub(super) fn product(self) -> &'static str {
        match self {
            Server::MySql => "MySQL",
            Server::MariaDb => "MariaDB",
            Server::TiDb => "TiDB",
        }
    }
}

/// The differences in types that come from parameters of the URL and from the driver it is meant for.
#[derive(Debug, Clone)]
pub(super) struct Quirks {
    /// The maker of the driver that the URL is for.
    pub(super) maker: Maker,
    /// Parameters of the URL by which drivers differ.
    pub(super) parameters: DriverParameters,
    /// True if drivers see a digit more in an unsigned decimal of TiDB.
    pub(super) unsigned_decimals_are_wider: bool,
    /// `yearIsDateType`, true by default.
    pub(super) year_is_date: bool,
    /// `blobsAreStrings`.
    pub(super) blobs_are_strings: bool,
    /// True if TiDB's vectors have a text form only.
    pub(super) vectors_are_text: bool,
}
