//! Failovers: with `server.identity=cluster` a promoted replica is the same server, and a stranger is none.

use serde_json::Value as Json;

use super::{fields, once};
use crate::support::config::Connector;
use crate::support::db::{Postgres, Server};
use crate::support::kafka::{records, wait_for_records};
use crate::support::private::Private;
use crate::support::process::Running;
use crate::support::{PATIENCE, eventually};

/// Two servers, the second of which replicates the first.
pub(crate) struct Pair {
    kind: &'static str,
    pub(crate) first: Private,
    pub(crate) second: Private,
}

impl Pair {
    pub(crate) fn start(kind: &'static str) -> Self {
        let pair = Self { kind, first: replicated(kind, 1), second: replicated(kind, 2) };
        pair.run(&pair.first, "create database shop");
        pair.follow();
        pair
    }

    pub(crate) fn run(&self, server: &Private, sql: &str) {
        Server::MySql(self.url(server)).run(sql);
    }

    pub(crate) fn url(&self, server: &Private) -> String {
        server.address(&format!("ROWTIDE_TEST_{}_URL", self.kind.to_uppercase()))
    }

    pub(crate) fn jdbc_url(&self, server: &Private) -> String {
        let url = self.url(server);
        let (_, address) = url.rsplit_once('@').expect("a user");
        format!("jdbc:{}://{}/shop", self.kind, address.trim_end_matches('/'))
    }

    fn port(&self, server: &Private) -> String {
        let url = self.url(server);
        url.trim_end_matches('/').rsplit_once(':').expect("a port").1.to_owned()
    }

    fn follow(&self) {
        let port = self.port(&self.first);
        let follow = match self.kind {
            "mysql" => format!(
                "change replication source to source_host = '127.0.0.1', source_port = {port}, source_user = 'root',
                   source_auto_position = 1, get_source_public_key = 1;
                 start replica"
            ),
            _ => format!(
                "change master to master_host = '127.0.0.1', master_port = {port}, master_user = 'root',
                   master_use_gtid = slave_pos;
                 start slave"
            ),
        };
        self.run(&self.second, &follow);
    }

    /// Waits until the second has what the first has, and makes it a server of its own.
    fn promote(&self, rows: usize) {
        let second = Server::MySql(format!("{}/shop", self.url(&self.second).trim_end_matches('/')));
        eventually("the replica has caught up", PATIENCE, || {
            let tables =
                second.texts("select cast(count(*) as char) from information_schema.tables where table_name = 't'");
            let count = || second.texts("select cast(count(*) as char) from t").remove(0);
            (tables[0] != "0" && count() == rows.to_string()).then_some(())
        });
        let stop = if self.kind == "mysql" { "stop replica; reset replica all" } else { "stop slave; reset slave all" };
        self.run(&self.second, stop);
    }
}

/// A private server with a binary log.
fn replicated(kind: &'static str, id: u32) -> Private {
    let gtids = match kind {
        "mysql" => "gtid_mode = ON\nenforce_gtid_consistency = ON\n",
        _ => "log_slave_updates = ON\n",
    };
    Private::start_with(kind, &format!("log_bin = binlog\nserver_id = {id}\n{gtids}"))
}

const TABLE: &str = "use shop; create table t (id int primary key auto_increment, v varchar(20)); \
                     insert into t (v) values ('a'), ('b'), ('c')";

fn polled(url: &str, by: &str) -> Connector {
    Connector::new(url).alone().set("mode", "incrementing").set("table.whitelist", "t").set("server.identity", by)
}

fn ids(connector: &Connector) -> Vec<Json> {
    fields(connector, "t", "id")
}

fn a_promoted_replica_is_gone_on_with(kind: &'static str) {
    let pair = Pair::start(kind);
    pair.run(&pair.first, TABLE);
    let (first, second) = (pair.jdbc_url(&pair.first), pair.jdbc_url(&pair.second));
    let connector = polled(&first, "cluster");
    once(&connector, &[]).expect_code(0);
    pair.promote(3);
    pair.run(&pair.second, "insert into shop.t (v) values ('d')");
    let by_host = connector.set("connection.url", &second).set("server.identity", "host");
    once(&by_host, &[]).expect_code(4).expect_says(&["foreign server", "--accept-server"]);
    let connector = by_host.set("server.identity", "cluster");
    once(&connector, &[]).expect_code(0);
    assert_eq!(ids(&connector), super::ids(1..=4));
    // Failing back, although the first has not followed the second: it was read before.
    pair.run(&pair.first, "insert into shop.t (v) values ('d')");
    let connector = connector.set("connection.url", &first);
    once(&connector, &[]).expect_code(0);

    let stranger = replicated(kind, 1);
    pair.run(&stranger, &format!("create database shop; {TABLE}; insert into t (v) values ('x'), ('y')"));
    let connector = connector.set("connection.url", &pair.jdbc_url(&stranger));
    once(&connector, &[]).expect_code(4).expect_says(&["foreign server", "GTIDs"]);
    assert_eq!(records(&connector.topic("t")).len(), 4);
    let connector = connector.set("server.identity", "off").set("table.recreated", "follow");
    once(&connector, &[]).expect_code(0);
}

#[test]
fn a_promoted_replica_of_mysql_is_gone_on_with_and_a_stranger_is_refused() {
    a_promoted_replica_is_gone_on_with("mysql");
}

#[test]
fn a_promoted_replica_of_mariadb_is_gone_on_with_and_a_stranger_is_refused() {
    a_promoted_replica_is_gone_on_with("mariadb");
}

#[test]
fn a_failover_to_the_next_host_of_the_url_is_followed_while_it_runs() {
    let pair = Pair::start("mysql");
    pair.run(&pair.first, TABLE);
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", pair.port(&pair.first), pair.port(&pair.second));
    let connector = polled(&format!("jdbc:mysql://{hosts}/shop"), "cluster");
    let mut running = Running::start(&connector.file(), &[]);
    wait_for_records(&connector.topic("t"), 3);
    pair.promote(3);
    let Pair { first, second, kind } = pair;
    drop(first);
    let url = second.address(&format!("ROWTIDE_TEST_{}_URL", kind.to_uppercase()));
    Server::MySql(url).run("insert into shop.t (v) values ('d')");
    wait_for_records(&connector.topic("t"), 4);
    assert_eq!(ids(&connector), super::ids(1..=4));
    assert!(running.is_alive(), "{}", running.log());
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn with_server_identity_off_any_server_is_read_and_none_is_remembered() {
    let (one, other) = (Postgres::new(), Postgres::new());
    for database in [&one, &other] {
        database.run("create table t (id serial primary key, v text); insert into t (v) values ('a'), ('b')");
    }
    let connector = polled(&one.jdbc_url(), "off");
    once(&connector, &[]).expect_code(0);
    other.run("insert into t (v) values ('c')");
    let connector = connector.set("connection.url", &other.jdbc_url());
    once(&connector, &[]).expect_code(0);
    assert_eq!(ids(&connector), super::ids(1..=3));
    let key = format!(r#"["{}",{{"rowtide":"server"}}]"#, connector.name);
    let offsets = crate::support::kafka::read_topic(&connector.keys["offset.storage.topic"]);
    assert!(!offsets.iter().any(|record| record.key.as_deref() == Some(key.as_bytes())));
}
