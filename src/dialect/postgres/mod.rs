//! stub
use super::{Dialect, SourceConnection, SqlSyntax};
use crate::config::spec::SourceSpec;
use crate::error::Result;
use futures_util::future::BoxFuture;
/// Postgres.
pub struct Postgres;
impl Dialect for Postgres {
    fn name(&self) -> &'static str {
        "postgresql"
    }
    fn syntax(&self) -> &'static dyn SqlSyntax {
        unimplemented!()
    }
    fn connect<'a>(&'a self, _source: &'a SourceSpec) -> BoxFuture<'a, Result<Box<dyn SourceConnection>>> {
        unimplemented!()
    }
}
