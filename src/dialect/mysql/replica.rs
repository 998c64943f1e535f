//! The lag of a replica, as `SHOW REPLICA STATUS` tells it: the largest of its channels. TiDB has no replicas.

use sqlx::mysql::MySqlRow;
use sqlx::{Column, Row};

use super::super::replica::ReplicaLag;
use super::super::statement::Doing;
use super::server::Server;
use super::session::{Session, text};
use crate::error::{ErrorKind, Result};

pub(super) async fn lag(session: &mut Session) -> Result<ReplicaLag> {
    let sql = match session.kind {
        // Of all channels, as MySQL's statement does.
        Server::MariaDb => "show all slaves status",
        Server::MySql => "show replica status",
        Server::TiDb => return Ok(ReplicaLag::NoReplica),
    };
    let rows = match session.texts(sql, Doing::Describe).await {
        Err(error) if error.kind() != ErrorKind::Unreachable => return Ok(ReplicaLag::Untold(error.report())),
        rows => rows?,
    };
    let mut largest = ReplicaLag::NoReplica;
    for row in &rows {
        match (of_channel(row)?, &largest) {
            (ReplicaLag::Behind(lag), ReplicaLag::Behind(other)) if lag <= *other => {}
            (stopped @ ReplicaLag::Stopped(_), _) => return Ok(stopped),
            (lag, _) => largest = lag,
        }
    }
    Ok(largest)
}

fn of_channel(row: &MySqlRow) -> Result<ReplicaLag> {
    let named = |names: [&str; 2]| -> Result<Option<String>> {
        let is_it = |name: &str| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        let place = row.columns().iter().position(|column| is_it(column.name()));
        Ok(place.map(|index| text(row, index)).transpose()?.flatten().map(str::to_owned))
    };
    let number = |text: Option<String>| text.and_then(|text| text.parse::<f64>().ok());
    let delay = number(named(["SQL_Delay", "SQL_Delay"])?).unwrap_or_default();
    if let Some(seconds) = number(named(["Seconds_Behind_Source", "Seconds_Behind_Master"])?) {
        return Ok(ReplicaLag::beyond(seconds, delay));
    }
    let state = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
    let receiver = state(named(["Replica_IO_Running", "Slave_IO_Running"])?);
    let applier = state(named(["Replica_SQL_Running", "Slave_SQL_Running"])?);
    Ok(ReplicaLag::Stopped(format!("receiver running: {receiver}, applier running: {applier}")))
}
