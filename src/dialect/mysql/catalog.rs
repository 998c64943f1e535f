//! The catalog: the tables, and the columns of one relation. A table is described by the catalog, which also knows what
//! a result does not tell; a query by its result.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use sqlx::mysql::MySqlColumn;
use sqlx::{Column, Executor, SqlSafeStr};

use super::super::connection::{Catalog, Counted};
use super::super::late_support::LateSupport;
use super::super::near;
use super::super::statement::{Doing, statement};
use super::classify::number_of;
use super::keys::Keys;
use super::server::Server;
use super::session::{OF_HIDDEN, Session, answered, is_table, text};
use super::syntax::{back_quoted, sql_name};
use super::types::ColumnType;
use super::wire::Kind;
use super::{comments, facts, grants, incarnation, keys, roles, transactions, variables};
use crate::config::spec::{CatalogFilter, Unsupported, ZeroDate};
use crate::error::{Error, ErrorKind, Result};
use crate::model::drivers::DriverTypes;
use crate::model::{
    ColumnDefinition, Comments, CursorFact, DriverColumn, DriverForm, Field, FieldType, Incarnation, Projection,
    Relation, SkippedColumn, TableDefinition, TableId,
};
use crate::sql::{Grammar, without_modifiers};

/// Databases of the server's own, the first three of which the drivers know as such.
const SYSTEM: &str = "lower(table_schema) in ('mysql', 'information_schema', 'performance_schema', 'sys', \
                      'metrics_schema')";

const BROKEN_KEY: &str = "the key holds invalid dates (zero, or without month or day), which have no place in an \
                          order: a load reads the table in one piece instead of pages";

/// The table types of Connector/J, in their order: their names in the catalog, and whether they are the server's own.
pub(super) const TABLE_TYPES: &[(&str, &str, bool)] = &[
    ("SYSTEM TABLE", "'BASE TABLE', 'SYSTEM VERSIONED'", true),
    ("SYSTEM VIEW", "'SYSTEM VIEW', 'VIEW'", true),
    ("TABLE", "'BASE TABLE', 'SYSTEM VERSIONED'", false),
    ("VIEW", "'VIEW'", false),
];

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
            self.notes.stale = true;
            self.begin(relation).await?;
            describe(self, relation, time_columns).await.map_err(|error| error.with("table", relation))
        })
    }

    fn comments<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Comments>> {
        Box::pin(comments::of(self, relation))
    }

    fn estimate_rows<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => estimate_rows(self, id).await,
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
                Relation::Table(id) => facts::cursor_facts(self, id, columns).await,
                Relation::Query(_) => Ok(Vec::new()),
            }
        })
    }

    fn last_id<'a>(&'a mut self, relation: &'a Relation, column: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        Box::pin(async move {
            match relation {
                Relation::Table(id) => facts::last_id(self, id, column).await,
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
        id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LateSupport>> {
        Box::pin(transactions::late_support(self, relation, id))
    }
}

async fn list_tables(session: &mut Session, filter: &CatalogFilter) -> Result<Vec<TableId>> {
    // MariaDB's catalog gives nothing at all if it is asked through a derived table, so all is in one SELECT.
    let conditions: Vec<String> = TABLE_TYPES
        .iter()
        .filter(|(name, ..)| filter.types.iter().any(|wanted| wanted == name))
        .map(|(_, types, of_system)| format!("(table_type in ({types}) and ({SYSTEM}) = {})", u8::from(*of_system)))
        .collect();
    if conditions.is_empty() {
        return Ok(Vec::new());
    }
    let order: Vec<String> = conditions.iter().enumerate().map(|(rank, of)| format!("when {of} then {rank}")).collect();
    let sql = format!(
        "select table_schema, table_name from information_schema.tables
         where (? = '' or table_schema = ?) and ({})
         order by case {} end, table_schema, table_name",
        conditions.join(" or "),
        order.join(" ")
    );
    let wanted = match (&filter.catalog, &session.database) {
        (Some(catalog), _) if !catalog.is_empty() => catalog.clone(),
        (None, Some(database)) if session.current_database_only => database.clone(),
        _ => String::new(),
    };
    let rows = session.rows(&sql, &[&wanted, &wanted], Doing::Describe).await?;
    rows.iter()
        .map(|row| {
            let part = |index| Ok::<_, Error>(text(row, index)?.unwrap_or_default().to_owned());
            Ok(TableId { catalog: Some(part(0)?), schema: None, name: part(1)? })
        })
        .collect()
}

/// The rows of a table by the server's statistics; none if it does not say, or says none.
async fn estimate_rows(session: &mut Session, id: &TableId) -> Result<Option<u64>> {
    let sql = "select cast(table_rows as char) from information_schema.tables
               where table_schema = coalesce(nullif(?, ''), database()) and table_name = ?";
    let rows = session.rows(sql, &[id.catalog.as_deref().unwrap_or_default(), &id.name], Doing::Describe).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(text(row, 0)?.and_then(|rows| rows.parse().ok()).filter(|rows| *rows > 0))
}

/// A column before the settings are applied.
struct Described {
    name: String,
    of: ColumnType,
    not_null: bool,
    is_visible: bool,
    auto_increment: bool,
    collation: Option<String>,
}

async fn describe(session: &mut Session, relation: &Relation, times: &[String]) -> Result<TableDefinition> {
    let mut hidden = Vec::new();
    let (columns, keys) = match relation {
        // The catalog of TiDB has other types for a view than its result: `price / 3` with the digits of `price`.
        Relation::Table(id) if session.kind == Server::TiDb && is_view(session, id).await? => {
            let sql = format!("select * from {}", sql_name(id));
            (columns_of_query(session, relation, &sql).await?, Keys::none_because("it is a view"))
        }
        Relation::Table(id) => {
            let mut columns = table_columns(session, id).await?;
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            hidden = if is_view(session, id).await? {
                // Looking at a view could mean to run it.
                Vec::new()
            } else {
                grants::hidden(session, (id, relation), &names).await?
            };
            fill_in_widths(session, id, &mut columns).await?;
            let keys = keys::of(session, id).await?;
            (columns, if hidden.is_empty() { keys } else { keys.of_hidden_columns() })
        }
        Relation::Query(sql) => (columns_of_query(session, relation, sql).await?, Keys::none_because("it is a query")),
    };
    let mut definition = define(session, relation, columns, keys)?;
    definition.skipped.extend(hidden);
    let Some(broken) = session.notes.broken_dates.get(relation) else { return Ok(definition) };
    let of_hidden = broken.contains(OF_HIDDEN);
    for column in &mut definition.columns {
        let is_time = times.iter().any(|name| name.eq_ignore_ascii_case(&column.field.name));
        // Hidden columns are the timestamp columns if there are several, else a key that is delivered in another form.
        let may_be_hidden = of_hidden && is_time != times.is_empty();
        let may_be_broken = may_be_hidden && ColumnType::of_catalog(&column.database_type).may_be_no_date();
        if may_be_broken || broken.contains(&column.field.name) {
            // As a timestamp it is polled without such rows; a key that may hold them cannot tell where a page ends.
            column.has_broken_dates = is_time;
            if !is_time && column.cursor.is_some() {
                let column = &column.field.name;
                tracing::warn!(table = %relation, column, "{BROKEN_KEY}");
            }
            column.cursor = column.cursor.filter(|_| is_time);
        }
    }
    Ok(definition)
}

async fn is_view(session: &mut Session, id: &TableId) -> Result<bool> {
    let sql = "select table_type from information_schema.tables
               where table_schema = coalesce(nullif(?, ''), database()) and table_name = ?";
    let rows = session.rows(sql, &[id.catalog.as_deref().unwrap_or_default(), &id.name], Doing::Describe).await?;
    rows.first().map_or(Ok(false), |row| Ok(text(row, 0)? == Some("VIEW")))
}

async fn table_columns(session: &mut Session, id: &TableId) -> Result<Vec<Described>> {
    let sql = "select column_name, column_type, is_nullable, extra, collation_name
               from information_schema.columns
               where table_schema = coalesce(nullif(?, ''), database()) and table_name = ?
               order by ordinal_position";
    let catalog = id.catalog.as_deref().unwrap_or_default();
    let rows = session.rows(sql, &[catalog, &id.name], Doing::Describe).await?;
    if rows.is_empty() {
        return Err(missing(session, id).await);
    }
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        let part = |index| Ok::<_, Error>(text(row, index)?.unwrap_or_default().to_owned());
        let extra = part(3)?.to_ascii_lowercase();
        columns.push(Described {
            name: part(0)?,
            of: ColumnType::of_catalog(&part(1)?),
            not_null: part(2)? == "NO",
            is_visible: !extra.contains("invisible"),
            auto_increment: extra.contains("auto_increment") || extra.contains("auto_random"),
            collation: text(row, 4)?.filter(|collation| !is_binary(collation)).map(str::to_owned),
        });
    }
    Ok(columns)
}

fn is_binary(collation: &str) -> bool {
    collation == "binary" || collation.ends_with("_bin")
}

/// The error of a table the catalog does not show: not there, or no right to it.
async fn missing(session: &mut Session, id: &TableId) -> Error {
    let sql = format!("select 1 from {} limit 0", sql_name(id));
    let asked = session.rows(&sql, &[], Doing::Describe).await;
    let error = match asked {
        Ok(_) => return Error::new(ErrorKind::SourceSchema, "the catalog does not show the table's columns"),
        Err(error) => error,
    };
    if error.kind() == ErrorKind::Privilege
        && let Some(advice) = roles::inactive(&mut session.connection, &session.vigil).await
    {
        return error.advise(advice);
    }
    // A view that is there and cannot be read has its own advice.
    if error.kind() != ErrorKind::SourceSchema || matches!(number_of(&error), Some(1356 | 1449)) {
        return error;
    }
    let all = CatalogFilter { types: vec!["TABLE".to_owned(), "VIEW".to_owned()], ..CatalogFilter::default() };
    match list_tables(session, &all).await {
        Ok(tables) => near::advised(error, &id.to_string(), tables.iter().map(TableId::to_string)),
        Err(_) => error,
    }
}

/// The display width of `tinyint(1) unsigned`, which MySQL's catalog keeps to itself and its results tell.
async fn fill_in_widths(session: &mut Session, id: &TableId, columns: &mut [Described]) -> Result<()> {
    let is_unsigned = |column: &Described| column.of.kind == Kind::TinyInt && column.of.unsigned;
    let places: Vec<usize> = (0..columns.len()).filter(|place| is_unsigned(&columns[*place])).collect();
    if session.kind != Server::MySql || places.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = places.iter().map(|place| back_quoted(&columns[*place].name)).collect();
    let sql = format!("select {} from {}", names.join(", "), sql_name(id));
    let call = (&mut session.connection).describe(statement(&sql).into_sql_str());
    let described = answered(&session.vigil, Doing::Describe, call).await?;
    for (place, found) in places.into_iter().zip(&described.columns) {
        columns[place].of.size = ColumnType::of_result(found.type_info()).size;
    }
    Ok(())
}

async fn columns_of_query(session: &mut Session, relation: &Relation, sql: &str) -> Result<Vec<Described>> {
    // As it stands: in the FROM of another statement some expressions have another type, which Kafka Connect does not
    // register.
    let call = (&mut session.connection).describe(statement(sql).into_sql_str());
    let described = answered(&session.vigil, Doing::Describe, call).await?;
    variables::settle(&mut session.notes.variables, relation, sql, &described.columns)?;
    let mut columns: Vec<Described> = described
        .columns
        .iter()
        .enumerate()
        .map(|(index, column): (usize, &MySqlColumn)| Described {
            name: column.name().to_owned(),
            of: ColumnType::of_result(column.type_info()),
            not_null: described.nullable.get(index).copied().flatten() == Some(false),
            is_visible: true,
            auto_increment: false,
            collation: of_result(column),
        })
        .collect();
    let inner = without_modifiers(sql, Grammar::MySql);
    fill_in_scales(session, &format!("select * from (\n{inner}\n) as t"), &mut columns).await?;
    Ok(columns)
}

/// A text of a result compares by a collation that the driver does not name; most of them ignore case.
fn of_result(column: &MySqlColumn) -> Option<String> {
    let is_text = ColumnType::of_result(column.type_info()).kind == Kind::Text;
    is_text.then(|| "of the result".to_owned())
}

/// The digits after the point of a query's numbers. The driver drops them from the result's description, so a zero is
/// put into a column of each one's type, and shows as many digits as the type has. Not a row is read.
async fn fill_in_scales(session: &mut Session, wrapped: &str, columns: &mut [Described]) -> Result<()> {
    let has_point = |of: &ColumnType| matches!(of.kind, Kind::Decimal | Kind::Float | Kind::Double);
    let numbers: Vec<usize> = (0..columns.len()).filter(|index| has_point(&columns[*index].of)).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = numbers.iter().map(|index| format!("w.{}", back_quoted(&columns[*index].name))).collect();
    let none = match session.kind {
        // In FROM, MySQL would run a query of one row while it plans; in the list, TiDB would.
        Server::MySql => {
            let list: Vec<String> =
                names.iter().map(|name| format!("(select {name} from ({wrapped}) as w limit 1)")).collect();
            format!("select {} from (select 1) as n where 1 = 0", list.join(", "))
        }
        Server::MariaDb | Server::TiDb => {
            format!("select {} from ({wrapped}) as w where 1 = 0", names.join(", "))
        }
    };
    let sql = format!("{none} union distinct select {}", vec!["0"; numbers.len()].join(", "));
    let rows = session.texts(&sql, Doing::Describe).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a select without a table gave no row"))?;
    for (place, index) in numbers.into_iter().enumerate() {
        let shown = text(row, place)?.unwrap_or_default();
        let scale = shown.split_once('.').map_or(0, |(_, fraction)| fraction.len() as u32);
        columns[index].of.take_scale(scale, session.kind);
    }
    Ok(())
}

fn define(session: &Session, relation: &Relation, described: Vec<Described>, keys: Keys) -> Result<TableDefinition> {
    let gave_null = session.notes.nullable.get(relation);
    let exceeding = session.notes.exceeding.get(relation);
    let instants = is_table(relation);
    let mut definition = TableDefinition {
        relation: relation.clone(),
        columns: Vec::new(),
        skipped: Vec::new(),
        by_driver: Vec::new(),
        primary_key: keys.primary,
        indexes: keys.indexes,
        unique: keys.unique,
        comment: None,
    };
    let mut names = HashSet::new();
    for column in described {
        if !names.insert(column.name.clone()) {
            return Err(Error::new(ErrorKind::SourceSchema, "two columns have the same name")
                .with("column", &column.name)
                .advise("give each column of the query a name of its own"));
        }
        let types = session.types.of(relation, &column.name);
        let (field_type, projection) = match (column.of.mapping(&types, &session.quirks), types.unsupported) {
            (Some(mapping), _) => mapping,
            // An invisible column of a type without a mapping: nobody asked for it.
            (None, _) if !column.is_visible => continue,
            (None, Unsupported::Text) => (FieldType::String, Projection::Text),
            (None, Unsupported::Skip) => {
                definition.skipped.push(SkippedColumn { name: column.name, database_type: column.of.name });
                continue;
            }
            (None, Unsupported::Fail) => {
                return Err(Error::new(ErrorKind::SourceSchema, format!("no mapping for type {}", column.of.name))
                    .with("column", &column.name)
                    .advise("set type.unsupported to text or skip"));
            }
        };
        let optional = !column.not_null
            || gave_null.is_some_and(|columns| columns.contains(&column.name))
            || (types.zero_date == Some(ZeroDate::Null) && column.of.may_be_no_date());
        let exceeds = exceeding.is_some_and(|columns| columns.contains(&column.name));
        let forms = column.of.forms(&types, &session.quirks, exceeds);
        let column = ColumnDefinition {
            cursor: column.of.cursor(instants),
            field: Field { optional, field_type, name: column.name, doc: None },
            database_type: column.of.name,
            collation: column.collation,
            seen_in: session.zone.seen_in(column.of.kind, &session.types.all.zone).filter(|_| instants),
            projection,
            not_null: column.not_null,
            is_visible: column.is_visible,
            has_broken_dates: false,
            may_be_null: !column.not_null,
            auto_increment: column.auto_increment,
        };
        deliver(&mut definition, column, forms, types.drivers);
    }
    Ok(definition)
}

/// Puts a column into a definition, in the first of its forms if drivers differ.
fn deliver(
    definition: &mut TableDefinition,
    mut column: ColumnDefinition,
    forms: Vec<DriverForm>,
    setting: DriverTypes,
) {
    let place = definition.columns.len();
    if let Some(delivered) = forms.iter().find_map(|form| form.field_type.clone()) {
        column.field.field_type = delivered;
    }
    let is_left_out = forms.first().is_some_and(|form| form.field_type.is_none());
    if forms.len() > 1 || setting != DriverTypes::Auto && !forms.is_empty() {
        let is_open = setting == DriverTypes::Auto;
        definition.by_driver.push(DriverColumn { column: column.clone(), place, forms, is_open });
    }
    if is_left_out {
        let (name, database_type) = (column.field.name, column.database_type);
        definition.skipped.push(SkippedColumn { name, database_type });
    } else {
        definition.columns.push(column);
    }
}
