//! Cursor columns and the facts about them: ids that are no integers keep their order and their place, ids that do not
//! grow are refused with the reason, and how a database hands out ids is shown.

use serde_json::{Value as Json, json};

use crate::support::config::Connector;
use crate::support::db::{Postgres, Sqlite};
use crate::support::http::table;
use crate::support::kafka::records;
use crate::support::oracle::stored_offset;
use crate::support::process::{Running, run};
use crate::support::{PATIENCE, eventually};

/// A connector of one table in `incrementing` mode, in pages of two rows.
fn by_id(url: &str, table: &str) -> Connector {
    Connector::new(url)
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("table.whitelist", table)
        .set("batch.max.rows", "2")
}

#[track_caller]
fn once(connector: &Connector) {
    run(&["run", "--once", connector.file().to_str().expect("a path")]).expect_code(0);
}

/// The `v` of every record of a table's topic, in order.
fn values(connector: &Connector, table: &str) -> Vec<String> {
    let text = |record: &crate::support::kafka::Record| record.field("v").as_str().expect("text").to_owned();
    records(&connector.topic(table)).iter().map(text).collect()
}

/// The status of `public.t` once it has been polled.
fn wait_for_a_poll(address: &str) -> Json {
    eventually("public.t is polled", PATIENCE, || {
        table(address, "public.t").filter(|status| status["last_poll"].is_string())
    })
}

/// `explain --json` of the only table.
fn explained(connector: &Connector) -> Json {
    let file = connector.file();
    let told = run(&["explain", "--json", file.to_str().expect("a path")]);
    let document: Json = serde_json::from_str(&told.stdout).expect("JSON");
    document[0]["tables"][0].clone()
}

/// Three rows, a run, two more rows, a run: each id is read once, in the order of `ids`.
#[track_caller]
fn reads_in_order(kind: &str, ids: [&str; 5]) {
    let database = Postgres::new();
    database.run(&format!("create table t (id {kind} primary key, v text not null)"));
    let insert = |ids: &[&str]| {
        for id in ids.iter().rev() {
            database.run(&format!("insert into t values ('{id}', '{id}')"));
        }
    };
    insert(&ids[..3]);
    let connector = by_id(&database.jdbc_url(), "t");
    once(&connector);
    once(&connector);
    insert(&ids[3..]);
    once(&connector);
    once(&connector);
    assert_eq!(values(&connector, "t"), ids, "{kind}");
}

#[test]
fn ids_of_text_are_read_by_their_bytes_under_any_collation() {
    // By language `a` comes before `B`; by bytes all capitals come first.
    let ids = ["B", "D", "a", "a1", "c"];
    reads_in_order(r#"text collate "en-x-icu""#, ids);
    reads_in_order("varchar(8)", ids);
    reads_in_order("char(8)", ids);
    reads_in_order(r#"text collate "C""#, ids);
}

#[test]
fn ids_that_sort_by_time_are_read_in_their_order() {
    reads_in_order(
        "uuid",
        [
            "01890a5d-ac96-774b-bcce-b302099a8057",
            "01890a5d-ac96-774c-9aaa-000000000001",
            "01890a5d-ac97-7000-8000-000000000000",
            "01890a5d-ac97-7000-8000-000000000001",
            "01890a5e-0000-7000-8000-000000000000",
        ],
    );
    reads_in_order(
        "text",
        [
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01ARZ3NDEKTSV4RRFFQ69G5FAW",
            "01BX5ZZKBKACTAV9WEVGEMMVRZ",
            "01BX5ZZKBKACTAV9WEVGEMMVS0",
            "01BX5ZZKBKACTAV9WEVGEMMVS1",
        ],
    );
    reads_in_order("bytea", ["\\x01", "\\x0189", "\\x02", "\\x80", "\\xff00"]);
}

#[test]
fn decimals_are_read_as_numbers_also_beyond_63_bits() {
    let huge = ["9", "10", "9223372036854775808", "9223372036854775809", "100000000000000000000000000000"];
    reads_in_order("numeric(30,0)", huge);
    reads_in_order("numeric", ["0.5", "0.75", "9", "10", "100000000000000000000.25"]);
    reads_in_order("numeric(10,2)", ["0.50", "0.75", "9.00", "10.00", "10.01"]);
}

#[test]
fn the_position_of_a_text_is_exact_and_no_number() {
    let database = Postgres::new();
    database.run("create table t (id text primary key, v text not null); insert into t values ('0010', 'a')");
    let connector = by_id(&database.jdbc_url(), "t");
    once(&connector);
    let stored = stored_offset(&connector, "public.t").expect("an offset");
    assert_eq!((&stored["incrementing"], &stored["rowtide_position"]), (&Json::Null, &json!(r#"[{"s":"0010"}]"#)));
    let file = connector.file();
    let file = file.to_str().expect("a path");
    // `0010` may be a number to `offsets set`; it is not to the table.
    run(&["offsets", "set", file, "--table", "t", "--incrementing", "5", "--yes"]).expect_code(0);
    run(&["run", "--once", file]).expect_code(1).expect_says(&["column `id` is of type text", "offsets reset"]);
    run(&["offsets", "reset", file, "--table", "t", "--yes"]).expect_code(0);
    database.run("insert into t values ('b', 'b')");
    once(&connector);
    run(&["offsets", "set", file, "--table", "t", "--incrementing", "5", "--yes"])
        .expect_code(2)
        .expect_says(&["the ids of this table are no numbers"]);
    let started = connector.set("incrementing.initial", "7");
    run(&["check", started.file().to_str().expect("a path")])
        .expect_code(2)
        .expect_says(&["incrementing.initial is a number, and the incrementing column `id` is of type text"]);
}

#[test]
fn killed_in_the_middle_of_ids_of_text_it_goes_on_where_it_was() {
    let database = Postgres::new();
    database.run(r#"create table t (id text collate "en-x-icu" primary key, v text not null)"#);
    let fill = |from: usize, to: usize| {
        database.run(&format!(
            "insert into t select chr(64 + n / 1000) || lpad((n % 1000)::text, 3, '0') || case n % 2 when 0 then 'x' else 'X' end,
             n::text from generate_series({from}, {to}) n"
        ));
    };
    let connector = by_id(&database.jdbc_url(), "t").alone().set("batch.max.rows", "20");
    fill(1000, 2999);
    for wanted in [1, 700] {
        let running = Running::start(&connector.file(), &[]);
        eventually("records come", PATIENCE, || (records(&connector.topic("t")).len() >= wanted).then_some(()));
        running.kill();
    }
    fill(3000, 3999);
    once(&connector);
    let expected: Vec<String> = (1000..=3999).map(|n| n.to_string()).collect();
    assert_eq!(values(&connector, "t"), expected);
}

#[test]
fn ids_of_text_break_ties_of_a_timestamp() {
    for (url, run, _keep) in
        sources("create table t (id varchar(9) primary key not null, ts timestamp not null, v text)")
    {
        for id in ["B", "a", "C", "b", "A"] {
            run(&format!("insert into t values ('{id}', '2024-01-01 10:00:00.000', '{id}')"));
        }
        let connector = by_id(&url, "t")
            .set("mode", "timestamp+incrementing")
            .set("timestamp.column.name", "ts")
            .set("timestamp.initial", "1704103200000");
        once(&connector);
        once(&connector);
        assert_eq!(values(&connector, "t"), ["A", "B", "C", "a", "b"], "{url}: rows of the initial time too");
    }
}

/// A PostgreSQL and a SQLite database with the same tables: URL, a function that runs SQL, and what keeps it alive.
#[allow(clippy::type_complexity)]
fn sources(schema: &str) -> Vec<(String, Box<dyn Fn(&str)>, Box<dyn std::any::Any>)> {
    let (postgres, sqlite) = (std::rc::Rc::new(Postgres::new()), std::rc::Rc::new(Sqlite::new()));
    postgres.run(schema);
    sqlite.run(schema);
    let (on_postgres, on_sqlite) = (std::rc::Rc::clone(&postgres), std::rc::Rc::clone(&sqlite));
    vec![
        (postgres.jdbc_url(), Box::new(move |sql: &str| on_postgres.run(sql)), Box::new(postgres)),
        (sqlite.jdbc_url(), Box::new(move |sql: &str| on_sqlite.run(sql)), Box::new(sqlite)),
    ]
}

#[test]
fn sqlite_reads_ids_of_text_by_their_bytes_whatever_collation_is_declared() {
    let database = Sqlite::new();
    database.run("create table t (id text collate nocase primary key not null, v text)");
    database.run("insert into t values ('a', 'a'), ('B', 'B'), ('D', 'D')");
    let connector = by_id(&database.jdbc_url(), "t");
    once(&connector);
    database.run("insert into t values ('c', 'c')");
    once(&connector);
    assert_eq!(values(&connector, "t"), ["B", "D", "a", "c"]);
    let told = explained(&connector);
    assert_eq!(told["index_ddl"], r#"create index "t_id_idx" on "t" ("id" collate binary)"#);
    database.run("create table u (id text primary key not null, v text)");
    database.run("insert into u values ('919108f7-52d1-4320-9bac-f847db4148a8', '')");
    run(&["run", "--once", by_id(&database.jdbc_url(), "u").file().to_str().expect("a path")])
        .expect_code(1)
        .expect_says(&["UUIDs of version 4"]);
}

#[test]
fn an_index_under_the_pinned_collation_serves_and_another_does_not() {
    let database = Postgres::new();
    database.run(
        r#"create table t (id text collate "en-x-icu" primary key, v text);
           insert into t select n::text, '' from generate_series(1, 20000) n; analyze t"#,
    );
    let connector = by_id(&database.jdbc_url(), "t");
    let told = explained(&connector);
    assert_eq!(told["index_serves"], false);
    let ddl = told["index_ddl"].as_str().expect("DDL").to_owned();
    assert_eq!(ddl, r#"create index "t_id_idx" on "public"."t" ("id" collate "C")"#);
    database.run(&ddl);
    assert_eq!(explained(&connector)["index_serves"], true);
    database.run(r#"create table c (id text collate "C" primary key, v text)"#);
    let told = explained(&by_id(&database.jdbc_url(), "c"));
    assert_eq!(told["index_serves"], true);
    assert!(!told["sql"].as_str().expect("SQL").contains("collate"), "{told}");
}

#[test]
fn random_uuids_are_refused_as_ids_with_the_reason() {
    let database = Postgres::new();
    let random = "('919108f7-52d1-4320-9bac-f847db4148a8'), ('0191aaaa-52d1-4320-9bac-f847db4148a8')";
    database.run(&format!(
        "create table native (id uuid primary key); insert into native values {random};
         create table written (id text primary key); insert into written values {random};
         create table made (id uuid primary key default gen_random_uuid());
         create table packed (id bytea primary key);
         insert into packed select decode(replace(gen_random_uuid()::text, '-', ''), 'hex') from generate_series(1, 9);
         create table few (id bytea primary key); insert into few select id from packed limit 2"
    ));
    for (table, reason) in [
        ("native", "column `id` cannot serve as cursor: its values are UUIDs of version 4: they are random"),
        ("written", "its values are UUIDs of version 4"),
        ("packed", "its values are UUIDs of version 4"),
        ("made", "its default makes UUIDs of version 4, which are random"),
    ] {
        let connector = by_id(&database.jdbc_url(), table);
        let file = connector.file();
        let file = file.to_str().expect("a path");
        run(&["run", "--once", file]).expect_code(1).expect_says(&[reason, "use mode=timestamp"]);
        run(&["check", file]).expect_code(2).expect_says(&[reason]);
        assert_eq!(records(&connector.topic(table)).len(), 0);
        assert!(explained(&connector)["error"].as_str().expect("an error").contains(reason));
    }
    // Two ids of 16 bytes may look like random UUIDs by chance.
    once(&by_id(&database.jdbc_url(), "few"));
}

#[test]
fn random_uuids_that_come_later_stop_the_table() {
    let database = Postgres::new();
    database.run("create table t (id uuid primary key)");
    let connector = by_id(&database.jdbc_url(), "t").set("table.poll.interval.ms", "100");
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = running.address();
    wait_for_a_poll(&address);
    database.run("insert into t values (gen_random_uuid())");
    // Nothing else works, so the connector gives up.
    assert_eq!(running.ended(), Some(1));
    assert!(running.log().contains("UUIDs of version 4"), "{}", running.log());
}

#[test]
fn columns_whose_order_is_not_that_of_time_are_refused_with_the_reason() {
    let database = Postgres::new();
    database.run(
        "create extension if not exists citext; create type state as enum ('new', 'old');
         create table t (id integer, b boolean not null, e state not null, i interval not null, f float8 not null,
           c citext not null, j jsonb not null, d timestamp not null)",
    );
    for (column, reason) in [
        ("b", "too few values"),
        ("e", "its order is not known"),
        ("i", "its order is not that in which rows come"),
        ("f", "floats round"),
        ("c", "differ in case"),
        ("j", "its order is not known"),
        ("d", "it is a time"),
    ] {
        let connector = by_id(&database.jdbc_url(), "t").set("incrementing.column.name", column);
        run(&["check", connector.file().to_str().expect("a path")]).expect_code(2).expect_says(&[
            &format!("column `{column}`"),
            "cannot serve as incrementing column",
            reason,
        ]);
    }
}

#[test]
fn a_number_that_is_none_stops_the_table_before_it_hides_the_others() {
    let database = Postgres::new();
    database.run("create table t (id numeric primary key); insert into t values (1), ('NaN')");
    run(&["run", "--once", by_id(&database.jdbc_url(), "t").file().to_str().expect("a path")])
        .expect_code(1)
        .expect_says(&["column `id` holds NaN or infinity", "correct the row"]);
}

#[test]
fn how_ids_are_handed_out_is_said_in_explain_check_log_and_status() {
    let database = Postgres::new();
    database.run(
        "create sequence s cache 50;
         create table t (id bigint primary key default nextval('s'), ts timestamp(0) not null default now());
         create table i (id bigint generated always as identity (cache 20 cycle) primary key);
         create table down (id bigint generated always as identity (increment -1) primary key);
         create table plain (id bigserial primary key)",
    );
    let connector = by_id(&database.jdbc_url(), "t");
    let facts = explained(&connector)["cursor_facts"].clone();
    assert_eq!((&facts[0]["column"], &facts[0]["weight"]), (&json!("id"), &json!("warning")));
    assert!(facts[0]["text"].as_str().expect("text").contains("(CACHE 50)"), "{facts}");
    let file = connector.file();
    let file = file.to_str().expect("a path");
    run(&["explain", file]).expect_code(0).expect_says(&["cursor        warning: `id`: sequence s hands out 50 ids"]);
    run(&["check", file]).expect_code(0).expect_says(&["warning  table public.t, column id: sequence s hands out 50"]);
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = running.address();
    let status = wait_for_a_poll(&address);
    assert_eq!(status["cursor_facts"], facts);
    let said = running.log().matches("hands out 50 ids").count();
    assert_eq!(said, 1, "once, not at every poll:\n{}", running.log());

    let both = connector.set("mode", "timestamp+incrementing").set("timestamp.column.name", "ts");
    let facts = explained(&both)["cursor_facts"].clone();
    let weights: Vec<&Json> = facts.as_array().expect("facts").iter().map(|fact| &fact["weight"]).collect();
    assert_eq!(weights, ["note", "note"], "an id that breaks ties need not grow: {facts}");
    assert!(facts.to_string().contains("it keeps whole seconds only"), "{facts}");
    let identity = explained(&by_id(&database.jdbc_url(), "i"))["cursor_facts"].to_string();
    assert!(identity.contains("CACHE 20") && identity.contains("CYCLE"), "{identity}");
    assert_eq!(explained(&by_id(&database.jdbc_url(), "plain"))["cursor_facts"], json!([]));
    let down = explained(&by_id(&database.jdbc_url(), "down"));
    assert!(down["error"].as_str().expect("an error").contains("counts down"), "{down}");
}

#[test]
fn sqlite_says_where_ids_of_deleted_rows_come_again() {
    let database = Sqlite::new();
    database.run("create table t (id integer primary key not null); create table a (id integer primary key autoincrement not null)");
    let facts = |table: &str| explained(&by_id(&database.jdbc_url(), table))["cursor_facts"].clone();
    assert!(facts("t")[0]["text"].as_str().expect("text").contains("without AUTOINCREMENT"), "{}", facts("t"));
    assert_eq!(facts("a"), json!([]));
}
