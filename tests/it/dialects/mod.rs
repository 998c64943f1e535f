//! The contract of a dialect, run over each one with the database as oracle; every test has a schema, a
//! database or a file of its own. A dialect takes part by a file that says how to make such a place
//! ([`place::Database`]) and a line in `contract!` below; what only one of them can do is tested beside.

mod catalog;
mod errors;
mod mysql;
mod mysql_keys;
mod mysql_servers;
mod mysql_types;
mod paging;
mod place;
mod postgres;
mod postgres_identity;
mod postgres_only;
mod queries;
mod refusals;
mod sessions;
mod sqlite;
mod sqlite_only;
mod strangers;
mod tidb_past;
mod tls;
mod tls_chain;
mod values;
mod writers;

/// Every test of the contract, as `dialects::on_<name>::<test>`.
macro_rules! contract {
    ($($name:ident: $database:expr),* $(,)?) => { $(
        mod $name {
            each_test! { &$database;
                catalog: tables_are_listed_by_type_and_name;
                catalog: names_of_any_kind_can_be_read;
                catalog: keys_and_constraints_are_described;
                catalog: a_missing_table_names_the_near_ones;
                catalog: hostile_names_stay_names;
                catalog: rows_are_estimated_without_counting;
                catalog: a_server_is_known_again;
                paging: pages_follow_the_cursor_and_an_index_serves_them;
                paging: a_stream_can_pause_and_be_left;
                paging: the_upper_bound_is_the_database_s_clock;
                paging: ties_and_microseconds_are_read_once;
                paging: keys_of_text_break_ties_whatever_their_collation;
                paging: a_long_result_is_left_in_the_middle;
                values: the_ends_of_every_integer_type_arrive;
                values: a_value_of_twenty_megabytes_arrives;
                values: nulls_are_delivered;
                queries: a_query_is_described_and_read;
                queries: a_null_from_an_outer_join_makes_the_field_optional;
                errors: a_changed_table_is_noticed_between_two_pages;
                errors: a_table_that_is_made_anew_is_noticed;
                errors: rights_are_missed_by_name;
                errors: a_wrong_password_is_told_as_such;
                errors: a_session_that_is_ended_is_unreachable;
                errors: a_slow_statement_ends_at_its_limit;
                errors: unreachable_databases_are_told_apart;
                tls: tls_is_checked_as_far_as_asked;
                tls: another_authority_is_refused;
                tls: a_client_can_show_a_certificate;
                tls: any_authority_of_a_file_is_trusted;
                tls: a_client_s_key_is_taken_in_every_form;
                tls: a_stranger_s_key_is_refused_with_the_reason;
                tls: a_password_is_shown_with_and_without_tls;
                tls: another_kind_of_server_is_told;
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

/// The common contract of the servers of the MySQL family, beyond that of all dialects.
macro_rules! family {
    ($($name:ident: $database:expr),* $(,)?) => { $(
        mod $name {
            each_test! { &$database;
                mysql_keys: keys_of_every_type_are_paged;
                mysql_keys: the_server_s_own_rules_for_a_cursor_are_told;
                mysql_keys: the_last_id_is_known_after_its_row_is_gone;
                mysql_keys: the_clock_of_a_column_is_that_of_its_zone;
                mysql_keys: texts_of_a_query_are_read_in_the_zone_of_the_server;
                mysql_keys: nothing_is_written;
                mysql_keys: ids_of_several_servers_are_a_warning;
                mysql_servers: settings_of_the_session_are_honoured;
                mysql_servers: only_the_database_of_the_url_is_listed_on_request;
                mysql_types: every_type_arrives;
                mysql_types: expressions_have_the_type_the_server_gives_them;
                mysql_types: unsigned_ids_go_beyond_63_bits;
                mysql_types: another_type_is_noticed_between_two_pages;
                mysql_types: dates_and_times_that_are_none_do_what_is_asked;
                writers: an_open_writer_is_seen_from_its_begin_to_its_end;
                writers: nothing_is_written_before_the_start_of_what_is_open;
                writers: the_privilege_that_is_missing_is_told_and_enough;
                writers: what_shows_no_transactions_is_told;
                writers: a_look_that_is_broken_off_leaves_no_view_behind;
            }
        }
    )* };
}

/// The common contract of those of the family that are one server.
macro_rules! servers {
    ($($name:ident: $database:expr),* $(,)?) => { $(
        mod $name {
            each_test! { &$database;
                writers: a_statement_that_waits_for_a_lock_counts_from_its_begin;
                writers: a_prepared_transaction_is_seen;
                writers: a_list_is_fresh_or_said_not_to_be;
            }
        }
    )* };
}

servers! {
    server_mysql: super::mysql::MYSQL,
    server_mariadb: super::mysql::MARIADB,
}

family! {
    family_mysql: super::mysql::MYSQL,
    family_mariadb: super::mysql::MARIADB,
    family_tidb: super::mysql::TIDB,
}
