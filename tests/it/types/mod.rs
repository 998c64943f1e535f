//! Every type of every database at its extremes, as null and as key, with the database itself as the oracle; and
//! the zones: server, session and `db.timezone` against each other.

mod avro;
mod converters;
mod matrix;
mod mysql;
mod mysql_columns;
mod postgres;
mod postgres_columns;
mod registry_formats;
mod render;
mod sqlite;
mod transforms;
mod zones;
