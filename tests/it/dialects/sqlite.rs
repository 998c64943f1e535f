//! SQLite: a place is a file.

use std::collections::BTreeMap;
use std::path::Path;

use rowtide::config::spec::SourceUrl;
use rowtide::model::TableId;

use super::place::{Database, Server};
use crate::support::db::run_on_sqlite;

pub(super) struct Sqlite;

impl Database for Sqlite {
    fn dialect(&self) -> &'static str {
        "sqlite"
    }

    fn make(&self, _: &str, folder: &Path) -> (SourceUrl, Option<String>) {
        let path = folder.join("a.db");
        run_on_sqlite(&path, "select 1");
        let url = SourceUrl {
            dialect: self.dialect().to_owned(),
            hosts: vec![],
            database: Some(path.display().to_string()),
            parameters: BTreeMap::new(),
        };
        (url, None)
    }

    fn run(&self, _: &str, folder: &Path, sql: &str) {
        run_on_sqlite(&folder.join("a.db"), sql);
    }

    fn drop(&self, _: &str) {}

    fn table(&self, _: &str, table: &str) -> TableId {
        TableId { catalog: None, schema: None, name: table.to_owned() }
    }

    fn time(&self, _: u8) -> String {
        "datetime".to_owned()
    }

    fn auto_increment(&self) -> &'static str {
        "integer primary key"
    }

    fn widen(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn repeat(&self, text: &str, times: usize) -> String {
        format!("replace(hex(zeroblob({times})), '00', '{text}')")
    }

    fn analyze(&self, table: &str) -> String {
        format!("analyze {table}")
    }

    fn strange_server(&self) -> (String, u16) {
        unreachable!("a file has no address")
    }

    fn server(&self) -> Option<&dyn Server> {
        None
    }

    fn unknown_type_lists_everything(&self) -> bool {
        true
    }

    fn key_is_optional(&self) -> bool {
        true
    }
}
