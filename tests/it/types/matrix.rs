//! The type matrix: one table per database with a column of every type and a row of edge values, read through the
//! real pipeline. What a consumer decodes is written back as SQL, and the database itself says whether it is the
//! row. All differences are listed at once. To add a type or a value, add it to the database's own list.

use std::collections::{BTreeMap, BTreeSet};

use super::avro::{Field, Got, Reader};
use crate::support::config::Connector;
use crate::support::kafka::{Raw, read_topic, total_ends};
use crate::support::process::run;

/// One type of a database, with the values worth trying.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// As in `create table`.
    pub sql_type: &'static str,
    /// The type that a consumer finds: `int`, `date`, `decimal(2)`.
    pub avro: &'static str,
    /// In the form the database's [`Oracle::value`] takes.
    pub edges: &'static [&'static str],
    /// SQL over `{got}` and `{col}`, where it is another than the database's own.
    pub same: Option<&'static str>,
    /// Values that must stop their table, and what the message must say: the setting that helps.
    pub refused: &'static [(&'static str, &'static str)],
}

/// A type, what it becomes, and values that must arrive.
pub const fn of(sql_type: &'static str, avro: &'static str, edges: &'static [&'static str]) -> Column {
    Column { sql_type, avro, edges, same: None, refused: &[] }
}

impl Column {
    /// The same if this SQL says so.
    pub const fn same(mut self, template: &'static str) -> Self {
        self.same = Some(template);
        self
    }

    /// Values that must not arrive under these settings.
    pub const fn refuses(mut self, refused: &'static [(&'static str, &'static str)]) -> Self {
        self.refused = refused;
        self
    }

    pub fn is_required(&self) -> bool {
        self.sql_type.ends_with("not null")
    }
}

/// The form of times that a consumer knows besides the schema.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub granularity: &'static str,
    pub hybrid_calendar: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Self { granularity: "connect_logical", hybrid_calendar: true }
    }
}

/// A database that answers questions about its values.
pub trait Oracle {
    /// A connector of this database.
    fn connector(&self) -> Connector;
    /// Runs statements.
    fn run(&self, sql: &str);
    /// The first row as text; an error is the database's message.
    fn ask(&self, sql: &str) -> Result<Vec<Option<String>>, String>;
    /// An id column that counts up.
    fn id(&self) -> &'static str;
    /// An edge value as SQL.
    fn value(&self, edge: &str) -> String;
    /// A decoded value as SQL, of the column's type or one that compares with it.
    fn literal(&self, column: &Column, field: &Field, got: &Got, reading: Reading) -> String;
    /// SQL over `{got}` and `{col}`: they are the same value.
    fn same(&self, column: &Column) -> &'static str;
    /// A column for the eyes.
    fn shown(&self, column: &str) -> String;
}

/// Makes the table `matrix`: a row per edge value, and one of nulls.
pub fn create(oracle: &impl Oracle, columns: &[Column]) {
    let declared: Vec<String> =
        columns.iter().enumerate().map(|(n, column)| format!("c{n} {}", column.sql_type)).collect();
    oracle.run(&format!("create table matrix (id {}, {})", oracle.id(), declared.join(", ")));
    for row in 0..rows(columns) {
        let cells = columns.iter().map(|column| match column.edges.get(row) {
            Some(edge) => oracle.value(edge),
            None if column.is_required() => oracle.value(column.edges[0]),
            None => "null".to_owned(),
        });
        let names: Vec<String> = (0..columns.len()).map(|n| format!("c{n}")).collect();
        let cells: Vec<String> = cells.collect();
        oracle.run(&format!("insert into matrix ({}) values ({})", names.join(", "), cells.join(", ")));
    }
}

/// The edge values, and a row of nulls.
fn rows(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.edges.len()).max().unwrap_or(0) + 1
}

/// A connector of the matrix.
pub fn connector(oracle: &impl Oracle, settings: &[(&str, &str)]) -> Connector {
    let connector = oracle.connector().set("mode", "incrementing").set("incrementing.column.name", "id");
    settings
        .iter()
        .fold(connector.set("table.whitelist", "matrix"), |connector, (key, value)| connector.set(key, value))
}

/// The same with all columns as key.
pub fn keyed(connector: Connector, columns: &[Column]) -> Connector {
    let names: Vec<String> = (0..columns.len()).map(|n| format!("c{n}")).collect();
    connector.set("key.mode", "columns").set("message.key.columns", &format!("matrix:{}", names.join(",")))
}

/// Runs connectors until all is read.
#[track_caller]
pub fn read(connectors: &[&Connector]) {
    let files: Vec<_> = connectors.iter().map(|connector| connector.file()).collect();
    let mut arguments = vec!["run", "--once"];
    arguments.extend(files.iter().map(|file| file.to_str().expect("a path")));
    run(&arguments).expect_code(0);
}

/// Whatever differs between the topic and the table, in words.
pub fn differences(oracle: &impl Oracle, columns: &[Column], connector: &Connector, reading: Reading) -> Vec<String> {
    let mut reader = Reader::default();
    let mut failures = Vec::new();
    let mut found = BTreeMap::new();
    for Raw { key, value, .. } in read_topic(&connector.topic("matrix")) {
        let mut fields = reader.record(&value.expect("a value"));
        let (_, id) = fields.remove(0);
        let id = match id {
            Got::Integer(id) => id,
            Got::Text(id) => id.parse().expect("a number"),
            other => panic!("the id is {other:?}"),
        };
        let key = key.map(|key| reader.record(&key));
        if let Some(key) = key.filter(|key| format!("{key:?}") != format!("{fields:?}")) {
            failures.push(format!("row {id}: key and value differ:\n    {key:?}\n    {fields:?}"));
        }
        if found.insert(id, fields).is_some() {
            failures.push(format!("row {id} came twice"));
        }
    }
    let ids: Vec<i64> = found.keys().copied().collect();
    let expected: Vec<i64> = (1..=rows(columns) as i64).collect();
    if ids != expected {
        failures.push(format!("the topic has the rows {ids:?} of {expected:?}"));
    }
    let types = found
        .values()
        .flat_map(|fields| columns.iter().enumerate().filter_map(|(n, column)| other_type(n, column, fields.get(n))));
    failures.extend(types.collect::<BTreeSet<_>>());
    for (id, fields) in &found {
        let cells = columns.iter().zip(fields).enumerate();
        let cells: Vec<Cell> = cells.map(|(n, (column, sent))| Cell::new(oracle, (n, column), sent, reading)).collect();
        failures.extend(other_values(oracle, *id, &cells));
    }
    failures
}

/// Asks about a whole row first, and about its values one by one if anything is wrong.
fn other_values(oracle: &impl Oracle, id: i64, cells: &[Cell]) -> Vec<String> {
    let ask = |what: &str| oracle.ask(&format!("select {what} from matrix where id = {id}"));
    let is_yes = |answer: &Option<String>| answer.as_deref() == Some("yes");
    let all: Vec<&str> = cells.iter().map(|cell| cell.verdict.as_str()).collect();
    if ask(&all.join(", ")).is_ok_and(|answers| answers.len() == cells.len() && answers.iter().all(is_yes)) {
        return Vec::new();
    }
    let mut failures = Vec::new();
    for cell in cells {
        let answer = ask(&cell.verdict);
        if !answer.as_ref().is_ok_and(|answers| is_yes(&answers[0])) {
            let shown = ask(&oracle.shown(&cell.name));
            failures.push(format!("row {id}, {}, {shown:?}: {answer:?}", cell.described));
        }
    }
    failures
}

/// Columns where a wrong value in the first row would have been taken for right: an oracle that says yes to all
/// proves nothing.
pub fn unnoticed(oracle: &impl Oracle, columns: &[Column], connector: &Connector, reading: Reading) -> Vec<String> {
    let mut reader = Reader::default();
    let records = read_topic(&connector.topic("matrix"));
    let mut records = records.iter().map(|record| reader.record(record.value.as_ref().expect("a value")));
    let first = records.find(|fields| fields[0].1 == Got::Integer(1)).expect("the first row");
    let mut unnoticed = Vec::new();
    for (n, (column, (field, got))) in columns.iter().zip(&first[1..]).enumerate() {
        let damaged = match got {
            Got::Null => continue,
            Got::Boolean(value) => Got::Boolean(!value),
            Got::Integer(value) => Got::Integer(value ^ 1),
            Got::Float(value) => Got::Float(value + 0.25),
            Got::Double(value) => Got::Double(value + 0.25),
            Got::Text(text) => Got::Text(format!("{text}1")),
            Got::Bytes(bytes) => Got::Bytes([bytes.as_slice(), &[1]].concat()),
        };
        let cell = Cell::new(oracle, (n, column), &(field.clone(), damaged), reading);
        let answer = oracle.ask(&format!("select {} from matrix where id = 1", cell.verdict));
        if answer.is_ok_and(|answer| answer[0].as_deref() == Some("yes")) {
            unnoticed.push(format!("nobody noticed {}", cell.described));
        }
    }
    unnoticed
}

/// The field is missing, or of another type than the list says.
fn other_type(n: usize, column: &Column, found: Option<&(Field, Got)>) -> Option<String> {
    let place = format!("c{n} {}", column.sql_type);
    let Some((field, _)) = found.filter(|(field, _)| field.name == format!("c{n}")) else {
        return Some(format!("{place}: has no field"));
    };
    let as_listed = field.describe() == column.avro && field.optional != column.is_required();
    (!as_listed).then(|| format!("{place}: expected {}, the schema has {field:?}", column.avro))
}

/// One value on its way back to the database.
struct Cell {
    name: String,
    /// SQL: `yes` if it is that of the row.
    verdict: String,
    described: String,
}

impl Cell {
    fn new(oracle: &impl Oracle, (n, column): (usize, &Column), (field, got): &(Field, Got), reading: Reading) -> Self {
        let name = format!("c{n}");
        let literal = if *got == Got::Null { "null".to_owned() } else { oracle.literal(column, field, got, reading) };
        let template = column.same.unwrap_or(oracle.same(column));
        let same = template.replace("{got}", &literal).replace("{col}", &name);
        Self {
            verdict: format!("case when {same} then 'yes' else 'no' end"),
            described: format!("{name} {}: got {got:?} ({}), in SQL {literal}", column.sql_type, field.describe()),
            name,
        }
    }
}

/// Fails with all that was found.
#[track_caller]
pub fn none(failures: &[String]) {
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// Each refused value in a table of its own: the table stops with a message that names the column and the setting,
/// and nothing of it is sent.
pub fn assert_refused(oracle: &impl Oracle, columns: &[Column], settings: &[(&str, &str)]) {
    let refused: Vec<_> =
        columns.iter().flat_map(|column| column.refused.iter().map(move |refused| (column, refused))).collect();
    let mut failures = Vec::new();
    let names: Vec<String> = (0..refused.len()).map(|n| format!("refused_{n}")).collect();
    for ((column, (edge, _)), name) in refused.iter().zip(&names) {
        let value = oracle.value(edge);
        oracle.run(&format!("create table {name} (id {}, c {})", oracle.id(), column.sql_type));
        oracle.run(&format!("insert into {name} (c) values ({value})"));
    }
    let connector = connector(oracle, settings).set("table.whitelist", &names.join(","));
    let finished = run(&["run", "--once", connector.file().to_str().expect("a path")]);
    if finished.code == Some(0) {
        failures.push("the run ended well".to_owned());
    }
    for ((column, (edge, says)), name) in refused.iter().zip(&names) {
        let line = finished.stderr.lines().find(|line| line.contains("ERROR") && line.contains(&format!("{name} ")));
        match line {
            Some(line) if line.contains(says) => {}
            line => failures.push(format!("{} of {edge:?} must name {says}, but said: {line:?}", column.sql_type)),
        }
    }
    let ends = total_ends(names.iter().map(|name| connector.topic(name)));
    for ((column, (edge, _)), _) in refused.iter().zip(ends).filter(|(_, end)| *end > 0) {
        failures.push(format!("{} of {edge:?} was sent", column.sql_type));
    }
    none(&failures);
}
