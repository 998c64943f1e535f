//! The catalog: the tables, and the columns of one relation. Names and order are those of the prepared result; declared
//! types and NOT NULL come from the table a column originates from. For time columns the values are looked at, because
//! a declared type does not tell how SQLite keeps a time; on an empty table the answer is a guess, so describe again
//! once rows have come.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteArguments, SqliteColumn, SqliteStatement};
use sqlx::{Arguments, Column, Executor, SqlSafeStr, Statement};

use super::super::connection::{Catalog, Counted};
use super::super::late_support::LateSupport;
use super::super::near;
use super::super::statement::{Doing, statement};
use super::super::syntax::double_quoted;
use super::keys::{Origin, unique};
use super::session::{Session, answered, column};
use super::types::Declared;
use super::{facts, incarnation, transactions};
use crate::config::spec::CatalogFilter;
use crate::error::{Error, ErrorKind, Result};
use crate::model::cursor::TextTimeFormat;
use crate::model::{
    ColumnDefinition, CursorFact, CursorKind, Field, Incarnation, Relation, TableDefinition, TableId, UniqueKeys,
};

/// The table types of sqlite-jdbc.
pub(super) const TYPES: &[&str] = &["TABLE", "VIEW", "SYSTEM TABLE", "GLOBAL TEMPORARY"];

impl Catalog for Session {
    fn list_tables<'a>(&'a mut self, filter: &'a CatalogFilter) -> BoxFuture<'a, Result<Vec<TableId>>> {
        Box::pin(list_tables(self, filter))
    }

    fn describe<'a>(
        &'a mut self,
        relation: &'a Relation,
        time_columns: &'a [String],
    ) -> BoxFuture<'a, Result<TableDefinition>> {
        Box::pin(async move {
            self.refresh().await?;
            let definition = describe(self, relation, time_columns).await;
            definition.map_err(|error| error.with("table", relation))
        })
    }

    fn estimate_rows<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => estimate_rows(self, &id.name).await,
                Relation::Query(_) => Ok(None),
            }
        })
    }

    fn cursor_facts<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<CursorFact>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => facts::cursor_facts(self, &id.name, columns).await,
                Relation::Query(_) => Ok(Vec::new()),
            }
        })
    }

    fn last_id<'a>(&'a mut self, relation: &'a Relation, _column: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => last_id(self, &id.name).await,
                Relation::Query(_) => Ok(None),
            }
        })
    }

    fn incarnations<'a>(&'a mut self, tables: &'a [Counted]) -> BoxFuture<'a, Result<Vec<Option<Incarnation>>>> {
        Box::pin(incarnation::of(self, tables))
    }

    fn late_support<'a>(
        &'a mut self,
        relation: &'a Relation,
        _id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LateSupport>> {
        Box::pin(transactions::late_support(self, relation))
    }
}

async fn list_tables(session: &mut Session, filter: &CatalogFilter) -> Result<Vec<TableId>> {
    // As sqlite-jdbc: types that are all unknown mean every type.
    let any_known = filter.types.iter().any(|wanted| TYPES.contains(&wanted.as_str()));
    let wants = |name: &str| !any_known || filter.types.iter().any(|wanted| wanted == name);
    let sql = "select case when name like 'sqlite\\_%' escape '\\' then 'SYSTEM TABLE' else upper(type) end as type,
                 name from sqlite_schema where type in ('table', 'view')
               union all select 'GLOBAL TEMPORARY', name from sqlite_temp_schema where type = 'table'
               order by 1, 2";
    let mut tables = Vec::new();
    for row in session.rows(sql, SqliteArguments::default(), Doing::Describe).await? {
        if wants(&column::<String>(&row, 0)?) {
            tables.push(TableId { catalog: None, schema: None, name: column(&row, 1)? });
        }
    }
    Ok(tables)
}

/// The highest rowid, which the database finds without counting: rows to expect unless many were deleted.
/// None for an empty table, a view, and a table without rowid.
async fn estimate_rows(session: &mut Session, table: &str) -> Result<Option<u64>> {
    let sql = format!("select max(rowid) from {} as t", double_quoted(table));
    let rows = match session.rows(&sql, SqliteArguments::default(), Doing::Describe).await {
        // There is no such column.
        Err(error) if error.kind() == ErrorKind::SourceSchema => return Ok(None),
        answered => answered?,
    };
    let Some(row) = rows.first() else { return Ok(None) };
    let highest: Option<i64> = column(row, 0)?;
    Ok(highest.and_then(|highest| u64::try_from(highest).ok()).filter(|highest| *highest > 0))
}

/// The last rowid ever given, which SQLite keeps for AUTOINCREMENT only; it gives the others again.
async fn last_id(session: &mut Session, table: &str) -> Result<Option<i64>> {
    let mut binds = SqliteArguments::default();
    binds.add(table.to_owned()).map_err(|_| Error::internal("a table name cannot be bound"))?;
    let sql = "select seq from sqlite_sequence where name = ?1 collate nocase";
    let rows = match session.rows(sql, binds, Doing::Describe).await {
        // No table of the file has an AUTOINCREMENT.
        Err(error) if error.kind() == ErrorKind::SourceSchema => return Ok(None),
        answered => answered?,
    };
    rows.first().map_or(Ok(None), |row| column(row, 0))
}

/// A statement about a relation, not run. A table that is not there is told with those that are named alike.
async fn prepared(session: &mut Session, relation: &Relation, sql: &str) -> Result<SqliteStatement> {
    let prepare = (&mut session.connection).prepare(statement(sql).into_sql_str());
    let error = match answered(&session.vigil, Doing::Describe, prepare).await {
        Ok(prepared) => return Ok(prepared),
        Err(error) => error,
    };
    let Relation::Table(id) = relation else { return Err(error) };
    if error.kind() != ErrorKind::SourceSchema {
        return Err(error);
    }
    let all = CatalogFilter { types: TYPES.iter().map(|name| (*name).to_owned()).collect(), ..Default::default() };
    let known = list_tables(session, &all).await.unwrap_or_default();
    Err(near::advised(error, &id.name, known.into_iter().map(|id| id.name)))
}

async fn describe(session: &mut Session, relation: &Relation, time_columns: &[String]) -> Result<TableDefinition> {
    let base = match relation {
        Relation::Table(id) => double_quoted(&id.name),
        Relation::Query(sql) => format!("({sql}\n)"),
    };
    let prepared = prepared(session, relation, &format!("select * from {base} as t")).await?;
    let own_table = match relation {
        Relation::Table(id) => Some(id.name.as_str()),
        Relation::Query(_) => None,
    };
    let mut definition = TableDefinition {
        relation: relation.clone(),
        columns: Vec::new(),
        skipped: Vec::new(),
        by_driver: Vec::new(),
        primary_key: Vec::new(),
        indexes: Vec::new(),
        unique: UniqueKeys::none_because("it is a query"),
        comment: None,
    };
    let mut key: Vec<(i64, String)> = Vec::new();
    let mut tables = HashMap::new();
    for found in prepared.columns() {
        let name = found.name().to_owned();
        // SQLite itself tells `a` and `a` of a subquery apart as `a` and `a:1`.
        let same = |known: &str| known == name || name.strip_prefix(known).is_some_and(is_repetition);
        if definition.columns.iter().any(|known| same(&known.field.name)) {
            return Err(Error::new(ErrorKind::SourceSchema, "two columns have the same name")
                .with("column", &name)
                .advise("give each column of the query a name of its own"));
        }
        let origin = origin(session, &mut tables, found).await?;
        let is_own = own_table.is_some_and(|own| table_of(found).is_some_and(|table| table.eq_ignore_ascii_case(own)));
        if is_own && origin.key > 0 {
            key.push((origin.key, name.clone()));
        }
        let wanted = time_columns.iter().any(|wanted| wanted.eq_ignore_ascii_case(&name));
        let definition_of = define(session, relation, &base, name, &origin, wanted, is_own).await?;
        definition.columns.push(definition_of);
    }
    key.sort();
    definition.primary_key = key.into_iter().map(|(_, name)| name).collect();
    if let Some(table) = own_table {
        let origins = tables.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(table));
        definition.unique = match origins {
            Some((table, columns)) => unique(session, &table, &columns).await?,
            None => UniqueKeys::none_because("it is a view"),
        };
    }
    Ok(definition)
}

fn is_repetition(suffix: &str) -> bool {
    suffix.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn table_of(found: &SqliteColumn) -> Option<String> {
    found.origin().table_column().map(|origin| origin.table.to_string())
}

/// The declaration of the column in its own table; nothing for an expression.
async fn origin(
    session: &mut Session,
    tables: &mut HashMap<String, HashMap<String, Origin>>,
    found: &SqliteColumn,
) -> Result<Origin> {
    let expression = Origin {
        declared: String::new(),
        not_null: false,
        never_null: false,
        key: 0,
        is_rowid: false,
        collated: false,
    };
    let place = found.origin();
    let Some(place) = place.table_column() else { return Ok(expression) };
    let table = place.table.to_string();
    if !tables.contains_key(&table) {
        let columns = declared_columns(session, &table).await?;
        tables.insert(table.clone(), columns);
    }
    Ok(tables.get(&table).and_then(|columns| columns.get(&*place.name)).cloned().unwrap_or(expression))
}

async fn declared_columns(session: &mut Session, table: &str) -> Result<HashMap<String, Origin>> {
    let sql = "select name, type, \"notnull\", pk, coalesce((select wr from pragma_table_list(?1) limit 1), 0),
                 exists(select 1 from sqlite_schema s where s.name = ?1 collate nocase and s.sql like '%collate%')
               from pragma_table_xinfo(?1)";
    let mut binds = SqliteArguments::default();
    binds.add(table.to_owned()).map_err(|_| Error::internal("a table name cannot be bound"))?;
    let rows = session.rows(sql, binds, Doing::Describe).await?;
    let mut columns = HashMap::new();
    for row in &rows {
        let declared: String = column(row, 1)?;
        let key: i64 = column(row, 3)?;
        let without_rowid = column::<i64>(row, 4)? != 0;
        let is_rowid = key == 1 && !without_rowid && declared.eq_ignore_ascii_case("INTEGER");
        let not_null = column::<i64>(row, 2)? != 0;
        let collated = column::<i64>(row, 5)? != 0;
        let never_null = not_null || key > 0 && without_rowid;
        columns.insert(column(row, 0)?, Origin { declared, not_null, never_null, key, is_rowid, collated });
    }
    let in_key = columns.values().filter(|column: &&Origin| column.key > 0).count();
    for column in columns.values_mut() {
        column.is_rowid &= in_key == 1;
        column.never_null |= column.is_rowid;
    }
    Ok(columns)
}

async fn define(
    session: &mut Session,
    relation: &Relation,
    base: &str,
    name: String,
    origin: &Origin,
    wanted_as_time: bool,
    is_own: bool,
) -> Result<ColumnDefinition> {
    let declared = Declared::parse(&origin.declared);
    let is_known = |notes: &HashMap<Relation, std::collections::HashSet<String>>| {
        notes.get(relation).is_some_and(|columns| columns.contains(&name))
    };
    let gave_null = is_known(&session.notes.nullable);
    let mut wide = is_known(&session.notes.wide);
    if origin.is_rowid && !wide {
        wide = is_beyond_32_bits(session, base, &name).await?;
    }
    let (field_type, projection) = declared.field(&session.types.of(relation, &name), wide);
    let cursor = if wanted_as_time {
        Some(time_kind(session, base, &name, &declared).await.map_err(|error| error.with("column", &name))?)
    } else if declared.is_time() && is_own && origin.key > 0 {
        match time_kind(session, base, &name, &declared).await {
            Err(error) if error.kind() == ErrorKind::SourceSchema => None,
            kind => Some(kind?),
        }
    } else if declared.is_time() {
        None
    } else {
        declared.cursor()
    };
    Ok(ColumnDefinition {
        field: Field { name, field_type, optional: !origin.not_null || gave_null, doc: None },
        database_type: if origin.declared.is_empty() { "ANY".to_owned() } else { origin.declared.clone() },
        // SQLite does not tell which; pinning the order of bytes once too often costs nothing.
        collation: (origin.collated && declared.is_text()).then(|| "declared".to_owned()),
        seen_in: None,
        projection,
        not_null: origin.not_null || (is_own && origin.key > 0),
        is_visible: true,
        has_broken_dates: false,
        may_be_null: !(is_own && origin.never_null),
        auto_increment: is_own && origin.is_rowid,
        cursor,
    })
}

async fn is_beyond_32_bits(session: &mut Session, base: &str, name: &str) -> Result<bool> {
    let id = double_quoted(name);
    let sql = format!("select (select max(t.{id}) from {base} as t), (select min(t.{id}) from {base} as t)");
    let rows = session.rows(&sql, SqliteArguments::default(), Doing::Describe).await?;
    let mut beyond = false;
    for index in [0, 1] {
        let value: Option<i64> = rows.first().map_or(Ok(None), |row| column(row, index))?;
        beyond |= value.is_some_and(|value| i32::try_from(value).is_err());
    }
    Ok(beyond)
}

/// The form of the column's times, by its least and greatest value (one look each into an index).
async fn time_kind(session: &mut Session, base: &str, name: &str, declared: &Declared) -> Result<CursorKind> {
    let id = double_quoted(name);
    let sql = format!(
        "select typeof(low), cast(low as text), typeof(high), cast(high as text) from (
           select (select min(t.{id}) from {base} as t) as low, (select max(t.{id}) from {base} as t) as high)"
    );
    let rows = session.rows(&sql, SqliteArguments::default(), Doing::Describe).await?;
    let row = rows.first().ok_or_else(|| Error::internal("an aggregate gave no row"))?;
    let (low, high): (String, String) = (column(row, 0)?, column(row, 2)?);
    let (low_text, high_text): (Option<String>, Option<String>) = (column(row, 1)?, column(row, 3)?);
    let is_number = |class: &str| class == "integer" || class == "real";
    // A Julian day at noon is a whole number, which SQLite may keep as an integer.
    if low != high && is_number(&low) && is_number(&high) && is_julian(&low_text) && is_julian(&high_text) {
        return Ok(CursorKind::JulianDay);
    }
    if low != high {
        let problem = format!("the timestamp column holds values of the classes {low} and {high}");
        return Err(Error::new(ErrorKind::SourceSchema, problem).advise("store all its values in one form"));
    }
    match high.as_str() {
        "integer" => Ok(CursorKind::Epoch { per_second: session.per_second }),
        "real" => Ok(CursorKind::JulianDay),
        "text" => {
            let format = |text: Option<String>| text.and_then(|text| TextTimeFormat::detect(&text));
            match (format(low_text), format(high_text)) {
                (Some(low), Some(high)) if low == high => Ok(CursorKind::TextTimestamp(high)),
                (Some(_), Some(_)) => Err(Error::new(
                    ErrorKind::SourceSchema,
                    "the timestamp column holds text in more than one format, which does not sort by time",
                )
                .advise("write all its values in one format, for example YYYY-MM-DD HH:MM:SS.SSS")),
                _ => Err(Error::new(
                    ErrorKind::SourceSchema,
                    "the timestamp column holds text that is not YYYY-MM-DD HH:MM:SS[.f]",
                )),
            }
        }
        "null" if declared.is_integer() => Ok(CursorKind::Epoch { per_second: session.per_second }),
        "null" => Ok(CursorKind::TextTimestamp(TextTimeFormat { t_separator: false, digits: 3, z_suffix: false })),
        _ => Err(Error::new(ErrorKind::SourceSchema, "the timestamp column holds bytes")),
    }
}

/// A Julian day of the years 0 to 9999.
fn is_julian(text: &Option<String>) -> bool {
    let days = text.as_deref().and_then(|text| text.parse::<f64>().ok());
    days.is_some_and(|days| (1_721_059.5..5_373_484.5).contains(&days))
}
