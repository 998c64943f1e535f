//! Queries with user variables, whose values change the column types that the server reports: Kafka Connect registers
//! one schema before such a query is read for the first time, and another one afterwards. They are refused once that
//! shows.

use std::collections::HashMap;

use sqlx::mysql::MySqlColumn;
use sqlx::{Column, ColumnOrigin};

use super::types::ColumnType;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Relation;
use crate::sql::{Grammar, user_variables};

/// The column types of a query with user variables, kept as long as the session lives, and with it the values of the
/// variables.
#[derive(Default)]
pub(super) struct Variables {
    /// The types of its expressions, when it was described last.
    computed: Vec<(String, ColumnType)>,
    /// The column that has come in another type than was said.
    pub(super) disputed: Option<String>,
    /// The column whose type has turned out to depend on a variable.
    unsettled: Option<String>,
}

/// Takes in the description of a query.
///
/// # Errors
/// `SourceSchema` if the type of a column depends on the value that a user variable has got.
pub(super) fn settle(
    known: &mut HashMap<Relation, Variables>,
    relation: &Relation,
    sql: &str,
    columns: &[MySqlColumn],
) -> Result<()> {
    let names = user_variables(sql, Grammar::MySql);
    let Some(first) = names.first() else { return Ok(()) };
    let computed: Vec<(String, ColumnType)> = columns
        .iter()
        .filter(|column| matches!(column.origin(), ColumnOrigin::Expression))
        .map(|column| (column.name().to_owned(), ColumnType::of_result(column.type_info())))
        .collect();
    let known = known.entry(relation.clone()).or_default();
    let is_another = |(name, of): &&(String, ColumnType)| known.computed.iter().any(|(n, was)| n == name && was != of);
    let changed = computed.iter().find(is_another).map(|(name, _)| name.clone());
    let disputed = known.disputed.take().filter(|name| computed.iter().any(|(computed, _)| computed == name));
    known.unsettled = known.unsettled.take().or(changed).or(disputed);
    known.computed = computed;
    let Some(column) = &known.unsettled else { return Ok(()) };
    let message = format!("the type of a column changes with the value of a user variable ({})", names.join(", "));
    Err(Error::new(ErrorKind::SourceSchema, message).with("table", relation).with("column", column).advise(format!(
        "give the column a type of its own in the query, as cast({first} as signed) or cast({first} as char) have one"
    )))
}
