//! The contract of a dialect, run over each one with the database as oracle; every test has a schema, a
//! database or a file of its own. A dialect takes part by a file that says how to make such a place
//! ([`place::Database`]) and a line in `contract!` below; what only one of them can do is tested beside.

mod catalog;
mod errors;
mod mysql;
mod paging;
mod place;
mod postgres;
mod postgres_identity;
mod postgres_only;
mod queries;
mod sqlite;
mod sqlite_only;
mod values;

/// Every test of the contract, as `dialects::on_<name>::<test>`.
macro_rules! contract {
    ($($name:ident: $database:expr),* $(,)?) => { $(
        mod $name {
            each_test! { &$database;
                catalog: tables_are_listed_by_type_and_name;
                catalog: names_of_any_kind_can_be_read;
                catalog: keys_and_constraints_are_described;
                catalog: a_missing_table_names_the_near_ones;
                paging: pages_follow_the_cursor_and_an_index_serves_them;
                paging: a_stream_can_pause_and_be_left;
                paging: the_upper_bound_is_the_database_s_clock;
                values: nulls_are_delivered;
                queries: a_query_is_described_and_read;
                queries: a_null_from_an_outer_join_makes_the_field_optional;
                errors: a_changed_table_is_noticed_between_two_pages;
                errors: unreachable_databases_are_told_apart;
            }
        }
    )* };
}

macro_rules! each_test {
    ($database:expr; $($file:ident: $test:ident;)*) => {
        $(#[tokio::test] async fn $test() { super::$file::$test($database).await })*
    };
}

contract! {
    on_postgres: super::postgres::Postgres,
    on_mysql: super::mysql::MYSQL,
    on_mariadb: super::mysql::MARIADB,
    on_tidb: super::mysql::TIDB,
    on_sqlite: super::sqlite::Sqlite,
}
