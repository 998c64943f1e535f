//! The columns that make one timestamp: one of them, or a COALESCE of several, which the database has to compare as one
//! type. Times with and without a zone are brought to one form where the zones say which instant a wall clock is.

use super::order::usable_kind;
use super::{CursorRole, SqlStyle};
use crate::dialect::syntax::Mixed;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ColumnDefinition, CursorKind, TableDefinition};
use crate::zone::Zone;

/// One cursor column, as SQL, and the facts about its values.
pub(super) struct Coalesced<'a> {
    pub(super) plain: String,
    pub(super) kind: CursorKind,
    /// The column whose type the values have.
    pub(super) typed_as: &'a ColumnDefinition,
    /// [`ColumnDefinition::seen_in`].
    pub(super) seen_in: Option<Zone>,
}

/// Resolves the columns, each with its SQL; at least one.
///
/// # Errors
/// `SourceSchema` if one cannot serve, or they cannot be one.
pub(super) fn of<'a>(
    definition: &TableDefinition,
    role: CursorRole,
    members: &[(String, &'a ColumnDefinition)],
    style: SqlStyle<'_>,
) -> Result<Coalesced<'a>> {
    let Some((first_sql, first)) = members.first() else {
        return Err(Error::internal("a cursor column without a name"));
    };
    let mut kind = usable_kind(definition, role, first)?;
    if members.len() == 1 {
        return Ok(Coalesced { plain: first_sql.clone(), kind, typed_as: first, seen_in: first.seen_in });
    }
    let mut is_mixed = false;
    for (_, other) in &members[1..] {
        let (both, mixes) = other
            .cursor
            .and_then(|other| common(kind, other))
            .ok_or_else(|| refused(definition, first, other, "name columns of one and the same type".to_owned()))?;
        (kind, is_mixed) = (both, is_mixed || mixes);
    }
    let sql: Vec<&str> = members.iter().map(|(sql, _)| sql.as_str()).collect();
    if !is_mixed {
        return Ok(Coalesced { plain: coalesce(&sql), kind, typed_as: first, seen_in: first.seen_in });
    }
    let other = members.iter().map(|(_, column)| *column).find(|column| is_zoned(column) != is_zoned(first));
    let other = other.unwrap_or(first);
    let (instants, walls) = if is_zoned(first) { (*first, other) } else { (other, *first) };
    let session = instants.seen_in.unwrap_or(style.zone);
    match style.syntax.mixed(&style.zone, &session) {
        Mixed::AsInstants(convert) => {
            let plain = converted(members, &convert, |column| !is_zoned(column));
            Ok(Coalesced { plain, kind: zoned(kind, true), typed_as: instants, seen_in: instants.seen_in })
        }
        Mixed::AsWallClocks(convert) => {
            let plain = converted(members, &convert, is_zoned);
            Ok(Coalesced { plain, kind: zoned(kind, false), typed_as: walls, seen_in: walls.seen_in })
        }
        Mixed::No(convert) => {
            let name = |column: &ColumnDefinition| style.syntax.quote(&column.field.name);
            let cast = |column: &ColumnDefinition| {
                if is_zoned(column) { convert.replace("{}", &name(column)) } else { name(column) }
            };
            let cast: Vec<String> = members.iter().map(|(_, column)| cast(column)).collect();
            let advice = format!(
                "give the two one zone in a query: query=select t.*, {} as polled_at from {} t, with \
                 timestamp.column.name=polled_at; or name columns of one and the same type",
                coalesce(&cast),
                definition.relation
            );
            Err(refused(definition, first, other, advice))
        }
    }
}

fn is_zoned(column: &ColumnDefinition) -> bool {
    matches!(column.cursor, Some(CursorKind::Timestamp { zoned: true, .. }))
}

/// The COALESCE of the columns, some of which are converted.
fn converted(
    members: &[(String, &ColumnDefinition)],
    convert: &str,
    which: impl Fn(&ColumnDefinition) -> bool,
) -> String {
    let one = |(sql, column): &(String, &ColumnDefinition)| {
        if which(column) { convert.replace("{}", sql) } else { sql.clone() }
    };
    coalesce(&members.iter().map(one).collect::<Vec<String>>())
}

fn coalesce<T: AsRef<str>>(members: &[T]) -> String {
    let members: Vec<&str> = members.iter().map(AsRef::as_ref).collect();
    format!("coalesce({})", members.join(", "))
}

fn refused(definition: &TableDefinition, first: &ColumnDefinition, other: &ColumnDefinition, advice: String) -> Error {
    let message = format!(
        "the timestamp columns `{}` ({}) and `{}` ({}) cannot be coalesced into one cursor",
        first.field.name, first.database_type, other.field.name, other.database_type
    );
    Error::new(ErrorKind::SourceSchema, message).with("table", &definition.relation).advise(advice)
}

fn zoned(kind: CursorKind, zoned: bool) -> CursorKind {
    match kind {
        CursorKind::Timestamp { digits, .. } => CursorKind::Timestamp { zoned, digits },
        kind => kind,
    }
}

/// The kind of a COALESCE of two columns, if the database compares them as one type, and whether one of them has a zone
/// and the other has none.
fn common(one: CursorKind, other: CursorKind) -> Option<(CursorKind, bool)> {
    match (one, other) {
        (CursorKind::Timestamp { zoned, digits }, CursorKind::Timestamp { zoned: same, digits: more }) => {
            Some((CursorKind::Timestamp { zoned, digits: digits.max(more) }, zoned != same))
        }
        _ => (one == other).then_some((one, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Planner;
    use super::super::tests::{column, orders};
    use super::*;
    use crate::dialect::{Dialect, SqlSyntax, mysql::MySql, postgres::Postgres};
    use crate::model::Mode;

    /// The page of a COALESCE of a time with a zone, seen in `session`, and one without.
    fn page(syntax: &'static dyn SqlSyntax, zone: &str, session: Option<&str>) -> Result<String> {
        let time = |name, zoned| {
            let seen_in = session.filter(|_| zoned).map(|session| session.parse().unwrap());
            let cursor = Some(CursorKind::Timestamp { zoned, digits: 6 });
            ColumnDefinition { seen_in, ..column(name, "timestamp(6)", cursor) }
        };
        let mut definition = orders();
        definition.columns[2] = time("created", true);
        definition.columns[3] = time("changed", false);
        let mode = Mode::Timestamp { columns: vec!["changed".into(), "created".into()] };
        let zone = zone.parse().unwrap();
        let style = SqlStyle { syntax, quote: true, unqualified: true, suffix: None, zone };
        Planner::new(&definition, &mode, style).map(|planner| planner.page(None, None, 9).sql)
    }

    #[test]
    fn a_wall_clock_beside_an_instant_is_read_in_db_timezone_on_postgresql() {
        let page = |zone| page(Postgres.syntax(), zone, None).unwrap();
        assert!(page("UTC").contains(r#"coalesce(t."changed" at time zone 'UTC', t."created")"#), "{}", page("UTC"));
        assert!(page("Europe/Berlin").contains(r#"t."changed" at time zone 'Europe/Berlin'"#));
        assert!(page("-05:30").contains(r#"t."changed" at time zone interval '-05:30'"#), "{}", page("-05:30"));
    }

    #[test]
    fn an_instant_beside_a_wall_clock_is_shown_in_the_zone_of_the_session_on_mysql() {
        let page = |zone, session| page(MySql.syntax(), zone, session);
        assert!(page("UTC", None).unwrap().contains("coalesce(t.`changed`, t.`created`)"));
        let shown = "coalesce(t.`changed`, convert_tz(t.`created`, '+00:00', '+02:00'))";
        assert!(page("+02:00", None).unwrap().contains(shown));
        assert!(page("UTC", Some("+02:00")).unwrap().contains(shown));
        let refused = page("UTC", Some("Europe/Berlin")).unwrap_err();
        assert!(refused.to_string().contains("cannot be coalesced"), "{refused}");
        let query = "query=select t.*, coalesce(`changed`, `created`) as polled_at from shop.";
        assert!(refused.advice().contains(query), "{}", refused.advice());
    }
}
