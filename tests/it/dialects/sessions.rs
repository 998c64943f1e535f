//! Settings of a server, a database or a role that hold for sessions: every one that somebody can set is set to something
//! else, and the records stay those of the default.

mod family;
mod postgres;

use std::time::Duration;

use rowtide::config::spec::{CatalogFilter, ColumnTypes, SourceSpec, SourceUrl};
use rowtide::dialect::{SourceConnection, dialect_of};
use rowtide::error::Result;
use rowtide::model::{CursorValue, Mode, Position, Relation, TableId};
use rowtide::plan::{Planner, SqlStyle};

use super::place::read;
use super::postgres::parts;

/// The reads of a connector: where, which tables, and a query whose meaning hangs on nothing.
struct Reader {
    source: SourceSpec,
    place: TableId,
    query: &'static str,
}

impl Reader {
    fn new(dialect: &str, url: &str, place: TableId, user: &str) -> Self {
        let (_, host, database) = parts(url);
        let url = SourceUrl {
            dialect: dialect.to_owned(),
            hosts: vec![host],
            database: Some(database),
            // Sessions without number are opened.
            parameters: [("sslmode", "disable"), ("sslMode", "DISABLED")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
        };
        let source = SourceSpec {
            url,
            user: Some(user.to_owned()),
            password: None,
            types: ColumnTypes::default(),
            quote_identifiers: true,
            isolation: None,
            connect_timeout: Duration::from_secs(20),
            statement_timeout: Duration::from_secs(20),
            pool_size: 10,
        };
        Self { source, place, query: "select id, s, n from t" }
    }

    fn table(&self, name: &str) -> Relation {
        Relation::Table(TableId { name: name.to_owned(), ..self.place.clone() })
    }

    async fn connect(&self) -> Result<Box<dyn SourceConnection>> {
        dialect_of(&self.source)?.connect(&self.source).await
    }

    /// Everything that is read in every mode, as text.
    async fn records(&self) -> Result<String> {
        let mut connection = self.connect().await?;
        let filter = CatalogFilter {
            catalog: self.place.catalog.clone(),
            schema: self.place.schema.clone(),
            ..CatalogFilter::default()
        };
        let mut text = format!("{:?} {:?}\n", connection.list_tables(&filter).await?, connection.identity());
        let (ts, id) = (vec!["ts".to_owned()], "id".to_owned());
        for (table, mode) in [
            ("t", Mode::Bulk),
            ("t", Mode::TimestampIncrementing { columns: ts.clone(), column: id.clone() }),
            ("by_text", Mode::Bulk),
            ("keyless", Mode::Timestamp { columns: ts.clone() }),
            ("v", Mode::Incrementing { column: id.clone() }),
        ] {
            text += &format!("{table} {mode:?}: {}\n", self.read(&mut *connection, self.table(table), &mode).await?);
        }
        let query = Relation::Query(self.query.to_owned());
        text += &self.read(&mut *connection, query, &Mode::Incrementing { column: id }).await?;
        connection.open_transactions().await?;
        connection.late_support(&self.table("t"), Some("id")).await?;
        Ok(text)
    }

    async fn read(&self, connection: &mut dyn SourceConnection, relation: Relation, mode: &Mode) -> Result<String> {
        let definition = connection.describe(&relation, &["ts".to_owned()]).await?;
        let style = SqlStyle {
            syntax: dialect_of(&self.source)?.syntax(),
            quote: true,
            unqualified: false,
            suffix: None,
            zone: rowtide::zone::Zone::UTC,
        };
        let planner = Planner::new(&definition, mode, style)?;
        let upper = match planner.time_kind() {
            Some(kind) => Some(connection.upper_bound(kind, Duration::ZERO).await?),
            None => None,
        };
        if let Some(CursorValue::Timestamp(micros)) = upper {
            let off = (chrono::Utc::now().timestamp_micros() - micros).abs();
            assert!(off < 100_000_000, "the clock is {off} microseconds off");
        }
        let fields = definition.columns.iter().map(|column| format!("{:?} {:?}", column.field, column.cursor));
        let shape = format!("{:?} by {:?}", fields.collect::<Vec<_>>(), definition.primary_key);
        // Rows of one time that no key tells apart are not cut, and come in any order.
        let in_pages = planner.tuple_len() > 0 && (*mode == Mode::Bulk || !definition.primary_key.is_empty());
        let mut rows = Vec::new();
        let mut position: Option<Position> = None;
        loop {
            let query = planner.page(position.as_ref(), upper.as_ref(), if in_pages { 5 } else { 1000 });
            let page = read(connection, &definition, &query).await?;
            rows.extend(page.rows.iter().map(|row| format!("{row:?}")));
            assert!(rows.len() < 1000, "rows come again and again");
            match page.cursor.last() {
                Some(last) if in_pages => position = Some(Position(last.clone())),
                _ => break,
            }
        }
        if definition.primary_key.is_empty() {
            rows.sort();
        }
        Ok(format!("{shape}\n{}", rows.join("\n")))
    }

    /// Nothing, or how the records differ from those of the default.
    async fn differs(&self, default: &str) -> Option<String> {
        match self.records().await {
            Err(error) => Some(error.report()),
            Ok(text) if text == default => None,
            Ok(text) => {
                let mut lines = default.lines().zip(text.lines());
                let (expected, found) = lines.find(|(one, other)| one != other).unwrap_or(("more", "less"));
                let at = expected.bytes().zip(found.bytes()).take_while(|(one, other)| one == other).count();
                let near = |line: &str| line.chars().skip(at.saturating_sub(60)).take(160).collect::<String>();
                Some(format!("{}\n  instead of {}", near(found), near(expected)))
            }
        }
    }
}

type Setting = (String, String);

/// Somebody who makes settings of others' sessions, and takes them back.
trait Administrator {
    fn set(&self, settings: &[Setting]);
    fn reset(&self, settings: &[Setting]);
}

/// Settings under which the records differ, found by halves.
async fn culprits(
    reader: &Reader,
    administrator: &dyn Administrator,
    settings: &[Setting],
    default: &str,
) -> Vec<(Setting, String)> {
    let mut found = Vec::new();
    let mut open = batches(settings);
    while let Some(batch) = open.pop() {
        administrator.set(&batch);
        let differs = reader.differs(default).await;
        administrator.reset(&batch);
        match differs {
            None => {}
            Some(how) if batch.len() == 1 => {
                println!("{} = {}: {how}", batch[0].0, batch[0].1);
                found.push((batch[0].clone(), how));
            }
            Some(_) => {
                let (one, other) = batch.split_at(batch.len() / 2);
                open.extend([one.to_vec(), other.to_vec()]);
            }
        }
    }
    found
}

/// At most so many at once, each name once.
fn batches(settings: &[Setting]) -> Vec<Vec<Setting>> {
    let mut batches: Vec<Vec<Setting>> = Vec::new();
    for setting in settings {
        let fits = |batch: &&mut Vec<Setting>| batch.len() < 64 && batch.iter().all(|(name, _)| *name != setting.0);
        match batches.iter_mut().find(fits) {
            Some(batch) => batch.push(setting.clone()),
            None => batches.push(vec![setting.clone()]),
        }
    }
    batches
}

/// Fails for everything that is not expected, with what it does.
fn assert_expected(found: &[(Setting, String)], expected: &[(&str, &str)]) {
    let unexpected: Vec<String> = found
        .iter()
        .filter(|((name, value), _)| {
            !expected.iter().any(|(known, _)| *known == name || *known == format!("{name}={value}"))
        })
        .map(|((name, value), how)| format!("{name} = {value}: {how}"))
        .collect();
    assert!(unexpected.is_empty(), "{} settings change what is read:\n{}", unexpected.len(), unexpected.join("\n"));
}
