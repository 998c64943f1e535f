//! SQL of users: statements that may not be are refused by `check` and at start, with their place; those that only look
//! so work.

use serde_json::{Value as Json, json};

use crate::modes::sources;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres, Sqlite};
use crate::support::kafka::{records, wait_for_records};
use crate::support::process::{Finished, run};
use crate::support::unique;

fn file(connector: &Connector) -> String {
    connector.file().display().to_string()
}

fn once(connector: &Connector) -> Finished {
    run(&["run", "--once", &file(connector)])
}

/// `check`, without and with the services, and `run` end with exit code 2 and these words.
#[track_caller]
fn is_refused(connector: &Connector, says: &[&str]) {
    let file = file(connector);
    for command in [&["check", "--offline", &file][..], &["check", &file], &["run", "--once", &file]] {
        run(command).expect_code(2).expect_says(says);
    }
}

/// A connector that polls a query by its ids.
fn polling(url: &str, query: &str) -> Connector {
    Connector::new(url)
        .set("mode", "incrementing")
        .set("incrementing.column.name", "id")
        .set("query", query)
        .set("topic.prefix", &unique("query"))
}

fn loading(url: &str, query: &str) -> Connector {
    polling(url, query).set("mode", "bulk").without("incrementing.column.name")
}

fn ids(connector: &Connector) -> Vec<Json> {
    records(&connector.keys["topic.prefix"]).iter().map(|record| record.field("id")).collect()
}

const TABLE: &str = "create table t (id integer not null primary key, v varchar(20))";
const ROWS: &str = "insert into t values (1, 'why?'), (2, ':last'), (3, 'c'), (4, 'd'), (5, 'e')";

#[test]
fn a_suffix_that_turns_the_order_round_is_refused_and_one_that_locks_or_limits_is_not() {
    for (kind, (url, run_sql, _keep)) in sources(TABLE).into_iter().enumerate() {
        run_sql(ROWS);
        let table = |suffix: &str| {
            Connector::new(&url)
                .set("mode", "incrementing")
                .set("incrementing.column.name", "id")
                .set("table.whitelist", "t")
                .set("batch.max.rows", "2")
                .set("query.suffix", suffix)
        };
        for (suffix, says) in [
            ("DESC", "query.suffix: changes the order with DESC (line 1, column 1)"),
            (", v", "query.suffix: changes the order"),
            ("collate nocase", "changes the order with COLLATE"),
            ("NULLS FIRST", "changes the order with NULLS"),
            ("using >", "changes the order with USING"),
            ("limit 2 offset 1", "skips rows with OFFSET"),
            ("union all select * from t", "joins another statement with UNION"),
            ("; delete from t", "begins another statement"),
        ] {
            is_refused(&table(suffix), &[says]);
        }
        let mut taken = vec!["limit 2", "limit 2 -- rows", "/* nightly */ limit 3;"];
        // PostgreSQL has it behind FOR, and not in the read-only transactions rowtide reads in; TiDB locks nothing.
        if kind == 2 || kind == 3 {
            taken.push("lock in share mode");
        }
        for suffix in taken {
            let connector = table(suffix);
            once(&connector).expect_code(0);
            let read: Vec<Json> = records(&connector.topic("t")).iter().map(|record| record.field("id")).collect();
            assert_eq!(read, [1, 2, 3, 4, 5].map(Json::from), "{url}: {suffix}");
        }
    }
}

#[test]
fn a_parameter_that_nobody_binds_is_refused_with_its_place() {
    let urls = |parameters: &[&str]| -> Vec<String> { parameters.iter().map(|p| (*p).to_owned()).collect() };
    for (url, parameters) in [
        (Sqlite::new().jdbc_url(), urls(&["?", ":last", "@last", "$last"])),
        (Postgres::new().jdbc_url(), urls(&["?", ":last", "$1"])),
        (MySqlFamily::new("mysql").jdbc_url(), urls(&["?", ":last"])),
        (MySqlFamily::new("mariadb").jdbc_url(), urls(&["?"])),
        (MySqlFamily::new("tidb").jdbc_url(), urls(&["?"])),
    ] {
        for parameter in parameters {
            let query = format!("select * from t -- why?\n where id > {parameter}");
            let says =
                format!("query: has the parameter `{parameter}`, to which rowtide binds nothing (line 2, column 13)");
            is_refused(&polling(&url, &query), &[&says]);
            is_refused(&loading(&url, &query), &[&says]);
            let suffixed = polling(&url, "select * from t").set("query.suffix", &format!("limit {parameter}"));
            is_refused(&suffixed, &[&format!("query.suffix: has the parameter `{parameter}`")]);
        }
    }
    let masked = polling(&Postgres::new().jdbc_url(), "")
        .without("query")
        .set("query.masked", "select * from t where a = :hush");
    let finished =
        run(&["check", "--offline", &file(&masked)]).expect_code(2).expect_says(&["query.masked: has a parameter"]);
    assert!(!format!("{}{}", finished.stdout, finished.stderr).contains("hush"), "{finished:?}");
}

#[test]
fn what_only_looks_like_a_parameter_works() {
    for (url, run_sql, _keep) in sources(TABLE) {
        run_sql(ROWS);
        let quote = if url.contains("postgres") || url.contains("sqlite") { '"' } else { '`' };
        let mut queries = vec![
            (
                format!(
                    "select id from (select id, v as {quote}a?{quote} from t) as x where {quote}a?{quote} = 'why?' /* ? :last */ -- $1 ?"
                ),
                vec![1],
            ),
            ("select id from t where v in (':last', '@last', '$1')".to_owned(), vec![2]),
        ];
        if url.contains("postgres") {
            let rows = "(select id, jsonb_build_object(v, 1, 'a', 2) as j from t) as x";
            queries.extend([
                (format!("select id from {rows} where j ? 'c'"), vec![3]),
                (format!("select id from {rows} where j ?? 'd'"), vec![4]),
                (format!("select id from {rows} where j ??| array['c', 'd'] and j ?& array['a'] and j @? '$.e ? (@ < 0)' or j @?? '$.e'"), vec![5]),
                ("select id::bigint::int as id from t where $x$?$x$ > E'\\'?' and id = 1 -/* ? */ 0".to_owned(), vec![1]),
            ]);
        } else if quote == '`' {
            queries.push((
                "select id from t, (select @n as n, 'it\\'s ?' as s) as x where id = 1 # it's ?".to_owned(),
                vec![1],
            ));
        }
        for (query, expected) in queries {
            for connector in [polling(&url, &query), loading(&url, &query)] {
                once(&connector).expect_code(0);
                let expected: Vec<Json> = expected.iter().copied().map(Json::from).collect();
                // The end of a transaction is seen a moment after the process that committed it has ended.
                wait_for_records(&connector.keys["topic.prefix"], expected.len());
                assert_eq!(ids(&connector), expected, "{url}: {query}");
            }
        }
    }
}

#[test]
fn a_limit_of_the_query_itself_is_refused_where_there_is_a_cursor() {
    for (url, run_sql, _keep) in sources(TABLE) {
        run_sql(ROWS);
        for query in [
            "select * from t order by id limit 2",
            "(select * from t limit 2)",
            "select id from t union all select id + 10 from t limit 2",
            "with x as (select * from t) select * from x limit 2",
        ] {
            let says = ["query: has LIMIT in a mode with a cursor", "batch.max.rows"];
            is_refused(&polling(&url, query), &says);
            let bulk = loading(&url, query);
            once(&bulk).expect_code(0);
            assert_eq!(ids(&bulk).len(), 2, "{url}: {query}");
        }
        for (query, says) in [
            ("select * from t fetch first 2 rows only", "has FETCH FIRST"),
            ("select * from t offset 2", "has OFFSET"),
            ("select top 2 * from t", "has TOP"),
        ] {
            is_refused(&polling(&url, query), &[says]);
        }
        for query in [
            "select * from (select * from t order by id limit 5) as x order by v",
            "select id, (select max(v) from t as u limit 1) as m from t",
        ] {
            let connector = polling(&url, query).set("batch.max.rows", "2");
            once(&connector).expect_code(0);
            assert_eq!(ids(&connector), [1, 2, 3, 4, 5].map(Json::from), "{url}: {query}");
        }
    }
}

#[test]
fn a_query_that_is_not_one_statement_that_reads_is_refused_in_our_own_words() {
    for (url, _, _keep) in sources(TABLE) {
        for (query, says) in [
            ("call p()", "query: must be a statement that reads, and begins with CALL"),
            ("exec p", "begins with EXEC"),
            ("show tables", "begins with SHOW"),
            ("explain select * from t", "begins with EXPLAIN"),
            ("insert into t values (1, 'a')", "begins with INSERT"),
            ("update t set v = 'a'", "begins with UPDATE"),
            ("delete from t", "begins with DELETE"),
            ("with x as (delete from t returning *) select * from x", "has DELETE in it"),
            ("select * from t; select 1", "has a second one (line 1, column 18)"),
            ("select * into u from t", "writes its result with INTO"),
            ("select * from t /* nightly", "has a comment that is not closed"),
        ] {
            is_refused(&polling(&url, query), &[says]);
            is_refused(&loading(&url, query), &[says]);
        }
    }
}

#[test]
fn what_the_reference_s_drivers_take_around_a_statement_is_taken() {
    for (url, run_sql, _keep) in sources(TABLE) {
        run_sql(ROWS);
        let mut queries = vec![
            "select * from t;",
            "select * from t ; -- nightly",
            "\u{feff}select * from t;; /* done */",
            "select\u{a0}* from\u{a0}t where\u{a0}id < 9",
        ];
        if !url.contains("postgres") && !url.contains("sqlite") {
            queries.push("# note; it's here\nselect * from t");
        }
        for query in queries {
            for connector in [polling(&url, query), loading(&url, query)] {
                once(&connector).expect_code(0);
                assert_eq!(ids(&connector), [1, 2, 3, 4, 5].map(Json::from), "{url}: {query:?}");
            }
        }
    }
}

#[test]
fn names_that_rowtide_adds_are_quoted_whatever_the_key_says() {
    // `money` is selected as another type in PostgreSQL, so that every column is named.
    let table = |q: char, amount: &str| {
        format!(
            "create table {q}OrderLines{q} ({q}tenantId{q} varchar(9) not null, {q}lineNo{q} integer not null,
               id integer not null, ts timestamp not null, {q}createdAt{q} varchar(9), {q}select{q} {amount},
               primary key ({q}tenantId{q}, {q}lineNo{q}));
             insert into {q}OrderLines{q} values ('a', 1, 10, '2024-01-01 10:00:00.000', 'x', '1.50'),
               ('a', 2, 11, '2024-01-01 10:00:00.000', 'y', '2.50'), ('b', 1, 12, '2024-01-01 10:00:00.000', 'z', '3.50')"
        )
    };
    for (url, run_sql, _keep) in sources("create table unused (a integer)") {
        let of_mysql = !url.contains("postgres") && !url.contains("sqlite");
        let amount = if url.contains("postgres") { "money" } else { "decimal(9,2)" };
        run_sql(&table(if of_mysql { '`' } else { '"' }, amount));
        for mode in ["bulk", "incrementing", "timestamp", "timestamp+incrementing"] {
            let connector = Connector::new(&url)
                .set("mode", mode)
                .set("quote.sql.identifiers", "never")
                .set("key.mode", "primary_key")
                .set("topic.prefix", &unique("quoted"))
                .set("batch.max.rows", "1")
                .set("table.whitelist", "OrderLines");
            let connector =
                if mode.contains("incrementing") { connector.set("incrementing.column.name", "ID") } else { connector };
            let connector =
                if mode.contains("timestamp") { connector.set("timestamp.column.name", "ts") } else { connector };
            once(&connector).expect_code(0);
            let read = records(&connector.topic("OrderLines"));
            let mut ids: Vec<i64> = read.iter().filter_map(|record| record.field("id").as_i64()).collect();
            ids.sort_unstable();
            assert_eq!(ids, [10, 11, 12], "{url} {mode}");
            assert_eq!(read[0].field("createdAt"), json!("x"), "{url} {mode}");
        }
    }
}

#[test]
fn a_suffix_that_names_what_is_not_there_is_no_changed_table() {
    for (url, run_sql, _keep) in sources(TABLE) {
        run_sql(ROWS);
        let connector = Connector::new(&url)
            .set("mode", "bulk")
            .set("table.whitelist", "t")
            .set("query.suffix", "where \"t\".nope = 1".replace('"', "").as_str());
        let file = file(&connector);
        for command in [&["check", &file][..], &["run", "--once", &file]] {
            let finished = run(command).expect_says(&["nope", "correct query.suffix"]);
            assert_ne!(finished.code, Some(0), "{url}: {finished:?}");
            let said = format!("{}{}", finished.stdout, finished.stderr);
            assert!(!said.contains("the relation changed") && !said.contains("keep changing"), "{url}: {said}");
        }
    }
    let postgres = Postgres::new();
    postgres.run(TABLE);
    let connector = Connector::new(&postgres.jdbc_url())
        .set("mode", "bulk")
        .set("table.whitelist", "t")
        .set("query.suffix", "where v");
    // 42804: an argument of WHERE that is no boolean.
    run(&["run", "--once", &file(&connector)]).expect_says(&["42804", "correct query.suffix"]);
}

#[test]
fn modifiers_of_a_select_work_in_every_mode() {
    for (kind, modifiers) in [
        (
            "mysql",
            &["HIGH_PRIORITY", "SQL_BUFFER_RESULT", "SQL_CALC_FOUND_ROWS", "SQL_NO_CACHE", "DISTINCT SQL_SMALL_RESULT"]
                [..],
        ),
        ("mariadb", &["HIGH_PRIORITY", "SQL_BUFFER_RESULT", "SQL_CALC_FOUND_ROWS", "SQL_NO_CACHE", "SQL_CACHE"]),
        ("tidb", &["HIGH_PRIORITY", "SQL_BUFFER_RESULT", "SQL_NO_CACHE"]),
    ] {
        let database = MySqlFamily::new(kind);
        database.run(&format!("{TABLE}; {ROWS}"));
        for modifier in modifiers {
            let query = format!("select {modifier} id, v from t");
            let url = database.jdbc_url();
            for connector in [polling(&url, &query).set("batch.max.rows", "2"), loading(&url, &query)] {
                once(&connector).expect_code(0);
                let mut read: Vec<i64> = ids(&connector).iter().filter_map(Json::as_i64).collect();
                read.sort_unstable();
                assert_eq!(read, [1, 2, 3, 4, 5], "{kind}: {query}");
                run(&["check", &file(&connector)]).expect_code(0);
            }
        }
    }
}
