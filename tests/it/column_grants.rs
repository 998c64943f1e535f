//! Accounts that may read some columns of a table only: it is read by them, if the configuration leaves out the others.

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, MySqlUser, Postgres, Role};
use crate::support::kafka::{Record, records};
use crate::support::process::{checked, once, run};

const MODES: [&str; 4] = ["bulk", "incrementing", "timestamp", "timestamp+incrementing"];
const TABLE: &str =
    "create table t (id bigint not null primary key, ts timestamp not null, name varchar(10), secret varchar(10));
    insert into t values (1, '2024-02-29 12:00:00', 'a', 'x'), (2, '2024-02-29 12:00:01', 'b', 'y'),
      (3, '2024-02-29 12:00:01', 'c', 'z')";

fn reading(database: &Any, user: &str, mode: &str) -> Connector {
    database.in_mode(mode).set("connection.user", user)
}

fn names(records: &[Record]) -> Vec<String> {
    let mut names: Vec<String> =
        records.iter().map(|record| record.field("name").as_str().expect("a name").into()).collect();
    names.sort();
    names
}

#[track_caller]
fn read_in_every_mode(database: &Any, user: &str, choice: (&str, &str)) {
    let connectors = MODES.map(|mode| reading(database, user, mode).set(choice.0, choice.1));
    for connector in &connectors {
        checked(connector).expect_code(0);
        once(connector).expect_code(0);
    }
    database.run("insert into t values (4, '2024-02-29 12:00:02', 'd', 'w')");
    for connector in &connectors {
        let of_bulk = connector.keys["mode"] == "bulk";
        once(connector).expect_code(0);
        let records = records(&connector.topic("t"));
        let expected: &[&str] = if of_bulk { &["a", "a", "b", "b", "c", "c", "d"] } else { &["a", "b", "c", "d"] };
        assert_eq!(names(&records), expected, "{} {}", database.name(), connector.keys["mode"]);
        assert!(records.iter().all(|record| !record.value.contains("secret")), "{}", database.name());
    }
}

#[test]
fn a_role_of_postgresql_reads_the_columns_it_is_granted_and_xmin_makes_it_exact() {
    let role = Role::new();
    let database = Any::Postgres(Postgres::new());
    database.run(TABLE);
    database.run(&format!("grant select (id, ts, name) on t to {}", role.0));
    // All columns are wanted: the error says which right or which setting is missing.
    let says = ["grant select (\"secret\") on the table", "table.public.t.columns.exclude=secret", "query=select"];
    checked(&reading(&database, &role.0, "incrementing")).expect_code(2).expect_says(&says);
    read_in_every_mode(&database, &role.0, ("table.t.columns.exclude", "secret"));
    let chosen = reading(&database, &role.0, "timestamp").set("table.t.columns.include", "id,ts,name");
    let file = chosen.file().display().to_string();
    let left_out = "left out      secret (character varying(10))";
    run(&["explain", &file]).expect_code(0).expect_says(&[left_out, "guard         exact (window)"]);
    database.run(&format!("grant select (xmin) on t to {}", role.0));
    run(&["explain", &file]).expect_code(0).expect_says(&["guard         exact (snapshot)"]);
    let exact = reading(&database, &role.0, "timestamp").set("table.t.columns.exclude", "secret");
    once(&exact).expect_code(0);
    assert_eq!(names(&records(&exact.topic("t"))), ["a", "b", "c", "d"]);
}

#[test]
fn a_key_of_which_a_part_is_not_granted_is_no_key() {
    let role = Role::new();
    let database = Any::Postgres(Postgres::new());
    database.run("create table t (id bigint, secret int, name text, primary key (id, secret)); insert into t values (1, 1, 'a'), (1, 2, 'b')");
    database.run(&format!("grant select (id, name) on t to {}", role.0));
    let keyed = || reading(&database, &role.0, "bulk").set("table.t.columns.exclude", "secret");
    let says = ["has no primary key, or not all of its columns are read"];
    checked(&keyed().set("key.mode", "primary_key")).expect_code(2).expect_says(&says);
    let keyless = keyed();
    once(&keyless).expect_code(0);
    assert_eq!(names(&records(&keyless.topic("t"))), ["a", "b"]);
}

#[test]
fn an_account_of_mysql_and_mariadb_reads_the_columns_it_is_granted_if_columns_are_chosen() {
    for kind in ["mysql", "mariadb"] {
        let user = MySqlUser::new(kind);
        let database = Any::MySql(kind, MySqlFamily::new(kind));
        database.run(TABLE);
        let table = database.full_name("t");
        database.run(&format!("grant select (id, ts, name) on {table} to {}", user.name));
        let says = [format!("table.{table}.columns.include=id,ts,name")];
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        checked(&reading(&database, &user.name, "incrementing")).expect_code(2).expect_says(&says);
        read_in_every_mode(&database, &user.name, ("table.t.columns.exclude", "secret"));
        let included = reading(&database, &user.name, "incrementing").set("table.t.columns.include", "id,name");
        once(&included).expect_code(0);
        assert_eq!(names(&records(&included.topic("t"))), ["a", "b", "c", "d"], "{kind}");
        // The catalog shows what it may show of the key: that is no proof that there is no more of it.
        let keyed = included.set("key.mode", "primary_key");
        checked(&keyed).expect_code(2).expect_says(&["no primary key, or not all of its columns are read"]);
    }
}
