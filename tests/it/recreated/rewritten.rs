//! Tables that look like another one and are not: everything that rewrites a table and keeps its rows, and rows that
//! users delete.

use super::{SAYS, create, full_name, ids, insert, once, polled, start};
use crate::modes::sources;
use crate::support::config::Connector;
use crate::support::http::table;
use crate::support::kafka::{records, wait_for_records};
use crate::support::{PATIENCE, eventually};

/// Statements after which the table has the same rows in another place.
fn rewrites(url: &str) -> &'static [&'static str] {
    match url {
        url if url.contains("postgres") => &[
            "vacuum full t",
            "alter table t alter v type text",
            "alter table t alter id type bigint",
            "alter table t set unlogged",
            "cluster t using t_pkey",
            "alter sequence t_id_seq cache 1",
            "create table t2 (like t including all); insert into t2 select * from t;
             alter table t rename to t_old; alter table t2 rename to t; alter sequence t_id_seq owned by t.id",
        ],
        url if url.contains("sqlite") => {
            &["vacuum", "create table elsewhere (id integer primary key)", "alter table t add column w integer"]
        }
        _ => &[
            "optimize table t",
            "alter table t add column w integer",
            "alter table t modify v varchar(40)",
            "alter table t engine = innodb",
            "create table t2 like t; insert into t2 select * from t; rename table t to t_old, t2 to t",
        ],
    }
}

/// TiDB has fewer.
fn is_known(url: &str, statement: &str) -> bool {
    !(url.contains(&tidb_port()) && (statement.starts_with("optimize") || statement.contains("engine")))
}

pub(super) fn tidb_port() -> String {
    let url = crate::support::address("ROWTIDE_TEST_TIDB_URL");
    url.trim_end_matches('/').rsplit_once(':').expect("a port").1.to_owned()
}

#[test]
fn a_table_that_is_only_written_anew_goes_on_while_it_is_polled_and_over_restarts() {
    for (url, run_sql, _keep) in sources("create table unused (id integer primary key)") {
        for is_running in [true, false] {
            run_sql(&create(&url, "t"));
            // A connector with a table that works shows why another does not.
            run_sql(&create(&url, "u"));
            run_sql(&insert("t", "old", 7));
            let connector = polled(&url, "t,u");
            let mut running = is_running.then(|| start(&connector));
            if !is_running {
                once(&connector, &[]).expect_code(0);
            }
            wait_for_records(&connector.topic("t"), 7);
            let mut count = 7;
            for statement in rewrites(&url).iter().filter(|statement| is_known(&url, statement)) {
                // Each row but the newest has been updated since it was read.
                run_sql(&format!("update t set v = concat(v, '.') where id < {count}"));
                run_sql(statement);
                run_sql(&insert("t", &format!("more {count}"), 1));
                count += 1;
                match &mut running {
                    Some(running) => {
                        let (address, name) = (running.address(), full_name(&connector, "t"));
                        delivered(&address, &name, &connector, count);
                        looked_at(&address, &name);
                    }
                    None => drop(once(&connector, &[]).expect_code(0)),
                }
            }
            let seen = super::fields(&connector, "t", "id");
            assert_eq!(seen, ids(1..=count as i64), "{url}, running: {is_running}");
            if let Some(running) = running {
                assert!(!running.log().contains(SAYS), "{url}");
                assert_eq!(running.terminate(), Some(0));
            }
            run_sql("drop table if exists t_old; drop table if exists elsewhere; drop table t; drop table u");
        }
    }
}

/// So many records are there, and the table has not failed.
fn delivered(address: &str, name: &str, connector: &Connector, count: usize) {
    eventually("the rows are delivered", PATIENCE, || {
        let status = table(address, name);
        assert!(status.as_ref().is_some_and(|status| status["state"] != "failed"), "{status:?}");
        (records(&connector.topic("t")).len() >= count).then_some(())
    });
}

/// Two looks at the tables have been made, and the table is read.
pub(super) fn looked_at(address: &str, name: &str) {
    let began = std::time::Instant::now();
    eventually("the table is looked at", PATIENCE, || {
        let status = table(address, name)?;
        assert_ne!(status["state"], "failed", "{status}");
        (began.elapsed() > std::time::Duration::from_millis(4_100)).then_some(())
    });
}

#[test]
fn rows_that_are_deleted_stop_no_table_and_one_that_is_emptied_goes_on_with_later_ids() {
    for (url, run_sql, _keep) in sources("create table unused (id integer primary key)") {
        run_sql(&create(&url, "t"));
        run_sql(&insert("t", "old", 10));
        let connector = polled(&url, "t");
        let mut running = start(&connector);
        let address = running.address();
        wait_for_records(&connector.topic("t"), 10);
        let name = full_name(&connector, "t");
        run_sql("delete from t");
        looked_at(&address, &name);
        run_sql(&insert("t", "more", 5));
        wait_for_records(&connector.topic("t"), 15);
        if url.contains("postgres") {
            // The ids go on, as they do by default.
            run_sql("delete from t where id < 14");
            run_sql("vacuum full t");
            looked_at(&address, &name);
            run_sql("truncate t");
            looked_at(&address, &name);
            run_sql(&insert("t", "after", 3));
            wait_for_records(&connector.topic("t"), 18);
            run_sql("delete from t");
            run_sql("vacuum full t");
            run_sql(&insert("t", "after", 1));
            wait_for_records(&connector.topic("t"), 19);
            looked_at(&address, &name);
        }
        let count = super::fields(&connector, "t", "id").len();
        assert_eq!(super::fields(&connector, "t", "id"), ids(1..=count as i64), "{url}");
        assert!(!running.log().contains(SAYS), "{url}");
        assert_eq!(running.terminate(), Some(0));
        once(&connector, &[]).expect_code(0);
    }
}
