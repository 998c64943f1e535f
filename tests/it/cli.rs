//! The command line as a stranger meets it: the real binary, right and wrong, and what it answers.

mod bad_input;
mod check_and_explain;
mod docs;
mod embedded;
mod offsets;
mod reading;
mod speaking;

use std::path::PathBuf;

use crate::support::config::Connector;
use crate::support::db::Postgres;
use crate::support::process::{Finished, finish, rowtide, run};

/// A W1 table with so many rows, and its connector.
fn w1(rows: usize) -> (Postgres, Connector, String) {
    let database = Postgres::with_test_table();
    database.run(&format!(
        "insert into test_table (item, price, category) select 'item ' || n, n, 'c' from generate_series(1, {rows}) n"
    ));
    let connector = Connector::of_test_table(&database.jdbc_url());
    let file = path(connector.file());
    (database, connector, file)
}

fn path(file: PathBuf) -> String {
    file.display().to_string()
}

/// A port of this machine where nobody listens.
fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A file of a test's own.
fn text_file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    std::fs::write(&file, text).expect("write");
    let file = path(file);
    (folder, file)
}

/// `rowtide offsets COMMAND FILE ...` to its end.
fn offsets(command: &str, file: &str, more: &[&str]) -> Finished {
    finish(rowtide().args(["offsets", command, file]).args(more))
}

/// `rowtide run --once FILE`, which must succeed.
#[track_caller]
fn once(file: &str) {
    run(&["run", "--once", file]).expect_code(0);
}
