//! Text in the database's own encoding, for relations with characters that have no equivalent in UTF-8. Asked for UTF-8
//! the server fails the whole statement for such a character, and does not say where it is. From then on the text of
//! that relation is read as it is stored, by the same statement inside another one, and converted here by the answers
//! of the server, which is asked once for each character there is. It takes a look at the page before it is read; a
//! relation whose text can be converted costs nothing.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};

use super::super::page::Page;
use super::super::statement::{Doing, statement};
use super::super::syntax::double_quoted;
use super::bind;
use super::charset::Charset;
use super::classify::{classify, is_inconvertible};
use super::session::{Session, answered};
use super::wire::Wire;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;
use crate::model::{CursorKind, PlannedQuery, Relation, TableDefinition, TableId};

/// The relations known to need it, by the database they are in. They outlive the session, which an error may end.
static RELATIONS: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

/// Makes the relation be read as it is stored from now on. False if it is already.
pub(super) fn remember(identity: &str, relation: &Relation) -> bool {
    let place = (identity.to_owned(), relation.to_string());
    locked(&RELATIONS).insert(place)
}

fn is_remembered(identity: &str, relation: &Relation) -> bool {
    let known = locked(&RELATIONS);
    !known.is_empty() && known.contains(&(identity.to_owned(), relation.to_string()))
}

/// A page whose text is read as it is stored.
pub(super) struct Stored {
    pub(super) sql: String,
    /// The columns of the result that are text.
    pub(super) texts: Vec<bool>,
    pub(super) charset: Arc<Charset>,
}

/// The page as it is to be read, if it is one of a relation that is read as it is stored.
pub(super) async fn prepare(session: &mut Session, page: Page<'_>) -> Result<Option<Stored>> {
    let Page { definition, query } = page;
    if !is_remembered(&session.identity, &definition.relation) {
        return Ok(None);
    }
    let texts = texts(definition, query);
    let sql = as_stored(definition, query, &texts);
    let found = look(session, query, (&sql, &texts)).await;
    let found = found.map_err(|error| error.with("table", &definition.relation))?;
    learn(session, found).await?;
    Ok(Some(Stored { sql, texts, charset: session.notes.charset.clone() }))
}

/// The columns of the result that hold text which the server would convert.
fn texts(definition: &TableDefinition, query: &PlannedQuery) -> Vec<bool> {
    let own = definition.columns.iter().map(|column| matches!(Wire::expected(column), Wire::Text | Wire::Jsonb));
    let hidden = (definition.columns.len()..definition.columns.len() + query.hidden)
        .map(|index| query.cursor.iter().any(|column| column.index == index && column.kind == CursorKind::Text));
    own.chain(hidden).collect()
}

/// A text as its bytes. `concat` takes it as it is written, also the blanks of a `char(n)`; unlike `convert_to`, this does
/// not look at whether they are characters.
fn bytes(text: &str) -> String {
    format!(
        "case when {text} is not null then pg_catalog.decode(pg_catalog.replace(pg_catalog.concat({text}), \
         pg_catalog.chr(92), pg_catalog.repeat(pg_catalog.chr(92), 2)), 'escape') end"
    )
}

/// The statement inside another one that makes bytes of texts.
fn as_stored(definition: &TableDefinition, query: &PlannedQuery, texts: &[bool]) -> String {
    let columns: Vec<String> = (0..texts.len()).map(|index| format!("c{index}")).collect();
    let selected = texts.iter().enumerate().map(|(index, is_text)| {
        let bytes = bytes(&format!("r.c{index}"));
        let name = definition.columns.get(index).map(|column| double_quoted(&column.field.name));
        match (is_text, name) {
            (true, Some(name)) => format!("{bytes} as {name}"),
            (true, None) => bytes,
            (false, Some(name)) => format!("r.c{index} as {name}"),
            (false, None) => format!("r.c{index}"),
        }
    });
    let selected: Vec<String> = selected.collect();
    // The line break ends a trailing comment in the user's text.
    format!("select {} from ({}\n) as r({})", selected.join(", "), query.sql, columns.join(", "))
}

/// The characters of a page that are not known yet.
async fn look(
    session: &mut Session,
    query: &PlannedQuery,
    (sql, texts): (&str, &[bool]),
) -> Result<BTreeSet<Box<[u8]>>> {
    let call = sqlx::query_with(statement(sql), bind::arguments(&query.binds)?).persistent(false);
    let (charset, vigil) = (&session.notes.charset, &session.vigil);
    let (mut found, mut has_rows) = (HashSet::new(), false);
    let mut rows = call.fetch(&mut session.connection);
    vigil.begins();
    loop {
        vigil.hears();
        let row: Option<PgRow> = vigil.rows(has_rows, rows.try_next()).await?.map_err(|error| {
            let error = classify(error, Doing::Page);
            // Where the connection broke the server may not know yet.
            if error.kind() != ErrorKind::Unreachable {
                vigil.ends();
            }
            error
        })?;
        let Some(row) = row else { break };
        has_rows = true;
        for index in (0..texts.len()).filter(|index| texts[*index]) {
            let raw = row.try_get_raw(index).map_err(|error| classify(error, Doing::Page))?;
            let Ok(stored) = raw.as_bytes() else { continue };
            for character in charset.characters(stored).filter(|character| !character.is_ascii()) {
                if !charset.known.contains_key(character) && !found.contains(character) {
                    found.insert(character.into());
                }
            }
        }
    }
    vigil.ends();
    Ok(found.into_iter().collect())
}

/// The columns `schema` and `name` of a list, which the server cannot convert. A name that has no equivalent has question
/// marks in it: its table may not be wanted at all.
pub(super) async fn names(session: &mut Session, list: &str, arguments: PgArguments) -> Result<Vec<TableId>> {
    let sql = format!("select {}, {} from ({list}) as t", bytes("t.schema"), bytes("t.name"));
    let call = sqlx::query_with(statement(&sql), arguments).persistent(false);
    let rows = answered(&session.vigil, Doing::Describe, call.fetch_all(&mut session.connection)).await?;
    let unexpected = |_| Error::internal("the catalog answers in another form than expected");
    let stored = |row: &PgRow| Ok::<(Vec<u8>, Vec<u8>), _>((row.try_get(0)?, row.try_get(1)?));
    let names = rows.iter().map(stored).collect::<sqlx::Result<Vec<_>>>().map_err(unexpected)?;
    let charset = &session.notes.charset;
    let characters = names.iter().flat_map(|(schema, name)| [schema, name]).flat_map(|text| charset.characters(text));
    learn(session, characters.filter(|character| !character.is_ascii()).map(Box::from).collect()).await?;
    let shown = |text: &[u8]| session.notes.charset.shown(text);
    Ok(names
        .iter()
        .map(|(schema, name)| TableId { catalog: None, schema: Some(shown(schema)), name: shown(name) })
        .collect())
}

/// Asks the server for characters in UTF-8: all at once, and where that fails, each half by itself.
async fn learn(session: &mut Session, found: BTreeSet<Box<[u8]>>) -> Result<()> {
    let mut parts: Vec<Vec<Box<[u8]>>> = vec![found.into_iter().collect()];
    while let Some(mut part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        let answer = convert(session, &part).await?;
        let known = &mut Arc::make_mut(&mut session.notes.charset).known;
        match answer {
            Some(texts) => known.extend(part.into_iter().zip(texts.into_iter().map(Some))),
            None if part.len() == 1 => known.extend(part.into_iter().map(|character| (character, None))),
            None => {
                let half = part.split_off(part.len() / 2);
                parts.extend([part, half]);
            }
        }
    }
    Ok(())
}

/// Characters in UTF-8; none if the server cannot convert one of them.
async fn convert(session: &mut Session, characters: &[Box<[u8]>]) -> Result<Option<Vec<Box<str>>>> {
    let is_inside = session.notes.in_view || session.notes.open_transaction;
    if is_inside {
        session.run("savepoint rowtide_text").await?;
    }
    let call = sqlx::query("select pg_catalog.convert($1::bytea, $2::name, 'UTF8'::name)")
        .bind(characters.join(&b'\n'))
        .bind(session.notes.charset.encoding.clone())
        .persistent(false)
        .fetch_one(&mut session.connection);
    let answer = answered(&session.vigil, Doing::Page, call).await;
    if is_inside {
        session.run("rollback to savepoint rowtide_text").await?;
    }
    let row = match answer {
        Err(error) if is_inconvertible(&error) => return Ok(None),
        answer => answer?,
    };
    let unexpected = || Error::internal("the server converts a text to something else than text in UTF-8");
    let text = String::from_utf8(row.try_get(0).map_err(|_| unexpected())?).map_err(|_| unexpected())?;
    let texts: Vec<Box<str>> = text.split('\n').map(Box::from).collect();
    if texts.len() == characters.len() { Ok(Some(texts)) } else { Err(unexpected()) }
}
