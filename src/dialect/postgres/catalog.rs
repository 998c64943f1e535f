//! The catalog: the tables, and the columns of one relation. A row of nulls shows order, names and types of its result;
//! the catalog adds what a result does not tell.

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgColumn, PgRow};
use sqlx::{Arguments, Column, Connection, Row};

use super::super::connection::{Catalog, Counted};
use super::super::late_support::LateSupport;
use super::super::near;
use super::super::statement::{Doing, statement};
use super::super::syntax::double_quoted;
use super::classify::is_inconvertible;
use super::session::{Session, answered, get};
use super::shape::shape_of;
use super::types::{CatalogType, Mapping};
use super::wire::CatalogKind;
use super::{comments, commit_time, facts, grants, incarnation, keys, stored, transactions};
use crate::config::spec::{CatalogFilter, Unsupported};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, Comments, CursorFact, Field, FieldType, Incarnation, Projection, Relation, SkippedColumn,
    TableDefinition, TableId, UniqueKeys,
};

/// The table types of pgjdbc and their names in the catalog.
pub(super) const TABLE_TYPES: &[(&str, &str)] = &[
    ("FOREIGN TABLE", "c.relkind = 'f'"),
    ("MATERIALIZED VIEW", "c.relkind = 'm'"),
    ("PARTITIONED TABLE", "c.relkind = 'p' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"),
    ("SYSTEM TABLE", "c.relkind = 'r' and n.nspname in ('pg_catalog', 'information_schema')"),
    ("SYSTEM TOAST TABLE", "c.relkind = 'r' and n.nspname = 'pg_toast'"),
    ("SYSTEM VIEW", "c.relkind = 'v' and n.nspname in ('pg_catalog', 'information_schema')"),
    ("TABLE", "c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"),
    ("TEMPORARY TABLE", "c.relkind in ('r', 'p') and n.nspname ~ '^pg_temp_'"),
    ("TEMPORARY VIEW", "c.relkind = 'v' and n.nspname ~ '^pg_temp_'"),
    ("VIEW", "c.relkind = 'v' and n.nspname <> 'pg_catalog' and n.nspname <> 'information_schema'"),
];

impl Catalog for Session {
    fn list_tables<'a>(&'a mut self, filter: &'a CatalogFilter) -> BoxFuture<'a, Result<Vec<TableId>>> {
        Box::pin(async move {
            self.begin().await?;
            let tables = list_tables(self, filter).await?;
            self.end().await?;
            Ok(tables)
        })
    }

    fn describe<'a>(
        &'a mut self,
        relation: &'a Relation,
        _time_columns: &'a [String],
    ) -> BoxFuture<'a, Result<TableDefinition>> {
        Box::pin(async move {
            self.notes.stale = true;
            self.begin().await?;
            let definition = describe(self, relation).await.map_err(|error| error.with("table", relation));
            // The description's own statement must not serve a later description; behind a pooler it
            // must be gone before another client has the server.
            self.notes.stale = true;
            if self.pooled && definition.is_ok() {
                self.notes.stale = false;
                answered(&self.vigil, Doing::Describe, self.connection.clear_cached_statements()).await?;
            }
            let definition = definition?;
            self.end().await?;
            Ok(definition)
        })
    }

    fn comments<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Comments>> {
        Box::pin(comments::of(self, relation))
    }

    fn commit_time<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<ColumnDefinition>> {
        Box::pin(commit_time::of(self, relation))
    }

    fn estimate_rows<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            let Relation::Table(id) = relation else { return Ok(None) };
            self.begin().await?;
            let estimate = estimate_rows(self, id).await;
            self.end().await?;
            estimate
        })
    }

    fn cursor_facts<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<CursorFact>>> {
        Box::pin(async move {
            let Relation::Table(id) = relation else { return Ok(Vec::new()) };
            self.begin().await?;
            let facts = facts::cursor_facts(self, id, columns).await?;
            self.end().await?;
            Ok(facts)
        })
    }

    fn last_id<'a>(&'a mut self, relation: &'a Relation, column: &'a str) -> BoxFuture<'a, Result<Option<i64>>> {
        Box::pin(async move {
            let Relation::Table(id) = relation else { return Ok(None) };
            self.begin().await?;
            let last = facts::last_id(self, id, column).await?;
            // After an error the commit is a rollback.
            self.end().await?;
            Ok(last)
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
        Box::pin(async move {
            self.begin().await?;
            let support = transactions::late_support(self, relation, id).await?;
            self.end().await?;
            Ok(support)
        })
    }
}

async fn list_tables(session: &mut Session, filter: &CatalogFilter) -> Result<Vec<TableId>> {
    let branches: Vec<String> = TABLE_TYPES
        .iter()
        .filter(|(name, _)| filter.types.iter().any(|wanted| wanted == name))
        .map(|(name, condition)| format!("when {condition} then '{name}'"))
        .collect();
    if branches.is_empty() {
        return Ok(Vec::new());
    }
    let visible = if session.hide_unprivileged {
        "and has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage')"
    } else {
        ""
    };
    let sql = format!(
        "select t.schema, t.name from (
           select n.nspname::text as schema, c.relname::text as name, case {} end as type
           from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where ($1::text is null or n.nspname like $1) and ($2::text is null or current_database() = $2) {visible}
         ) t where t.type is not null order by t.type, t.schema, t.name",
        branches.join(" ")
    );
    let arguments = || {
        let schema = filter.schema.as_deref().filter(|pattern| !pattern.is_empty());
        let catalog = filter.catalog.as_deref().filter(|pattern| !pattern.is_empty());
        let mut arguments = PgArguments::default();
        let added = arguments.add(schema).and_then(|()| arguments.add(catalog));
        added.map(|()| arguments).map_err(|_| Error::internal("a pattern of names cannot be encoded"))
    };
    let call = sqlx::query_with(statement(&sql), arguments()?).persistent(false);
    match answered(&session.vigil, Doing::Describe, call.fetch_all(&mut session.connection)).await {
        Err(error) if is_inconvertible(&error) => {
            session.begin().await?;
            stored::names(session, &sql, arguments()?).await
        }
        rows => {
            let id = |row| Ok(TableId { catalog: None, schema: Some(name(row, 0)?), name: name(row, 1)? });
            rows?.iter().map(id).collect()
        }
    }
}

/// A name, which in a database of the encoding SQL_ASCII need not be text in UTF-8: such a table is listed, for it may
/// not be selected at all, but not found under the name that is left of its own.
fn name(row: &PgRow, index: usize) -> Result<String> {
    let unexpected = |_| Error::internal("the catalog answers in another form than expected");
    let raw = row.try_get_raw(index).map_err(unexpected)?;
    let bytes = raw.as_bytes().map_err(|_| Error::internal("the catalog has a table without a name"))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// The rows a table had when it was last vacuumed or analyzed; none if it never was, or was empty.
async fn estimate_rows(session: &mut Session, id: &TableId) -> Result<Option<u64>> {
    let sql = "select greatest(c.reltuples, 0)::int8
               from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and c.relname = $2";
    let call = sqlx::query(sql).bind(id.schema.as_deref().unwrap_or("public")).bind(&id.name).persistent(false);
    let row = answered(&session.vigil, Doing::Describe, call.fetch_optional(&mut session.connection)).await?;
    let Some(row) = row else { return Ok(None) };
    let rows: i64 = get(&row, 0)?;
    Ok(u64::try_from(rows).ok().filter(|rows| *rows > 0))
}

/// A result column as the catalog knows it.
struct CatalogColumn {
    name: String,
    catalog_type: CatalogType,
    formatted: String,
    not_null: bool,
    auto_increment: bool,
    /// Its place in the primary key.
    key_position: Option<i32>,
    /// True if it is a table's column, not an expression.
    has_origin: bool,
    /// Its collation, unless that compares by bytes.
    collation: Option<String>,
}

async fn describe(session: &mut Session, relation: &Relation) -> Result<TableDefinition> {
    let base = match relation {
        Relation::Table(id) => id.parts().map(double_quoted).collect::<Vec<_>>().join("."),
        Relation::Query(sql) => format!("({sql}\n)"),
    };
    let mut granted = None;
    let shape = match (shape_of(session, "t.*", &base).await, relation) {
        (Ok(shape), _) => shape,
        (Err(error), Relation::Table(id)) if is_inconvertible(&error) && is_unnamed(id) => {
            return Err(Error::new(ErrorKind::SourceSchema, "the table cannot be asked for")
                .advise(UNNAMED)
                .caused_by(error));
        }
        (Err(error), Relation::Table(id)) if error.kind() == ErrorKind::SourceSchema => {
            return Err(missing(session, id, error).await);
        }
        (Err(error), Relation::Table(id)) if error.kind() == ErrorKind::Privilege => {
            let of_table = grants::of(session, (id, relation), &base, error).await?;
            let shape = shape_of(session, &of_table.select_list(), &base).await?;
            granted = Some(of_table);
            shape
        }
        (Err(error), _) => return Err(error),
    };
    let mut columns = catalog_columns(session, shape.columns()).await?;
    if matches!(relation, Relation::Query(_)) {
        fill_in_modifiers(session, &format!("select * from {base} as t"), &mut columns).await;
    }
    let unique = match relation {
        Relation::Query(_) => UniqueKeys::none_because("it is a query"),
        Relation::Table(_) => keys::unique(session, shape.columns()).await?,
    };
    let mut definition = define(session, relation, (columns, unique))?;
    if let Some(granted) = granted {
        granted.leave_out(&mut definition);
    }
    Ok(definition)
}

const UNNAMED: &str = "the name is not text in UTF-8, or has a character without an equivalent in it: rename the \
                       table, or leave it out (table.exclude.list, table.blacklist)";

/// True if the name is the remainder of one that is not text in UTF-8.
fn is_unnamed(id: &TableId) -> bool {
    id.parts().any(|part| part.contains(char::REPLACEMENT_CHARACTER))
}

/// The error of a table that is not there, with the names that are near it.
async fn missing(session: &mut Session, id: &TableId, error: Error) -> Error {
    if is_unnamed(id) {
        return error.advise(UNNAMED);
    }
    if session.pooled {
        return error;
    }
    let all = CatalogFilter {
        types: TABLE_TYPES.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !name.contains("SYSTEM")).collect(),
        ..CatalogFilter::default()
    };
    match list_tables(session, &all).await {
        Ok(tables) => near::advised(error, &id.to_string(), tables.iter().map(TableId::to_string)),
        Err(_) => error,
    }
}

/// A default is not spelled out to look for a sequence: for that the server names every column of its table anew.
const CATALOG_COLUMNS: &str = "
    with recursive wanted as (
      select * from unnest($1::int4[], $2::int8[], $3::int4[], $4::int8[]) as w (position, relation, number, type)
    ), typed as (
      select w.position, coalesce(a.atttypid, w.type::oid) as type, coalesce(a.atttypmod, -1) as modifier
      from wanted w left join pg_catalog.pg_attribute a on a.attrelid = w.relation::oid and a.attnum = w.number
      union all
      select t.position, d.typbasetype, d.typtypmod
      from typed t join pg_catalog.pg_type d on d.oid = t.type and d.typtype = 'd'
    )
    select w.position, y.oid::int8, y.typname::text, case when y.typcategory = 'A' then 'a' else y.typtype::text end, t.modifier,
      pg_catalog.format_type(y.oid, t.modifier),
      coalesce(a.attnotnull, false),
      coalesce(a.attidentity <> '' or d.adbin::text ~ (
        select ':funcid (' || string_agg(oid::text, '|') || ') ' from pg_catalog.pg_proc where proname like '%nextval'), false),
      array_position(i.indkey::int2[], a.attnum),
      a.attnum is not null,
      case
        when a.attnum is null and c.oid = 100 then 'unknown'
        when c.oid = 100 and coalesce(to_jsonb(b) ->> 'datlocprovider', 'c') = 'c' and b.datcollate ~* '^(c|posix|c[.]utf-?8)$' then null
        when c.oid = 100 and to_jsonb(b) ->> 'datlocprovider' = 'b' then null
        when c.oid = 100 then 'default'
        when c.collprovider = 'b' or c.collprovider = 'c' and c.collcollate ~* '^(c|posix|c[.]utf-?8)$' then null
        else c.collname::text
      end
    from wanted w
    join typed t on t.position = w.position
    join pg_catalog.pg_type y on y.oid = t.type and y.typtype <> 'd'
    left join pg_catalog.pg_attribute a on a.attrelid = w.relation::oid and a.attnum = w.number
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join pg_catalog.pg_index i on i.indrelid = a.attrelid and i.indisprimary
    left join pg_catalog.pg_collation c on c.oid = coalesce(a.attcollation, y.typcollation)
    left join pg_catalog.pg_database b on c.oid = 100 and b.datname = current_database()
    order by w.position";

async fn catalog_columns(session: &mut Session, columns: &[PgColumn]) -> Result<Vec<CatalogColumn>> {
    let positions: Vec<i32> = (0..columns.len()).filter_map(|position| i32::try_from(position).ok()).collect();
    let relations: Vec<i64> =
        columns.iter().map(|column| column.relation_id().map_or(0, |oid| i64::from(oid.0))).collect();
    let numbers: Vec<i32> = columns.iter().map(|column| column.relation_attribute_no().map_or(0, i32::from)).collect();
    let types: Vec<i64> =
        columns.iter().map(|column| column.type_info().oid().map_or(0, |oid| i64::from(oid.0))).collect();
    let call = sqlx::query(CATALOG_COLUMNS)
        .bind(positions)
        .bind(relations)
        .bind(numbers)
        .bind(&types)
        .persistent(!session.pooled);
    let rows = answered(&session.vigil, Doing::Describe, call.fetch_all(&mut session.connection)).await?;
    let mut described = Vec::with_capacity(columns.len());
    for ((column, oid), row) in columns.iter().zip(&types).zip(&rows) {
        if get::<i64>(row, 1)? != *oid {
            return Err(Error::new(ErrorKind::SchemaChanged, "the relation changed while it was described"));
        }
        described.push(CatalogColumn {
            name: column.name().to_owned(),
            catalog_type: CatalogType {
                oid: u32::try_from(*oid).unwrap_or_default(),
                name: get(row, 2)?,
                kind: CatalogKind::of(&get::<String>(row, 3)?),
                modifier: get(row, 4)?,
            },
            formatted: get(row, 5)?,
            not_null: get(row, 6)?,
            auto_increment: get(row, 7)?,
            key_position: get(row, 8)?,
            has_origin: get(row, 9)?,
            collation: get(row, 10)?,
        });
    }
    if described.len() != columns.len() {
        return Err(Error::new(ErrorKind::SchemaChanged, "the relation changed while it was described"));
    }
    Ok(described)
}

/// Precision and scale of a query's own numeric expressions (`x::numeric(10,2)`). The driver drops
/// them from the result's description; the plan of the same statement spells the casts out.
async fn fill_in_modifiers(session: &mut Session, sql: &str, columns: &mut [CatalogColumn]) {
    let unknown = |column: &CatalogColumn| column.catalog_type.oid == 1_700 && !column.has_origin;
    if !columns.iter().any(unknown) {
        return;
    }
    let sql = format!("explain (verbose, format json) {sql}");
    let call = sqlx::raw_sql(statement(&sql)).fetch_one(&mut session.connection);
    // On any error the column stays unconstrained.
    let Ok(row) = answered(&session.vigil, Doing::Describe, call).await else { return };
    let Some(plan) = row.try_get_raw(0).ok().and_then(|value| Some(value.as_str().ok()?.to_owned())) else { return };
    let Ok(plan) = serde_json::from_str::<serde_json::Value>(&plan) else { return };
    let output = plan.pointer("/0/Plan/Output").and_then(serde_json::Value::as_array);
    let Some(output) = output.filter(|output| output.len() == columns.len()) else { return };
    for (column, expression) in columns.iter_mut().zip(output) {
        let modifier = expression.as_str().and_then(cast_of);
        if let (true, Some((precision, scale))) = (unknown(column), modifier) {
            column.catalog_type.modifier = (precision << 16) + (scale & 0x7ff) + 4;
            column.formatted = format!("numeric({precision},{scale})");
        }
    }
}

/// Precision and scale, if the whole of an expression as the server spells it is a cast to
/// `numeric(p,s)`. Operators are spelled in parentheses, so only a single operand may stand before it.
fn cast_of(expression: &str) -> Option<(i32, i32)> {
    let mut expression = expression;
    while let Some(inner) = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        if !is_one_operand(expression) {
            break;
        }
        expression = inner;
    }
    let (operand, modifier) = expression.strip_suffix(')')?.rsplit_once("::numeric(")?;
    let (precision, scale) = modifier.split_once(',')?;
    is_one_operand(operand).then_some((precision.parse().ok()?, scale.parse().ok()?))
}

/// A parenthesis that ends where the text ends, or text without any space or parenthesis.
fn is_one_operand(text: &str) -> bool {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth == 0 => return false,
            _ => {}
        }
        if depth == 0 && character == ')' && at + 1 < text.len() {
            return false;
        }
    }
    depth == 0
}

fn define(
    session: &Session,
    relation: &Relation,
    (described, unique): (Vec<CatalogColumn>, UniqueKeys),
) -> Result<TableDefinition> {
    let is_table = matches!(relation, Relation::Table(_));
    let nullable = session.notes.nullable.get(relation);
    let mut definition = TableDefinition {
        relation: relation.clone(),
        columns: Vec::new(),
        skipped: Vec::new(),
        by_driver: Vec::new(),
        primary_key: Vec::new(),
        indexes: Vec::new(),
        unique,
        comment: None,
    };
    let mut key: Vec<(i32, String)> = Vec::new();
    for column in described {
        if definition.columns.iter().any(|known| known.field.name == column.name) {
            return Err(Error::new(ErrorKind::SourceSchema, "two columns have the same name")
                .with("column", &column.name)
                .advise("give each column of the query a name of its own"));
        }
        let types = session.types.of(relation, &column.name);
        let mapping = match (column.catalog_type.mapping(&types), types.unsupported) {
            (Mapping::Unsupported, Unsupported::Text) => Mapping::text(),
            (mapping, _) => mapping,
        };
        if let Some(position) = column.key_position.filter(|_| is_table) {
            key.push((position, column.name.clone()));
        }
        let Mapping::Field { field_type, projection, optional } = mapping else {
            if types.unsupported == Unsupported::Fail {
                return Err(unsupported(relation, &column));
            }
            definition.skipped.push(SkippedColumn { name: column.name, database_type: column.formatted });
            continue;
        };
        let gave_null = nullable.is_some_and(|columns| columns.contains(&column.name));
        let optional = optional || !column.not_null || gave_null;
        definition.columns.push(define_column(column, is_table, (field_type, projection, optional)));
    }
    key.sort();
    // A part of a key is none.
    if key.iter().all(|(_, name)| definition.columns.iter().any(|column| column.field.name == *name)) {
        definition.primary_key = key.into_iter().map(|(_, name)| name).collect();
    }
    Ok(definition)
}

fn define_column(
    column: CatalogColumn,
    is_table: bool,
    (field_type, projection, optional): (FieldType, Projection, bool),
) -> ColumnDefinition {
    ColumnDefinition {
        cursor: column.catalog_type.cursor(),
        field: Field { name: column.name, field_type, optional, doc: None },
        database_type: column.formatted,
        collation: column.collation,
        seen_in: None,
        projection,
        not_null: column.not_null || (is_table && column.key_position.is_some()),
        is_visible: true,
        has_broken_dates: false,
        may_be_null: !(column.not_null && is_table),
        auto_increment: column.auto_increment,
    }
}

fn unsupported(relation: &Relation, column: &CatalogColumn) -> Error {
    let name = &column.name;
    Error::new(ErrorKind::SourceSchema, format!("no mapping for type {}", column.formatted))
        .with("column", name)
        .advise(format!("set column.{relation}.{name}.type.unsupported, or type.unsupported, to text or skip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cast_of_the_whole_expression_gives_the_modifier() {
        assert_eq!(cast_of("(t.a)::numeric(10,2)"), Some((10, 2)));
        assert_eq!(cast_of("((t.a)::numeric(10,2))"), Some((10, 2)));
        assert_eq!(cast_of("((t.a * '2'::numeric))::numeric(5,-2)"), Some((5, -2)));
        assert_eq!(cast_of("(t.a * (t.b)::numeric(10,2))"), None);
        assert_eq!(cast_of("sum((t.b)::numeric(10,2))"), None);
        assert_eq!(cast_of("t.a"), None);
    }
}
