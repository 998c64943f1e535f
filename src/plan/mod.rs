//! SQL of a described relation in a mode: a [`Planner`] is made once per definition and then gives one page after the
//! other. Pure: no clock, no connection. A page is a keyset page over a cursor tuple. Where the catalog says that no
//! two rows share one ([`Planner::unique_by`]) it can be cut after any row; elsewhere the rows of one tuple are read
//! together, to the last ([`Planner::tie`]).

pub mod ahead;
mod by_key;
mod coalesce;
pub mod cursor;
pub mod identity;
mod landmark;
mod late;
pub mod odd;
mod order;
mod probes;
mod statement;
#[cfg(test)]
mod tests;
mod ties;

use std::fmt::Write as _;

use self::by_key::LoadedRows;
use self::coalesce::Coalesced;
use self::statement::Statement;
use crate::dialect::SqlSyntax;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ColumnDefinition, ColumnOrder, CursorKind, CursorValue, Index, Mode, PlannedQuery, Position, Projection, Relation,
    TableDefinition, TupleOrder,
};
use crate::sql;
use crate::zone::Zone;

/// The alias of the relation in every statement.
const ALIAS: &str = "t";

/// The role of a cursor column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorRole {
    /// The (coalesced) timestamp.
    Timestamp,
    /// The id.
    Incrementing,
    /// A primary key column that keeps rows of one timestamp apart, or orders a bulk load.
    TieBreak,
}

/// One column of the cursor tuple.
#[derive(Debug, Clone, PartialEq)]
struct TupleColumn {
    role: CursorRole,
    /// The names it is made of; more than one is a COALESCE.
    names: Vec<String>,
    /// The SQL expression it is compared and ordered by, qualified.
    expression: String,
    /// The SQL expression its value is read from.
    output: String,
    kind: CursorKind,
    database_type: String,
    /// True if it is compared as the column is, not under another collation.
    is_plain: bool,
    order: ColumnOrder,
    is_nullable: bool,
    /// The condition that its value is a date, where others are known to be there.
    is_date: Option<String>,
    /// [`ColumnDefinition::seen_in`].
    seen_in: Option<Zone>,
    /// Its place in the result.
    index: usize,
}

/// The style of SQL that the configuration asks for.
#[derive(Clone, Copy)]
pub struct SqlStyle<'a> {
    /// The dialect's way.
    pub syntax: &'static dyn SqlSyntax,
    /// True if `quote.sql.identifiers` is not `never`.
    pub quote: bool,
    /// True for `table.names.qualify=false`.
    pub unqualified: bool,
    /// `query.suffix`.
    pub suffix: Option<&'a str>,
    /// `db.timezone`.
    pub zone: Zone,
}

/// Plans the pages of one relation.
pub struct Planner {
    syntax: &'static dyn SqlSyntax,
    mode: Mode,
    /// `select ... from ...`, up to the WHERE.
    base: String,
    /// The same with the id of the row's transaction at the end of the list, where rows tell.
    base_with_id: Option<String>,
    /// The relation as in FROM, without the alias.
    source: String,
    /// `from ...` with alias and hint.
    from: String,
    hidden: usize,
    /// The number of columns of a page's result.
    width: usize,
    tuple: Vec<TupleColumn>,
    /// The time of a row, where the tuple does not begin with it and somebody may ask.
    time: Option<TupleColumn>,
    /// The rows that are read, where pages are in the order of the primary key.
    loaded: Option<LoadedRows>,
    /// No page has rows with times below it.
    floor: Option<CursorValue<'static>>,
    /// No page has rows behind it.
    ceiling: Option<Position>,
    /// The condition of all rows that are read.
    filter: Option<String>,
    /// The order of its values.
    order: TupleOrder,
    /// The key that keeps rows of one tuple apart.
    unique_by: Option<Vec<String>>,
    /// The reason why there is none, where it is the relation's nature.
    none_because: Option<&'static str>,
    /// True if the ids alone are such a key.
    has_unique_ids: bool,
    suffix: Option<String>,
    /// True if the suffix is part of the query's own text, as the reference appends it.
    has_suffix_inside: bool,
    /// The bare name of the table; none for a query.
    table: Option<String>,
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner").field("mode", &self.mode).field("tuple", &self.tuple).finish_non_exhaustive()
    }
}

impl Planner {
    /// A planner for a definition and a mode.
    ///
    /// # Errors
    /// `SourceSchema` if a cursor column cannot serve: no order, not a time, different kinds in a COALESCE.
    pub fn new(definition: &TableDefinition, mode: &Mode, style: SqlStyle<'_>) -> Result<Self> {
        Self::of_rows(definition, mode, style, None)
    }

    /// The same, of the rows of a first load by the primary key, if there is one.
    fn of_rows(
        definition: &TableDefinition,
        mode: &Mode,
        style: SqlStyle<'_>,
        loaded: Option<LoadedRows>,
    ) -> Result<Self> {
        let is_load = *mode == Mode::Bulk;
        let source = relation_sql(&definition.relation, style, is_load);
        let mut planner = Self {
            syntax: style.syntax,
            mode: mode.clone(),
            base: String::new(),
            base_with_id: None,
            source,
            from: String::new(),
            hidden: 0,
            width: 0,
            tuple: Vec::new(),
            time: None,
            loaded,
            floor: None,
            ceiling: None,
            filter: None,
            order: TupleOrder::default(),
            unique_by: None,
            none_because: definition.unique.none_because,
            has_unique_ids: false,
            suffix: style.suffix.map(str::to_owned),
            has_suffix_inside: is_load && matches!(definition.relation, Relation::Query(_)),
            table: match &definition.relation {
                Relation::Table(id) => Some(id.name.clone()),
                Relation::Query(_) => None,
            },
        };
        let select_list = planner.take_columns(definition, style)?;
        let hint = planner.index_hint(definition).map(|hint| format!(" {hint}")).unwrap_or_default();
        planner.from = format!("from {} as {ALIAS}{hint}", planner.source);
        let from = &planner.from;
        let own = as_it_stands(&definition.relation, &planner, &select_list, style);
        planner.base = own.unwrap_or_else(|| format!("select {select_list} {from}"));
        planner.base_with_id = style.syntax.row_id(ALIAS).map(|id| format!("select {select_list}, {id} {from}"));
        Ok(planner)
    }

    /// Takes the columns of the cursor, and the list of what a page selects.
    fn take_columns(&mut self, definition: &TableDefinition, style: SqlStyle<'_>) -> Result<String> {
        // The reference takes names without quotes as they are; here the name is the catalog's, in its spelling.
        let cursor_name =
            |name: &str| if style.quote || !is_plain(name) { style.syntax.quote(name) } else { name.to_owned() };
        let mut hidden = Vec::new();
        let order = if self.loaded.is_some() { &Mode::Bulk } else { &self.mode };
        // A suffix on a bulk load may begin with WHERE, so nothing may stand before it.
        let has_none = self.mode == Mode::Bulk && style.suffix.is_some();
        for (role, names) in if has_none { Vec::new() } else { wanted_tuple(definition, order) } {
            self.tuple.push(tuple_column(definition, role, names, style, &cursor_name, &mut hidden)?);
        }
        if let (Some(_), Some(names)) = (&self.loaded, self.mode.timestamps()) {
            let (role, names) = (CursorRole::Timestamp, names.to_vec());
            self.time = Some(tuple_column(definition, role, names, style, &cursor_name, &mut hidden)?);
        }
        self.order = TupleOrder(self.tuple.iter().map(|column| column.order).collect());
        self.unique_by = ties::key_within(definition, &self.tuple);
        let ids: Vec<&TupleColumn> =
            self.tuple.iter().filter(|column| column.role == CursorRole::Incrementing).collect();
        self.has_unique_ids = ties::key_within(definition, ids).is_some();
        let mut select_list = select_list(definition, style.syntax);
        for expression in &hidden {
            let _ = write!(select_list, ", {expression}");
        }
        self.hidden = hidden.len();
        self.width = definition.columns.len() + hidden.len();
        Ok(select_list)
    }

    /// The hint that names the index that walks the rows in cursor order, if there is one and the dialect wants to be
    /// told.
    fn index_hint(&self, definition: &TableDefinition) -> Option<String> {
        if self.loaded.is_some() {
            return self.syntax.use_index(self.syntax.primary_index()?);
        }
        let mut wanted = Vec::new();
        for column in &self.tuple {
            let ([name], true) = (column.names.as_slice(), column.is_plain) else { return None };
            wanted.push(name.as_str());
        }
        let serves = |index: &&Index| {
            wanted.len() <= index.columns.len()
                && wanted.iter().zip(&index.columns).all(|(wanted, column)| wanted.eq_ignore_ascii_case(column))
        };
        let index = definition.indexes.iter().filter(|_| !wanted.is_empty()).find(serves)?;
        self.syntax.use_index(&index.name)
    }

    /// The same, reading only rows that meet a condition of SQL: pages, the rows that share a cursor, those that are late, of
    /// now and of the past. What tells whether the table is still the one that was read looks at all rows, for a row that
    /// was read may meet the condition no more.
    #[must_use]
    pub fn only(self, filter: Option<&str>) -> Self {
        // The line break ends a trailing comment in the user's text.
        let filter = filter.map(|filter| {
            format!("({filter}{})", if filter.contains("--") || filter.contains('#') { "\n" } else { "" })
        });
        Self { filter, ..self }
    }

    /// The mode this was made for.
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// The kind of the timestamp, if the mode has one.
    pub fn time_kind(&self) -> Option<CursorKind> {
        self.tuple.first().filter(|column| column.role == CursorRole::Timestamp).map(|column| column.kind)
    }

    /// The names of the cursor's columns, in its order.
    pub fn cursor_names(&self) -> Vec<&str> {
        self.tuple.iter().flat_map(|column| &column.names).map(String::as_str).collect()
    }

    /// True if the timestamp, if there is one, is an instant, whoever writes it.
    pub fn is_zoned(&self) -> bool {
        !matches!(self.time_kind(), Some(CursorKind::Timestamp { zoned: false, .. }))
    }

    /// The number of columns of the cursor tuple; 0 if the relation is read in no order, in one piece.
    pub fn tuple_len(&self) -> usize {
        self.tuple.len()
    }

    /// True if `query.suffix` may cut the result by itself, so that a short page proves nothing.
    pub fn has_suffix(&self) -> bool {
        self.suffix.is_some()
    }

    /// True if a condition of the user's is part of the statements.
    pub fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// The next page: rows strictly after `after`, strictly below `upper`, in cursor order.
    pub fn page(&self, after: Option<&Position>, upper: Option<&CursorValue<'static>>, limit: usize) -> PlannedQuery {
        let mut sql = Statement::new(self);
        if let Some(after) = after {
            sql.after(&after.0);
        } else if let (Some(floor), Some(time)) = (&self.floor, self.tuple.first()) {
            sql.at_or_above(time, floor);
        }
        if let (Some(upper), Some(time)) = (upper, self.tuple.first()) {
            sql.compare(time, "<", upper);
        }
        sql.dates_only();
        if let Some(rows) = &self.loaded {
            sql.loaded(rows);
        }
        if let Some(ceiling) = &self.ceiling {
            sql.upto(&ceiling.0);
        }
        // Without any bound a NULL cursor would be delivered once, out of order; and a NULL id behind a timestamp could
        // fill page after page with rows that are passed over.
        if let Some(id) = self.id() {
            let has_bound = after.is_some() && self.time_kind().is_none();
            if !has_bound && (self.time_kind().is_none() || id.is_nullable) {
                sql.condition(&format!("{} is not null", id.expression));
            }
        }
        sql.order();
        // A suffix stands where the reference puts it, at the very end, and often is a LIMIT itself.
        let limit = (self.suffix.is_none() && !self.tuple.is_empty()).then_some(limit);
        sql.finish(limit)
    }

    fn id(&self) -> Option<&TupleColumn> {
        self.tuple.iter().find(|column| column.role == CursorRole::Incrementing)
    }

    /// The kind of the id, where the mode has no timestamp.
    pub fn id_kind(&self) -> Option<CursorKind> {
        self.tuple.first().filter(|column| column.role == CursorRole::Incrementing).map(|column| column.kind)
    }

    /// Name and type of the id column, if its values are not numbers.
    pub fn text_id(&self) -> Option<(&str, &str)> {
        let id = self.id().filter(|id| !id.is_number())?;
        Some((id.names.first()?, &id.database_type))
    }

    /// The index that would serve every page, as DDL; none for a query or a relation read in no order.
    pub fn index_ddl(&self) -> Option<String> {
        let table = self.table.as_ref().filter(|_| !self.tuple.is_empty())?;
        let unqualified = |column: &TupleColumn| {
            let expression = column.expression.replace(&format!("{ALIAS}."), "");
            if expression.contains('(') { format!("({expression})") } else { expression }
        };
        let columns: Vec<String> = self.tuple.iter().map(unqualified).collect();
        let mut name = table.clone();
        for column in self.tuple.iter().flat_map(|column| &column.names) {
            let _ = write!(name, "_{column}");
        }
        // The shortest limit of a name is PostgreSQL's, 63 bytes.
        name.truncate(name.floor_char_boundary(59));
        let name = self.syntax.quote(&format!("{name}_idx"));
        Some(format!("create index {name} on {} ({})", self.source, columns.join(", ")))
    }
}

/// The cursor tuple a mode asks for, by names, and a key that breaks its ties where the database keeps one.
fn wanted_tuple(definition: &TableDefinition, mode: &Mode) -> Vec<(CursorRole, Vec<String>)> {
    let mut tuple = match mode {
        Mode::Bulk => Vec::new(),
        Mode::Incrementing { column } => vec![(CursorRole::Incrementing, vec![column.clone()])],
        Mode::Timestamp { columns } => vec![(CursorRole::Timestamp, columns.clone())],
        Mode::TimestampIncrementing { columns, column } => {
            vec![(CursorRole::Timestamp, columns.clone()), (CursorRole::Incrementing, vec![column.clone()])]
        }
    };
    let breaks = ties::breaks(definition, &tuple);
    tuple.extend(breaks.into_iter().map(|name| (CursorRole::TieBreak, vec![name])));
    tuple
}

fn tuple_column(
    definition: &TableDefinition,
    role: CursorRole,
    names: Vec<String>,
    style: SqlStyle<'_>,
    quote: &impl Fn(&str) -> String,
    hidden: &mut Vec<String>,
) -> Result<TupleColumn> {
    let syntax = style.syntax;
    let mut columns = Vec::new();
    for name in &names {
        let index = definition.column_index(name).ok_or_else(|| {
            Error::new(ErrorKind::SourceSchema, format!("there is no column `{name}`"))
                .with("table", &definition.relation)
        })?;
        columns.push((index, &definition.columns[index]));
    }
    let Some(&(first_index, first)) = columns.first() else {
        return Err(Error::internal("a cursor column without a name"));
    };
    let members: Vec<(String, &ColumnDefinition)> =
        (names.iter().zip(&columns)).map(|(name, (_, column))| (format!("{ALIAS}.{}", quote(name)), *column)).collect();
    let Coalesced { plain, kind, typed_as, seen_in } = coalesce::of(definition, role, &members, style)?;
    let expression = match (role, &first.collation) {
        // A tie-break keeps the key's own collation, under which it is unique, so that its index serves.
        (CursorRole::Incrementing, Some(collation)) => syntax.in_byte_order(&plain, first).ok_or_else(|| {
            let message = format!("column `{}` compares by the collation {collation}", first.field.name);
            Error::new(ErrorKind::SourceSchema, message)
                .with("table", &definition.relation)
                .advise("an incrementing column of text needs an order by bytes; give it a binary collation")
        })?,
        _ => plain.clone(),
    };
    let mut index = first_index;
    let as_text = kind == CursorKind::Text;
    let is_plain = names.len() == 1 && expression == plain;
    let order = syntax.order_of(kind, typed_as, expression != plain);
    let output = if as_text { syntax.as_text(&plain, &first.database_type) } else { plain };
    if as_text || names.len() > 1 || first.projection != Projection::Column {
        index = definition.columns.len() + hidden.len();
        hidden.push(output.clone());
    }
    Ok(TupleColumn {
        role,
        names,
        output,
        kind,
        database_type: typed_as.database_type.clone(),
        is_plain,
        order,
        is_date: columns
            .iter()
            .any(|(_, column)| column.has_broken_dates)
            .then(|| syntax.is_date(&expression))
            .flatten(),
        is_nullable: columns.iter().all(|(_, column)| column.may_be_null),
        expression,
        seen_in,
        index,
    })
}

/// True for a name that every database takes without quotes.
fn is_plain(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn relation_sql(relation: &Relation, style: SqlStyle<'_>, is_load: bool) -> String {
    let syntax = style.syntax;
    match relation {
        Relation::Table(id) if style.unqualified => syntax.quote(&id.name),
        Relation::Table(id) => id.parts().map(|part| syntax.quote(part)).collect::<Vec<_>>().join("."),
        // The line break ends a trailing comment in the user's text.
        Relation::Query(sql) => {
            let suffix = style.suffix.filter(|_| is_load).map(|suffix| format!("\n{suffix}")).unwrap_or_default();
            format!("(\n{}{suffix}\n)", sql::without_modifiers(sql, syntax.grammar()))
        }
    }
}

/// A query that is loaded whole, in its own words; none if its columns must be selected otherwise, or in an order.
fn as_it_stands(relation: &Relation, planner: &Planner, select_list: &str, style: SqlStyle<'_>) -> Option<String> {
    let Relation::Query(sql) = relation else { return None };
    let is_plain = planner.tuple.is_empty() && select_list == format!("{ALIAS}.*");
    let runs = is_plain && planner.mode == Mode::Bulk && sql::runs_as_it_stands(sql, style.syntax.grammar());
    runs.then(|| style.suffix.map_or_else(|| sql.clone(), |suffix| format!("{sql}\n{suffix}")))
}

fn select_list(definition: &TableDefinition, syntax: &dyn SqlSyntax) -> String {
    let projected = |column: &ColumnDefinition| {
        let plain = format!("{ALIAS}.{}", syntax.quote(&column.field.name));
        syntax.project(&plain, column)
    };
    let is_plain = |column: &ColumnDefinition| column.is_visible && projected(column).is_none();
    if definition.skipped.is_empty() && definition.columns.iter().all(is_plain) {
        return format!("{ALIAS}.*");
    }
    let list: Vec<String> = definition
        .columns
        .iter()
        .map(|column| match projected(column) {
            Some(expression) => format!("{expression} as {}", syntax.quote(&column.field.name)),
            None => format!("{ALIAS}.{}", syntax.quote(&column.field.name)),
        })
        .collect();
    list.join(", ")
}
