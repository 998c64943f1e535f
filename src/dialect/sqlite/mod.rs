//! stub
use super::{Dialect, SourceConnection, SqlSyntax};
use crate::config::spec::SourceSpec;
use crate::error::Result;
use futures_util::future::BoxFuture;
/// Sqlite.
pub struct Sqlite;
impl Dialect for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }
    fn syntax(&self) -> &'static dyn SqlSyntax {
        unimplemented!()
    }
    fn connect<'a>(&'a self, _source: &'a SourceSpec) -> BoxFuture<'a, Result<Box<dyn SourceConnection>>> {
        unimplemented!()
    }
}
