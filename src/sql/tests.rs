use super::Grammar::{MariaDb, MySql, Postgres, Sqlite, TiDb};
use super::Reading::{Paged, Whole};
use super::*;

const ALL: [Grammar; 5] = [Postgres, MySql, MariaDb, TiDb, Sqlite];

#[track_caller]
fn taken(text: &str, grammar: Grammar, reading: Reading) -> String {
    query(text, grammar, reading, true).unwrap_or_else(|found| panic!("{grammar:?} {text:?}: {found:?}"))
}

#[track_caller]
fn refused(text: &str, grammar: Grammar, reading: Reading) -> Vec<String> {
    let found = query(text, grammar, reading, true).err();
    let found = found.unwrap_or_else(|| panic!("{grammar:?} {text:?} was taken"));
    found.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn is_refused_with(text: &str, grammar: Grammar, reading: Reading, says: &str) {
    let found = refused(text, grammar, reading);
    assert!(found.iter().any(|found| found.contains(says)), "{grammar:?} {text:?}: {found:?}");
}

#[test]
fn parameters_that_nobody_binds_are_found_with_their_place() {
    for (grammar, parameter) in [
        (Sqlite, "?"),
        (Sqlite, "?1"),
        (Sqlite, ":last"),
        (Sqlite, "@last"),
        (Sqlite, "$last"),
        (MySql, "?"),
        (MySql, ":last"),
        (MariaDb, "?"),
        (TiDb, "?"),
        (Postgres, "?"),
        (Postgres, "$1"),
        (Postgres, ":last"),
        (Postgres, "$last"),
    ] {
        let says = format!("has the parameter `{parameter}`, to which rowtide binds nothing (line 2, column 13)");
        for rest in ["", " and b = 1", " order by id", ";"] {
            is_refused_with(&format!("select * from t\n where id > {parameter}{rest}"), grammar, Whole, &says);
        }
    }
    for text in ["select * from t where id in (?, ?)", "select ?::int as x from t", "select a from t where id=?and b"] {
        is_refused_with(text, Postgres, Whole, "has the parameter `?`");
    }
    is_refused_with("select * from t where id between :a and :b", Postgres, Whole, "`:b`");
    let hidden = query("select * from t where id = :secret", Postgres, Whole, false).unwrap_err();
    assert!(!hidden[0].to_string().contains("secret"), "{hidden:?}");
}

#[test]
fn what_only_looks_like_a_parameter_is_taken() {
    for grammar in ALL {
        for text in [
            "select 'why?' as a, ':last' as b from t",
            "select 1 /* ? :last $1 */ from t -- ? :last",
            "select 'it''s ?' from t",
        ] {
            assert_eq!(taken(text, grammar, Paged), text);
        }
    }
    for text in [
        "select \"a?\", \"x:y\" from t",
        "select a::text, b[1:n], b[:n], c[n:] from t",
        "select json_object('k':v, k:v) from t",
        "select * from t where j ? 'a' and j ?| array['b'] and j ?& c and j @? '$.a ? (@ > 1)' and j @@ '$.a'",
        "select j ? 'a', j ? name, j ? left(name, 1), (j) ? (name) from t",
        "select $$ ? :x $$, $tag$ ' $$ ? $1 $tag$, $é$?$é$ from t",
        "select E'it\\'s ?', '\\', 'x?' from t",
        "select 1 -/* ? */ 2, 3 -- ?\n from t",
        "select /* a /* ? */ :b */ 1 from t",
        "select a$1, U&'?', U&\"?\", x'00', 1.5e-3, t.a from t",
        "select * from f(a := 1, b => 2)",
    ] {
        assert_eq!(taken(text, Postgres, Paged), text);
    }
    assert_eq!(
        taken("select j ?? 'a', j ??| b, '??', \"??\" from t", Postgres, Paged),
        "select j ? 'a', j ?| b, '??', \"??\" from t"
    );
    for grammar in [MySql, MariaDb, TiDb] {
        for text in [
            "select 'it\\'s ?', \"a\\\"?\", `a``?` from t # it's ? :x\n",
            "select @n := @n + 1 as n, @@version, @'a?', @`b?` from t",
            "select 5 --1 as six from t",
            "select j->'$.a?', _utf8mb4'?' from t",
        ] {
            assert_eq!(taken(text, grammar, Paged), text.trim());
        }
    }
    for text in ["select [a?], `b?`, \"c?\", 'd\\', '?' from t", "select x'00' from t"] {
        assert_eq!(taken(text, Sqlite, Paged), text);
    }
}

#[test]
fn what_the_server_runs_in_a_comment_counts() {
    is_refused_with("select /*!50000 ? */ 1", MySql, Whole, "`?`");
    is_refused_with("select 1 /*M!100100 limit 5 */", MariaDb, Paged, "LIMIT");
    is_refused_with("select 1 /*T![x] limit 5 */", TiDb, Paged, "LIMIT");
    for (text, grammar) in
        [("select 1 /*M! ? */", MySql), ("select 1 /*T! ? */", MariaDb), ("select /*+ x(?) */ 1", TiDb)]
    {
        assert_eq!(taken(text, grammar, Paged), text);
    }
}

#[test]
fn a_limit_of_the_outermost_statement_is_refused_where_there_is_a_cursor() {
    for (clause, says) in [
        ("limit 10", "has LIMIT in a mode with a cursor (line 1, column 17); rows beyond it"),
        ("LIMIT (select 5)", "LIMIT"),
        ("order by id limit 5, 10", "LIMIT"),
        ("offset 10", "OFFSET"),
        ("offset 10 rows fetch next 5 rows only", "OFFSET"),
        ("fetch first 5 rows only", "FETCH FIRST"),
        ("fetch first row only", "FETCH FIRST"),
        ("fetch next 5 rows with ties", "FETCH FIRST"),
        ("union all select * from u limit 5", "LIMIT"),
        ("union all (select * from u limit 5)", "LIMIT"),
        ("for update skip locked", "SKIP LOCKED"),
    ] {
        let text = format!("select * from t {clause}");
        for grammar in ALL {
            is_refused_with(&text, grammar, Paged, says);
            taken(&text, grammar, Whole);
        }
    }
    for text in [
        "(select * from t limit 5)",
        "((select * from t) limit 5)",
        "(select * from t limit 5) union all (select * from u)",
        "with x as (select 1 as a) select * from x limit 5",
        "with x as (select 1 as a) (select * from x limit 5)",
        "select top 10 * from t",
        "select distinct top (10) * from t",
    ] {
        is_refused_with(text, Postgres, Paged, "batch.max.rows");
    }
}

#[test]
fn a_limit_further_in_and_what_is_only_called_so_is_taken() {
    for grammar in ALL {
        for text in [
            "select * from (select * from t order by id limit 5) as x",
            "with x as (select * from t limit 5) select * from x",
            "select (select max(a) from u limit 1) as m from t",
            "select * from t where id in (select id from u limit 5)",
            "select t.limit, a as limit, t.offset, b as offset from t",
            "select id, offset from t",
            "select offset + 1 as next from t where offset > 5",
            "select top, first from t order by id",
            "select a as fetch from t for update",
        ] {
            assert_eq!(taken(text, grammar, Paged), text);
        }
    }
    taken("select * from t limit all", Postgres, Paged);
    taken("select * from t tablesample system (10)", Postgres, Paged);
}

#[test]
fn only_one_statement_that_reads_is_taken() {
    for word in [
        "call p()",
        "exec p",
        "show tables",
        "explain select 1",
        "describe t",
        "pragma x",
        "insert into t values (1)",
        "update t set a = 1",
        "delete from t",
        "merge into t",
        "selct 1",
        "execute p",
        "copy t to stdout",
        "set x = 1",
    ] {
        let says = format!(
            "must be a statement that reads, and begins with {} (line 2, column 1)",
            word.split([' ', '(']).next().unwrap().to_uppercase()
        );
        for grammar in ALL {
            is_refused_with(&format!("-- nightly\n{word}"), grammar, Whole, &says);
        }
    }
    for (text, says) in [
        ("select 1; select 2", "has a second one (line 1, column 11)"),
        ("select 1;; drop table t", "has a second one"),
        ("with x as (delete from t returning *) select * from x", "has DELETE in it"),
        ("with x as materialized (insert into t values (1) returning *) select * from x", "has INSERT in it"),
        ("with x as (select 1) update t set a = 1", "has UPDATE in it"),
        ("with x as (select 1) delete from t", "has DELETE in it"),
        ("select * into t2 from t", "writes its result with INTO"),
        ("", "is not one"),
        (" -- only a comment", "is not one"),
        (";", "is not one"),
        ("42", "must be a statement that reads"),
        ("select 1 /* open", "has a comment that is not closed (line 1, column 10)"),
        ("select 'open", "has a literal that is not closed"),
    ] {
        for grammar in ALL {
            is_refused_with(text, grammar, Whole, says);
        }
    }
    is_refused_with("select 1 /*! into outfile 'x' */", MySql, Whole, "INTO");
    is_refused_with("select $a$ open", Postgres, Whole, "literal that is not closed");
    for grammar in ALL {
        for text in [
            "SELECT 1",
            "-- why\n/* b */ ((with x as (select 1) select * from x))",
            "values (1)",
            "table t",
            "select 'a; b' from t",
            "select replace(a, 'x', 'y') as replace, insert('abc', 1, 1, 'x') from t",
            "with x as (select a as update, b as delete from t) select * from x",
            "with x as (select replace(a, 'b', 'c') from t) select * from x where (update) > 1",
        ] {
            assert_eq!(taken(text, grammar, Paged), text);
        }
    }
}

#[test]
fn what_drivers_take_is_cut_off_or_made_a_blank() {
    for grammar in ALL {
        for text in [
            "select 1;",
            "select 1 ; -- nightly",
            "select 1;; /* done */\n",
            "\u{feff}select 1",
            "select\u{a0}1\u{a0};",
            "\u{3000}select 1",
        ] {
            assert_eq!(taken(text, grammar, Paged), "select 1", "{text:?}");
        }
        assert_eq!(taken("select '\u{a0}' as a", grammar, Paged), "select '\u{a0}' as a");
    }
    let text = "# note; it's ?\nselect 1 as a # end";
    for grammar in [MySql, MariaDb, TiDb] {
        assert_eq!(taken(text, grammar, Paged), text);
    }
}

#[test]
fn modifiers_of_the_outermost_select_are_left_out_of_a_derived_table() {
    let cleaned = |sql: &str| without_modifiers(sql, MySql).split_whitespace().collect::<Vec<_>>().join(" ");
    for (sql, expected) in [
        ("select HIGH_PRIORITY a from t", "select a from t"),
        ("select distinct sql_buffer_result SQL_CALC_FOUND_ROWS a, b from t", "select distinct a, b from t"),
        ("select SQL_NO_CACHE straight_join a from t", "select straight_join a from t"),
        ("(select sql_no_cache a from t) union select a from u", "(select a from t) union select a from u"),
        ("with x as (select 1) select sql_small_result a from x", "with x as (select 1) select a from x"),
        ("select /*!40001 SQL_NO_CACHE */ a from t", "select /*!40001 */ a from t"),
        (
            "select 'HIGH_PRIORITY', t.high_priority, `sql_cache` from t",
            "select 'HIGH_PRIORITY', t.high_priority, `sql_cache` from t",
        ),
        ("select a, sql_no_cache from t", "select a, sql_no_cache from t"),
    ] {
        assert_eq!(cleaned(sql), expected);
    }
    assert_eq!(without_modifiers("select high_priority from t", Postgres), "select high_priority from t");
}

#[test]
fn a_suffix_that_changes_order_position_or_statement_is_refused_where_there_is_a_cursor() {
    for (text, says) in [
        ("DESC", "changes the order with DESC (line 1, column 1)"),
        ("asc", "changes the order with ASC"),
        (" , other", "changes the order"),
        ("collate \"C\"", "changes the order with COLLATE"),
        ("NULLS FIRST", "changes the order with NULLS"),
        ("using >", "changes the order with USING"),
        ("/* c */ desc limit 5", "changes the order with DESC"),
        ("+ 0", "changes the order"),
        ("limit 5 desc", "changes the order"),
        ("union all select * from u", "joins another statement with UNION"),
        ("limit 5 union select * from u", "joins another statement"),
        ("where a = 1", "begins with WHERE"),
        ("and a = 1", "begins with AND"),
        ("order by x", "begins with ORDER"),
        ("limit 5 offset 5", "OFFSET"),
        ("limit 5, 5", "OFFSET"),
        ("offset 5", "OFFSET"),
        ("limit 0", "reads no row"),
        ("limit 5 rows examined 100", "ROWS EXAMINED"),
        ("for update skip locked", "locked"),
        ("; drop table t", "begins another statement"),
        (") as x", "closes a parenthesis"),
        ("limit ?", "has the parameter `?`"),
        ("limit 5 /* open", "comment that is not closed"),
    ] {
        for grammar in ALL {
            let found = suffix(text, grammar, Paged).unwrap_err();
            assert!(found.iter().any(|found| found.to_string().contains(says)), "{grammar:?} {text:?}: {found:?}");
        }
    }
}

#[test]
fn a_suffix_that_limits_locks_or_hints_is_taken() {
    for grammar in ALL {
        for text in [
            "limit 5",
            "LIMIT 100",
            "fetch first 5 rows only",
            "offset 0 rows fetch next 5 rows only",
            "for share",
            "for update of t nowait",
            "lock in share mode",
            "with ur",
            "option (maxdop 1)",
            "/* nightly */",
            "limit 5 -- a page",
        ] {
            assert_eq!(suffix(text, grammar, Paged).unwrap(), text);
        }
        assert_eq!(suffix("limit 5;", grammar, Paged).unwrap(), "limit 5");
        for text in ["where a > 5 order by b desc", "where a > 1 limit 5 offset 5", "union all select * from u"] {
            assert_eq!(suffix(text, grammar, Whole).unwrap(), text);
        }
        assert!(suffix("; select 1", grammar, Whole).is_err());
        assert!(suffix("limit 5 into outfile 'x'", grammar, Whole).is_err());
        assert!(cuts("limit 5", grammar) && cuts("FETCH first 5 rows only", grammar));
        assert!(!cuts("for share /* limit 5 */", grammar) && !cuts("where a = 'limit'", grammar));
    }
}
