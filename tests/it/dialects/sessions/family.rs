//! Variables of MySQL, MariaDB and TiDB that a server gives its sessions, each on a server of the test's own.

use std::collections::{BTreeMap, BTreeSet};

use rowtide::config::spec::Secret;
use rowtide::error::ErrorKind;
use rowtide::model::{Mode, Relation, TableId};

use super::{Administrator, Reader, Setting, assert_expected, culprits};
use crate::support::db::{Held, Server};
use crate::support::private::Private;

const FAMILY: &str = "
    create table t (id int primary key auto_increment, s varchar(20), n decimal(10,2), f double, r float, c char(6), e enum('sad', 'ok'),
      st set('a', 'b'), b varbinary(9), bl blob, tx text, d date, ti time(3), ts timestamp(6) not null default current_timestamp(6),
      w datetime(6), y year, u bigint unsigned, bi bit(10), j json, index (ts));
    insert into t (s, n, f, r, c, e, st, b, bl, tx, d, ti, ts, w, y, u, bi, j)
      select concat('row ', g, ' \\\\ '), g / 3.0, g / 3.0, g / 7.0, concat('c', g), 'ok', 'a,b', x'00ff5c', 'blob', repeat('x', 3000),
        '2024-02-28', '01:02:03.456', timestamp('2024-02-28 01:02:03.000001') + interval floor(g / 2) day,
        '2024-02-28 01:02:03.123456', 2024, 9223372036854775807, b'1010101010', '{\"a\": 1}'
      from (select 1 as g union all select 2 union all select 3 union all select 4 union all select 5 union all select 6
        union all select 7 union all select 8 union all select 9 union all select 10 union all select 11 union all select 12
        union all select 13) as g;
    create table by_text (k varchar(200) character set utf8mb4 collate utf8mb4_bin primary key, v char(9));
    insert into by_text select concat(repeat('k', 100), id), 'x' from t;
    create table keyless (ts timestamp(6) null, v varchar(20), c char(5));
    insert into keyless select ts, s, c from t;
    create view v as select id, ts, s, c, n * 2 as n2, concat(s, c) as sc from t;";

/// A server of the family for the test alone, and an account that may only read.
struct OfServer {
    server: Server,
    settings_of_sessions: BTreeSet<String>,
    defaults: BTreeMap<String, String>,
}

impl OfServer {
    fn new(private: &Private, kind: &str) -> (Self, String) {
        let url = private.address(&format!("ROWTIDE_TEST_{}_URL", kind.to_uppercase()));
        let url = url.replacen("mariadb:", "mysql:", 1).replacen("tidb:", "mysql:", 1);
        let server = Server::MySql(url.clone());
        server.run("create database place character set utf8mb4; create user plain; grant select on place.* to plain");
        Server::MySql(format!("{url}place")).run(FAMILY);
        (Self { server, settings_of_sessions: BTreeSet::new(), defaults: BTreeMap::new() }, format!("{url}place"))
    }

    /// Other values of everything that can be set for sessions, by whoever logs in or by the administrator.
    fn candidates(&mut self, url: &str) -> Vec<Setting> {
        let rows = self.server.pairs("show session variables");
        self.defaults = self.server.pairs("show global variables").into_iter().collect();
        let as_plain = Server::MySql(url.replacen("root", "plain", 1));
        let (mut plain, mut administrator) = (Held::on(as_plain), Held::on(self.server.clone()));
        // Only what is a setting of sessions; some of them are not everybody's.
        let mut privileged = Held::on(self.server.clone());
        let mut candidates = Vec::new();
        for (name, value) in rows {
            for other in others(&name, &value) {
                if plain.tries(&format!("set session {name} = {other}")) {
                    self.settings_of_sessions.insert(name.clone());
                } else if !self.settings_of_sessions.contains(&name)
                    && self.defaults.contains_key(&name)
                    && privileged.tries(&format!("set session {name} = {other}"))
                    && administrator.tries(&format!("set global {name} = {other}"))
                {
                    let back = literal(&self.defaults[&name]);
                    administrator.run(&format!("set global {name} = {back}"));
                } else {
                    continue;
                }
                candidates.push((name.clone(), other));
            }
        }
        candidates
    }
}

impl Administrator for OfServer {
    fn set(&self, settings: &[Setting]) {
        let (of_sessions, of_server): (Vec<&Setting>, Vec<&Setting>) =
            settings.iter().partition(|(name, _)| self.settings_of_sessions.contains(name));
        let set: Vec<String> = of_sessions.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let mut sql: String = of_server.iter().map(|(name, value)| format!("set global {name} = {value};")).collect();
        if !set.is_empty() {
            sql += &format!(
                "set global init_connect = 'set {}';",
                set.join(", ").replace('\\', "\\\\").replace('\'', "''")
            );
        }
        self.server.run(&sql);
    }

    fn reset(&self, settings: &[Setting]) {
        let mut sql = "set global init_connect = '';".to_owned();
        for (name, _) in settings.iter().filter(|(name, _)| !self.settings_of_sessions.contains(name)) {
            sql += &format!("set global {name} = {};", literal(&self.defaults[name]));
        }
        self.server.run(&sql);
    }
}

fn literal(value: &str) -> String {
    if value.parse::<f64>().is_ok() { value.to_owned() } else { format!("'{value}'") }
}

/// Other values of a variable, as SQL.
fn others(name: &str, value: &str) -> Vec<String> {
    let given: &[&str] = match name {
        "sql_mode" => &[
            "'PAD_CHAR_TO_FULL_LENGTH'",
            "'ANSI_QUOTES'",
            "'PIPES_AS_CONCAT'",
            "'NO_BACKSLASH_ESCAPES'",
            "'HIGH_NOT_PRECEDENCE'",
            "'IGNORE_SPACE'",
            "'ANSI'",
            "'TRADITIONAL'",
            "'REAL_AS_FLOAT'",
            "'NO_UNSIGNED_SUBTRACTION'",
            "'ORACLE'",
            "'MSSQL'",
            "'DB2'",
            "'EMPTY_STRING_IS_NULL'",
            "'TIME_TRUNCATE_FRACTIONAL'",
            "'ONLY_FULL_GROUP_BY'",
            "'ALLOW_INVALID_DATES'",
            "''",
        ],
        "time_zone" => &["'+05:00'", "'-08:00'", "'America/New_York'"],
        "timestamp" => &["1", "1700000000"],
        "tidb_snapshot" => &["date_sub(now(), interval 1 second)"],
        "tidb_read_staleness" => &["-5"],
        "system_versioning_asof" => &["'2020-01-01 00:00:00'"],
        "lc_time_names" | "lc_messages" => &["'de_DE'"],
        "character_set_results" | "character_set_client" | "character_set_connection" => &["latin1", "utf8mb3"],
        "collation_connection" => &["latin1_swedish_ci", "utf8mb4_bin"],
        "transaction_isolation" | "tx_isolation" => {
            &["'READ-UNCOMMITTED'", "'READ-COMMITTED'", "'SERIALIZABLE'", "'REPEATABLE-READ'"]
        }
        "tidb_replica_read" => &["'follower'", "'leader-and-follower'", "'closest-replicas'"],
        _ if value == "ON" => &["0"],
        _ if value == "OFF" => &["1"],
        _ if value.parse::<f64>().is_ok() => &["0", "1", "100"],
        _ => &["0", "1", "2", "3", "''"],
    };
    given.iter().filter(|other| **other != value).map(|other| (*other).to_owned()).collect()
}

async fn no_variable_changes_what_is_read(kind: &'static str, expected: &[(&str, &str)]) {
    let private = Private::start(kind);
    let (mut administrator, url) = OfServer::new(&private, kind);
    let place = TableId { catalog: Some("place".to_owned()), schema: None, name: String::new() };
    let reader = Reader::new(kind, &url, place, "plain");
    let default = reader.records().await.unwrap();
    let candidates = administrator.candidates(&url);
    let names: BTreeSet<&str> = candidates.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.len() > 100 && names.contains("autocommit") && names.contains("sql_select_limit"), "{names:?}");
    let found = culprits(&reader, &administrator, &candidates, &default).await;
    assert_expected(&found, expected);
    if kind == "mariadb" {
        an_account_with_another_plugin_is_told_so(reader, &administrator).await;
    }
}

/// An account of MariaDB as its manual recommends it.
async fn an_account_with_another_plugin_is_told_so(mut reader: Reader, administrator: &OfServer) {
    administrator.server.run(
        "install soname 'auth_ed25519'; create user modern identified via ed25519 using password('a-secret');
         grant select on place.* to modern",
    );
    reader.source.user = Some("modern".to_owned());
    reader.source.password = Some(Secret::new("a-secret".to_owned()));
    let error = reader.connect().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
    assert!(error.report().contains("client_ed25519"), "{}", error.report());
    assert!(error.advice().contains("mysql_native_password"), "{}", error.advice());
}

/// `autocommit=0` is the manual's own example of `init_connect`: a poll sees what is new, and locks nothing.
async fn nothing_stays_open_or_is_left_out(kind: &'static str) {
    let private = Private::start(kind);
    let (mut administrator, url) = OfServer::new(&private, kind);
    let place = TableId { catalog: Some("place".to_owned()), schema: None, name: String::new() };
    let reader = Reader::new(kind, &url, place, "plain");
    let server = Server::MySql(url.clone());
    let mut plain = Held::on(Server::MySql(url.replacen("root", "plain", 1)));
    let sessions: Vec<Setting> = [
        ("autocommit", "0"),
        ("completion_type", "1"),
        ("sql_select_limit", "3"),
        ("wait_timeout", "1"),
        ("transaction_isolation", "'SERIALIZABLE'"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
    .filter(|(name, value)| plain.tries(&format!("set session {name} = {value}")))
    .collect();
    assert!(sessions.len() >= 3, "{sessions:?}");
    administrator.settings_of_sessions = sessions.iter().map(|(name, _)| name.clone()).collect();
    administrator.set(&sessions);
    let mut connection = reader.connect().await.unwrap();
    let patience = Relation::Query("select cast(@@session.wait_timeout as char(9)) as w".to_owned());
    let patience = reader.read(&mut *connection, patience, &Mode::Bulk).await.unwrap();
    assert!(patience.contains("28800"), "{patience}");
    let mut rows = 0;
    for round in 0..3 {
        let text = reader.read(&mut *connection, reader.table("keyless"), &Mode::Bulk).await.unwrap();
        let found = text.lines().count() - 1;
        assert_eq!(found, if round == 0 { 13 } else { rows + 1 }, "in round {round}");
        rows = found;
        connection.open_transactions().await.unwrap();
        server.run(&format!(
            "insert into keyless (ts, v, c) values (now(), 'new', 'n'); alter table keyless add column c{round} int"
        ));
    }
}

#[tokio::test]
async fn nothing_stays_open_or_is_left_out_whatever_sessions_begin_with_on_mysql() {
    nothing_stays_open_or_is_left_out("mysql").await;
}

#[tokio::test]
async fn nothing_stays_open_or_is_left_out_whatever_sessions_begin_with_on_mariadb() {
    nothing_stays_open_or_is_left_out("mariadb").await;
}

#[tokio::test]
async fn nothing_stays_open_or_is_left_out_whatever_sessions_begin_with_on_tidb() {
    nothing_stays_open_or_is_left_out("tidb").await;
}

#[tokio::test]
#[ignore = "every variable, one by one: minutes; scripts/test --long"]
async fn no_variable_changes_what_is_read_on_mysql() {
    no_variable_changes_what_is_read("mysql", MYSQL_FAILS).await;
}

#[tokio::test]
#[ignore = "every variable, one by one: minutes; scripts/test --long"]
async fn no_variable_changes_what_is_read_on_mariadb() {
    no_variable_changes_what_is_read("mariadb", MARIADB_FAILS).await;
}

#[tokio::test]
#[ignore = "every variable, one by one: minutes; scripts/test --long"]
async fn no_variable_changes_what_is_read_on_tidb() {
    no_variable_changes_what_is_read("tidb", TIDB_FAILS).await;
}

/// Settings that may stop a session from reading, in the server's own words, and why that is left to the server.
const MYSQL_FAILS: &[(&str, &str)] = &[];
const MARIADB_FAILS: &[(&str, &str)] = &[
    ("max_session_mem_used", "how much memory a session may have is the server's to say"),
    ("sort_buffer_size", "so is how much of it a sort may have"),
    ("tmp_disk_table_size", "and how much of a disk"),
];
const TIDB_FAILS: &[(&str, &str)] = &[
    ("tidb_mem_quota_query", "how much memory a query may have is the server's to say"),
    ("tx_isolation='SERIALIZABLE'", REFUSES_EVERYBODY),
    ("tx_isolation='READ-UNCOMMITTED'", REFUSES_EVERYBODY),
    ("transaction_isolation='SERIALIZABLE'", REFUSES_EVERYBODY),
    ("transaction_isolation='READ-UNCOMMITTED'", REFUSES_EVERYBODY),
    ("tx_read_only=1", REFUSES_EVERYBODY),
    ("transaction_read_only=1", REFUSES_EVERYBODY),
    ("tidb_enable_cascades_planner=1", "an experiment that breaks off with an error of its own"),
];

const REFUSES_EVERYBODY: &str = "init_connect fails by it, and with it every connection";
