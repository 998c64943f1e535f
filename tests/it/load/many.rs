//! A thousand tables of one database, loaded and polled through the ten sessions that a process has unless it is told
//! otherwise. The server gives the account no more than those.

use super::LISTEN;
use crate::support::config::Connector;
use crate::support::db::{Postgres, Role};
use crate::support::http::{get_json, metric};
use crate::support::kafka::read_topic;
use crate::support::process::Running;
use crate::support::{PATIENCE, eventually};

const TABLES: usize = 1_000;

fn for_each_table(statement: &str) -> String {
    format!("do $$ begin for n in 1..{TABLES} loop execute format('{statement}', n); end loop; end $$")
}

/// All tables into one topic, by more tasks than there are sessions.
fn connector(database: &Postgres, role: &Role) -> Connector {
    let route = [("type", "org.apache.kafka.connect.transforms.RegexRouter"), ("regex", ".*"), ("replacement", "")];
    let mut connector = Connector::new(&database.jdbc_url())
        .alone()
        .set("connection.user", &role.0)
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("tasks.max", "20")
        .set("poll.interval.ms", "5000")
        .set("value.converter", "org.apache.kafka.connect.json.JsonConverter")
        .set("value.converter.schemas.enable", "false")
        .set("transforms", "one");
    let topic = connector.topic("all");
    for (key, value) in route {
        let value = if key == "replacement" { &topic } else { value };
        connector = connector.set(&format!("transforms.one.{key}"), value);
    }
    connector
}

/// The number of tables, and of the rows of all.
fn progress(address: &str) -> (usize, u64) {
    let (_, status) = get_json(address, "/status");
    let tables = status["connectors"][0]["tables"].as_array().cloned().unwrap_or_default();
    (tables.len(), tables.iter().filter_map(|table| table["rows"].as_u64()).sum())
}

#[test]
fn a_thousand_tables_are_loaded_and_polled_through_ten_sessions() {
    let (role, database) = (Role::new(), Postgres::new());
    database.run(&for_each_table("create table t%s (id serial primary key, item text)"));
    database.run(&for_each_table("insert into t%s (item) values (''first''), (''second'')"));
    database.run(&format!(
        "grant select on all tables in schema public to {role}; grant select on all sequences in schema public to {role};
         alter role {role} connection limit 10",
        role = role.0
    ));
    let connector = connector(&database, &role);
    let mut running = Running::start(&connector.file(), LISTEN);
    let address = running.address();
    let sessions = format!("select count(*)::text from pg_stat_activity where usename = '{}'", role.0);
    let mut most = 0;
    for rows in [2, 3] {
        eventually(&format!("{rows} rows of each table"), PATIENCE * 5, || {
            most = most.max(database.texts(&sessions)[0].parse::<usize>().expect("a number"));
            (progress(&address) == (TABLES, (TABLES * rows) as u64)).then_some(())
        });
        database.run(&for_each_table("insert into t%s (item) values (''third'')"));
    }
    assert_eq!(most, 10, "all sessions are used, and no more");
    assert_eq!(metric(&address, "rowtide_errors_total", &[]), 0.0, "{}", running.log());
    eventually("each row is in the topic", PATIENCE, || {
        (read_topic(&connector.topic("all")).len() == 4 * TABLES).then_some(())
    });
    assert_eq!(running.terminate(), Some(0));
}
