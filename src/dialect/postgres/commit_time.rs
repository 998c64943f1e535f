//! The time at which a row's transaction was committed, where the server keeps it (`track_commit_timestamp`).

use super::super::connection::no_commit_time;
use super::super::statement::Doing;
use super::session::{Session, answered, get};
use super::transactions;
use crate::error::Result;
use crate::model::{ColumnDefinition, Field, FieldType, Projection, Relation};

/// The system column that holds the id of the transaction that wrote a row. No other column can have the name.
const XMIN: &str = "xmin";

/// The column that gives the time of commit of each row of a table.
///
/// # Errors
/// `Config` with the reason if the server does not keep the times, or the rows do not tell their transaction.
pub(super) async fn of(session: &mut Session, relation: &Relation) -> Result<ColumnDefinition> {
    let Relation::Table(id) = relation else {
        return Err(no_commit_time("the rows of a query do not tell their transaction", "poll the table itself"));
    };
    session.begin().await?;
    let call = sqlx::query("select current_setting('track_commit_timestamp') = 'on'").persistent(false);
    let row = answered(&session.vigil, Doing::Describe, call.fetch_one(&mut session.connection)).await?;
    if !get::<bool>(&row, 0)? {
        return Err(no_commit_time(
            "the server does not keep the times of commits",
            "set track_commit_timestamp = on in postgresql.conf and start the server again; it then knows them of later commits",
        ));
    }
    let support = transactions::support(session, id).await?;
    session.end().await?;
    support.tells_transactions().map_err(|(why, raise)| no_commit_time(why, raise))?;
    Ok(ColumnDefinition {
        field: Field { name: XMIN.to_owned(), field_type: FieldType::Int64, optional: true, doc: None },
        database_type: "xid".to_owned(),
        collation: None,
        seen_in: None,
        projection: Projection::CommitTime,
        not_null: false,
        is_visible: false,
        has_broken_dates: false,
        may_be_null: true,
        auto_increment: false,
        cursor: None,
    })
}
