//! A kind of database: its name, its SQL, its types, and how a connection to it is opened.

use futures_util::future::BoxFuture;

use super::connection::SourceConnection;
use super::syntax::SqlSyntax;
use crate::config::spec::{SourceSpec, TypeSpec};
use crate::error::Result;
use crate::model::FieldType;

/// A kind of database.
pub trait Dialect: Send + Sync {
    /// `postgresql`, `sqlite`: the JDBC subprotocol, and the name in status and messages.
    fn name(&self) -> &'static str;

    /// The rules its SQL is written by.
    fn syntax(&self) -> &'static dyn SqlSyntax;

    /// The words of `table.types`, those of its JDBC driver.
    fn table_types(&self) -> Vec<&'static str>;

    /// Every type of the database with the field type it has under these settings: the table that columns are mapped
    /// by, for the reference page. The same rows in the same order whatever the settings.
    fn documented_types(&self, types: &TypeSpec) -> Vec<DocumentedType>;

    /// True if times of stored offsets depend on the zone of a session ([`crate::model::ColumnDefinition::seen_in`]).
    fn stores_times_of_sessions(&self) -> bool {
        false
    }

    /// Opens one connection, read-only where the database knows that.
    ///
    /// # Errors
    /// `Auth`, `Unreachable`, `Config` (a parameter that cannot be honoured).
    fn connect<'a>(&'a self, source: &'a SourceSpec) -> BoxFuture<'a, Result<Box<dyn SourceConnection>>>;
}

/// The mapping of a database type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentedType {
    /// The type as the database names it.
    pub name: String,
    /// The field type; none where the reference has no mapping, and `type.unsupported` decides.
    pub field: Option<FieldType>,
    /// True if the field is optional even if the column is NOT NULL.
    pub optional: bool,
    /// The difference from Kafka Connect's source, with its reason; empty where there is none.
    pub note: &'static str,
}
