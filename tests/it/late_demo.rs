//! `rowtide quickstart --late-commits` on a real server, as a user with little privilege would see it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::support::db::{Postgres, Role};
use crate::support::process::{Finished, finish, rowtide, signal};

/// A database, and a role that may make tables in it.
fn place() -> (Role, Postgres) {
    let role = Role::new();
    let database = Postgres::new();
    database.run(&format!("grant create on schema public to {}", role.0));
    (role, database)
}

/// The command, without the server that the environment names.
fn demo(arguments: &[&str]) -> Command {
    let mut command = rowtide();
    command.args(["quickstart", "--late-commits"]).args(arguments).env_remove("ROWTIDE_TEST_POSTGRES_URL");
    command
}

fn demo_in(database: &Postgres, role: &Role) -> Command {
    demo(&["--url", &database.jdbc_url(), "--user", &role.0])
}

/// The two figures of a line of its table.
fn figures(finished: &Finished, what: &str) -> [u64; 2] {
    let line = finished.stdout.lines().find_map(|line| line.strip_prefix(what)).expect(what);
    let numbers = line.split_whitespace().map(|number| number.replace(',', "").parse().expect("a number"));
    numbers.collect::<Vec<u64>>().try_into().expect("two numbers")
}

fn assert_nothing_is_left(database: &Postgres) {
    assert_eq!(database.texts("select tablename::text from pg_tables where schemaname = 'public'"), [""; 0]);
}

#[test]
fn the_demonstration_loses_rows_without_the_guard_and_none_with_it() {
    let (role, database) = place();
    let finished = finish(&mut demo_in(&database, &role)).expect_code(0);
    let [of, same] = figures(&finished, "rows in the table");
    let [lost, lost_with_guard] = figures(&finished, "lost");
    let [delivered, delivered_with_guard] = figures(&finished, "delivered");
    let [late, _] = figures(&finished, "of these late");
    assert!(of > 100 && of == same, "{}", finished.stdout);
    // One is lost for certain: it is made to be.
    assert!(0 < lost && lost <= late, "{}", finished.stdout);
    assert_eq!((lost_with_guard, delivered_with_guard, delivered), (0, of, of - lost), "{}", finished.stdout);
    assert_eq!(figures(&finished, "repeated"), [0, 0]);
    finished.expect_says(&[" s left: ", "rowtide explain connector.json", "docs/guarantees.md"]);
    assert_nothing_is_left(&database);
}

#[test]
fn an_interrupted_demonstration_leaves_no_table_and_is_no_success() {
    let (role, database) = place();
    let mut child = demo_in(&database, &role).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    while !lines.next().expect("it goes on").expect("text").contains("applications for") {}
    assert_eq!(database.texts("select tablename::text from pg_tables where schemaname = 'public'").len(), 1);
    signal(child.id(), "INT");
    let code = child.wait().expect("wait").code();
    let mut stderr = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("text");
    assert_eq!(code, Some(130), "{stderr}");
    assert!(!stderr.contains("error"), "{stderr}");
    assert_nothing_is_left(&database);
}

#[test]
fn a_server_where_it_cannot_be_shown_is_refused_with_the_reason() {
    let role = Role::new();
    let database = Postgres::new();
    let url = database.url();
    let (url, name) = (url.as_str(), role.0.as_str());
    let jdbc = database.jdbc_url();
    for (arguments, code, says) in [
        (&[][..], 2, &["needs a PostgreSQL server", "--url postgres://"][..]),
        (&["--url", "here"], 2, &["connection.url: is not a URL"]),
        (&["--url", "jdbc:sqlite:/tmp/x.db"], 2, &["shown on PostgreSQL", "sqlite:"]),
        (&["--url", "postgres://127.0.0.1:1/x"], 3, &["cannot connect to the database (host 127.0.0.1:1)"]),
        (&["--url", &format!("{url}_gone")], 2, &["does not exist", "name an existing database"]),
        (&["--url", &jdbc, "--user", "nobody_knows"], 2, &["refused the credentials", "connection.user"]),
        (
            &["--url", url, "--password", "${env:ROWTIDE_NO_SUCH_VARIABLE}"],
            2,
            &["connection.password", "the environment variable is not set"],
        ),
        (&["--url", &jdbc, "--user", name], 2, &["the role may not create a table", "grant create on schema"]),
        (&["--url", url, "--keep"], 2, &["--keep"]),
    ] {
        let finished = finish(&mut demo(arguments));
        assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:?}");
        finished.expect_says(says);
    }
    assert_nothing_is_left(&database);
}
