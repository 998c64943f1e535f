//! Roles that are granted to an account and not active in its sessions: their rights are denied all the same.

use sqlx::mysql::MySqlConnection;

use super::super::statement::{Doing, statement};
use super::super::vigil::Vigil;
use super::session::{answered, text};
use crate::error::Result;

/// The statement that would make the roles of the account active; none if it has none, or one is active.
pub(super) async fn inactive(connection: &mut MySqlConnection, vigil: &Vigil) -> Option<String> {
    // On any error the advice stays a general one.
    found(connection, vigil).await.ok().flatten()
}

async fn found(connection: &mut MySqlConnection, vigil: &Vigil) -> Result<Option<String>> {
    let session = sqlx::raw_sql("select current_role(), current_user(), version()").fetch_one(&mut *connection);
    let session = answered(vigil, Doing::Connect, session).await?;
    if text(&session, 0)?.is_some_and(|active| !active.is_empty() && active != "NONE") {
        return Ok(None);
    }
    let (user, host) = text(&session, 1)?.and_then(|account| account.rsplit_once('@')).unwrap_or(("", "%"));
    let word = if text(&session, 2)?.is_some_and(|version| version.contains("MariaDB")) { "FOR" } else { "TO" };
    let grants = answered(vigil, Doing::Connect, sqlx::raw_sql(statement("show grants")).fetch_all(connection)).await?;
    let mut roles = Vec::new();
    for row in &grants {
        roles.extend(text(row, 0)?.and_then(role_of).map(str::to_owned));
    }
    let account = format!("'{}'@'{}'", user.replace('\'', "''"), host.replace('\'', "''"));
    let list = roles.join(", ");
    Ok((!roles.is_empty()).then(|| {
        format!("{list} is granted, but not active in the account's sessions: SET DEFAULT ROLE {list} {word} {account}")
    }))
}

/// The roles of a line of SHOW GRANTS; their names are quoted, those of privileges are not.
fn role_of(grant: &str) -> Option<&str> {
    let rest = grant.strip_prefix("GRANT ").filter(|rest| rest.starts_with(['`', '\'', '"']))?;
    rest.split_once(" TO ").map(|(roles, _)| roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_from_privileges() {
        assert_eq!(role_of("GRANT `reader`@`%` TO `u`@`%`"), Some("`reader`@`%`"));
        assert_eq!(role_of("GRANT `a`@`%`,`b`@`%` TO `u`@`%`"), Some("`a`@`%`,`b`@`%`"));
        assert_eq!(role_of("GRANT 'reader'@'%' TO 'u'@'%'"), Some("'reader'@'%'"));
        assert_eq!(role_of("GRANT SELECT ON *.* TO `u`@`%`"), None);
    }
}
