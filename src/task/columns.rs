//! Changes of a table's columns since this run of the connector first bound them, in words, and the consequence that
//! `schema.change` draws. Pure: definitions come in, verdicts go out. It outlives a task's sessions, because a change
//! that falls together with a new session is a change all the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::spec::SchemaChange;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ColumnDefinition, Relation, TableDefinition};

/// The columns that all tasks of one run have delivered. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct KnownColumns(Arc<Mutex<HashMap<Relation, TableDefinition>>>);

impl KnownColumns {
    fn lock(&self) -> MutexGuard<'_, HashMap<Relation, TableDefinition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The difference, if anything has changed; `subject` is where the new schema would be registered.
    ///
    /// # Errors
    /// `SchemaHeld` with the difference, unless the configuration lets the table go on with its new columns.
    pub(super) fn check(
        &self,
        definition: &TableDefinition,
        policy: SchemaChange,
        subject: Option<&str>,
    ) -> Result<Option<String>> {
        let known = self.lock();
        let Some(before) = known.get(&definition.relation) else { return Ok(None) };
        let Some(change) = difference(before, definition) else { return Ok(None) };
        if policy == SchemaChange::Evolve {
            return Ok(Some(change));
        }
        let error = Error::new(ErrorKind::SchemaHeld, format!("the table's columns have changed: {change}"));
        Err(match subject {
            Some(subject) => error.with("subject", subject),
            None => error,
        })
    }

    /// Forgets the columns of a table: those it has now are taken as they are.
    pub(super) fn forget(&self, relation: &Relation) {
        self.lock().remove(relation);
    }

    /// Notes that these columns are delivered from now on.
    pub(super) fn accept(&self, definition: &TableDefinition) {
        self.lock().insert(definition.relation.clone(), definition.clone());
    }
}

/// The difference of the newer columns, in words; none if records and cursor are the same.
fn difference(before: &TableDefinition, after: &TableDefinition) -> Option<String> {
    let mut changes = Vec::new();
    let find = |definition: &TableDefinition, name: &str| {
        definition.columns.iter().position(|column| column.field.name == name)
    };
    for (index, old) in before.columns.iter().enumerate() {
        let name = &old.field.name;
        match find(after, name).map(|index| &after.columns[index]) {
            Some(new) => changes.extend(altered(old, new)),
            // A new column of its type in its place is most likely the same column, renamed.
            None => match after.columns.get(index) {
                Some(new) if find(before, &new.field.name).is_none() && new.database_type == old.database_type => {
                    changes.push(format!("`{name}` is called `{}` now", new.field.name));
                }
                _ => changes.push(format!("`{name}` ({}) is gone", old.database_type)),
            },
        }
    }
    for (index, new) in after.columns.iter().enumerate() {
        let renamed = || {
            before
                .columns
                .get(index)
                .is_some_and(|old| find(after, &old.field.name).is_none() && old.database_type == new.database_type)
        };
        if find(before, &new.field.name).is_none() && !renamed() {
            let null = if new.field.optional { "" } else { ", not null" };
            changes.push(format!("`{}` ({}{null}) is new", new.field.name, new.database_type));
        }
    }
    // A changed comment is a new schema, and no change of columns.
    let delivered = |definition: &TableDefinition| {
        definition
            .value_schema()
            .fields
            .into_iter()
            .map(|field| (field.name, field.field_type, field.optional))
            .collect::<Vec<_>>()
    };
    if changes.is_empty() && delivered(before) != delivered(after) {
        changes.push("the order of the columns".to_owned());
    }
    (!changes.is_empty()).then(|| changes.join(", "))
}

fn altered(old: &ColumnDefinition, new: &ColumnDefinition) -> Option<String> {
    let name = &old.field.name;
    if old.database_type != new.database_type {
        return Some(format!("`{name}` is {} now, it was {}", new.database_type, old.database_type));
    }
    if old.field.field_type != new.field.field_type {
        let (now, was) = (&new.field.field_type, &old.field.field_type);
        return Some(format!("`{name}` needs {now:?} now, it was {was:?}"));
    }
    match (old.field.optional, new.field.optional) {
        (false, true) => Some(format!("`{name}` may be null now")),
        (true, false) => Some(format!("`{name}` is not null now")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Field, FieldType, Projection, TableId, UniqueKeys};

    fn table(columns: &[(&str, &str, bool)]) -> TableDefinition {
        let column = |(name, database_type, optional): &(&str, &str, bool)| ColumnDefinition {
            field: Field { name: (*name).into(), field_type: FieldType::Int32, optional: *optional, doc: None },
            database_type: (*database_type).into(),
            not_null: !optional,
            is_visible: true,
            has_broken_dates: false,
            may_be_null: *optional,
            collation: None,
            seen_in: None,
            auto_increment: false,
            cursor: None,
            projection: Projection::Column,
        };
        TableDefinition {
            relation: Relation::Table(TableId { catalog: None, schema: None, name: "t".into() }),
            columns: columns.iter().map(column).collect(),
            skipped: Vec::new(),
            by_driver: Vec::new(),
            primary_key: Vec::new(),
            indexes: Vec::new(),
            unique: UniqueKeys::default(),
            comment: None,
        }
    }

    const BEFORE: &[(&str, &str, bool)] = &[("id", "int4", false), ("a", "int4", true), ("b", "text", true)];

    #[test]
    fn each_change_is_said_in_words() {
        let change = |after: &[(&str, &str, bool)]| difference(&table(BEFORE), &table(after));
        assert_eq!(change(BEFORE), None);
        let said = |after: &[(&str, &str, bool)]| change(after).unwrap();
        assert_eq!(said(&[BEFORE[0], BEFORE[1]]), "`b` (text) is gone");
        assert_eq!(said(&[BEFORE[0], BEFORE[1], BEFORE[2], ("c", "date", false)]), "`c` (date, not null) is new");
        assert_eq!(said(&[BEFORE[0], ("z", "int4", true), BEFORE[2]]), "`a` is called `z` now");
        assert_eq!(said(&[BEFORE[0], ("a", "int8", true), BEFORE[2]]), "`a` is int8 now, it was int4");
        assert_eq!(said(&[("id", "int4", true), BEFORE[1], BEFORE[2]]), "`id` may be null now");
        assert_eq!(said(&[BEFORE[0], BEFORE[2], BEFORE[1]]), "the order of the columns");
        assert_eq!(
            said(&[BEFORE[0], ("c", "date", true), BEFORE[2]]),
            "`a` (int4) is gone, `c` (date) is new",
            "another type in its place is another column"
        );
    }

    #[test]
    fn a_held_table_stays_held_until_its_columns_are_as_before() {
        let known = KnownColumns::default();
        let (before, after) = (table(BEFORE), table(&BEFORE[..2]));
        known.accept(&before);
        for _ in 0..2 {
            let error = known.check(&after, SchemaChange::PauseTable, Some("p_t-value")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SchemaHeld);
            assert_eq!(error.to_string(), "the table's columns have changed: `b` (text) is gone (subject p_t-value)");
        }
        assert_eq!(known.check(&before, SchemaChange::PauseTable, None).unwrap(), None);
        assert!(known.check(&after, SchemaChange::Evolve, None).unwrap().is_some());
    }
}
