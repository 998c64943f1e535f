//! The databases. A folder per dialect behind [`Dialect`] and [`SourceConnection`]; sqlx and SQL error codes are known here
//! and nowhere else. A dialect reads: it never writes, never runs DDL, and holds no transaction between two calls.
//!
//! `kind` and `connection` hold the traits, `stream` the way of a row to its sink, `page` and `rows` the reading of a result,
//! `statement` the one place where text becomes SQL, `syntax` how SQL is written, `way` and `tunnel` connections over TLS,
//! `sessions` the policy by which a process opens them, `vigil` the watch over silent statements, `stranger` the recognition of other servers, `problem` and `redact` messages
//! without values, `calendar`, `decimal` and `instant` values that dialects share.
//!
//! To add one: a folder with the files of its siblings (CONTRIBUTING.md, "A dialect") and a line in [`DIALECTS`].

mod calendar;
mod connection;
mod decimal;
mod instant;
mod kind;
mod late_support;
pub mod mysql;
mod near;
mod page;
pub mod postgres;
mod problem;
mod redact;
mod replica;
mod rows;
pub mod sessions;
pub mod sqlite;
mod statement;
mod stranger;
mod stream;
pub mod syntax;
mod tunnel;
mod vigil;
mod way;

use crate::config::spec::SourceSpec;
use crate::error::{Error, Result};
pub use crate::model::{CursorFact, FactWeight};
pub use connection::{
    Catalog, ChangeTokens, Counted, PageSource, PastReads, PlanReport, ServerIdentity, SnapshotViews, SourceConnection,
    Transactions,
};
pub use kind::{Dialect, DocumentedType};
pub use late_support::{Ability, LateSupport};
pub use replica::ReplicaLag;
pub use stream::{DriverRow, Flow, Row, RowSink, RowStream, StreamEnd, Undeliverable};
pub use syntax::SqlSyntax;
pub use vigil::farewell::farewells;
pub use vigil::{Silence, Vigil};

/// Every dialect rowtide knows.
pub static DIALECTS: &[&dyn Dialect] =
    &[&postgres::Postgres, &mysql::MySql, &mysql::MariaDb, &mysql::TiDb, &sqlite::Sqlite];

/// The dialect of a source.
///
/// # Errors
/// `Config`, with the dialects that exist.
pub fn dialect_of(source: &SourceSpec) -> Result<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|dialect| dialect.name() == source.url.dialect).ok_or_else(|| {
        let known: Vec<_> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
        Error::config(format!("no dialect named {}; there are {}", source.url.dialect, known.join(", ")))
    })
}
