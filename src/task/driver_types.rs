//! The form of columns that JDBC drivers deliver differently (`driver.types`), by the schema that is registered for the
//! topic. Decided once per column and run, so that a newer version of the subject changes nothing under a running
//! connector, and the registry is asked only about columns of which nothing is known yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::convert::{Converter, RegisteredFields, Role, Side};
use crate::error::{ErrorKind, Result};
use crate::model::{DriverColumn, DriverForm, FieldType, RecordSchema, Relation, Schema, TableDefinition};

/// The forms that all tasks of one run deliver columns in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DriverChoices(Arc<Mutex<HashMap<Relation, Choices>>>);

/// The type that each column is delivered as, and the reason.
type Choices = HashMap<String, (Option<FieldType>, String)>;

/// A column and its form, for a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverChoice {
    /// The column.
    pub column: String,
    /// `int8 as MySQL Connector/J 8.0 delivers it: subject orders-value version 3`.
    pub text: String,
}

impl DriverChoices {
    fn lock(&self) -> MutexGuard<'_, HashMap<Relation, Choices>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles the columns of a definition as they have been settled before; others stay in the first of their forms.
    pub(super) fn settled(&self, mut definition: TableDefinition) -> TableDefinition {
        let known = self.lock();
        if let Some(choices) = known.get(&definition.relation) {
            let forms: Vec<usize> =
                definition.by_driver.iter().map(|column| known_form(choices, column).unwrap_or(0)).collect();
            definition.take_forms(&forms);
        }
        definition
    }

    /// Settles the columns of a definition, asking the registry about those that have not been, by the topic and the name
    /// of the records' schema; gives the reasons too.
    ///
    /// # Errors
    /// Those of [`Converter::registered`].
    pub async fn settle(
        &self,
        mut definition: TableDefinition,
        (topic, name): (&str, Option<String>),
        values: &dyn Converter,
    ) -> Result<(TableDefinition, Vec<DriverChoice>)> {
        let before = self.lock().get(&definition.relation).cloned();
        let knows =
            |column: &DriverColumn| before.as_ref().is_some_and(|choices| known_form(choices, column).is_some());
        let mut registered = None;
        if definition.by_driver.iter().any(|column| column.is_open && !knows(column)) {
            let schema = Schema::Record(RecordSchema { name, ..definition.value_schema() });
            let projection = definition.visible();
            let (role, projection, table) = (Role::Value, projection.as_slice(), &definition);
            let asked = values.registered(Side { topic, role, schema: &schema, projection, table }).await;
            registered = asked.map_err(|error| match error.kind() {
                ErrorKind::Auth | ErrorKind::RegistryRefused => error.advise(
                    "the types of some columns depend on the JDBC driver, and the registered schema says which it was: let \
                     the user read the subject, or name the driver in driver.types",
                ),
                _ => error,
            })?;
        }
        let mut choices = before.clone().unwrap_or_default();
        let mut forms = Vec::with_capacity(definition.by_driver.len());
        for column in &definition.by_driver {
            let form = match known_form(&choices, column) {
                Some(form) => form,
                None => {
                    let (form, reason) = choose(column, registered.as_ref(), before.is_some());
                    let delivered = column.forms.get(form).and_then(|form| form.field_type.clone());
                    choices.insert(column.column.field.name.clone(), (delivered, reason));
                    form
                }
            };
            forms.push(form);
        }
        let said = said(&definition, &choices);
        definition.take_forms(&forms);
        self.lock().insert(definition.relation.clone(), choices);
        Ok((definition, said))
    }
}

/// Advice about a column that drivers leave out.
const DELIVER_IT: &str = "driver.types=mariadb-2.7, for the column or for all, delivers it";

/// The form a column is known to be delivered in, if it still has it.
fn known_form(choices: &Choices, column: &DriverColumn) -> Option<usize> {
    let (known, _) = choices.get(&column.column.field.name)?;
    column.forms.iter().position(|form| form.field_type == *known)
}

/// The form of a column of which nothing is known, and why. `has_run`: the relation has been delivered in this run
/// without the column.
fn choose(column: &DriverColumn, registered: Option<&RegisteredFields>, has_run: bool) -> (usize, String) {
    let usual = |why: String| (0, told(&column.forms[0], &why));
    let Some(registered) = registered.filter(|_| column.is_open) else { return usual(String::new()) };
    let (name, place) = (&column.column.field.name, &registered.place);
    let types: Vec<Option<&FieldType>> = column.forms.iter().map(|form| form.field_type.as_ref()).collect();
    let found = registered.form_of(name, &types);
    // A column that comes new is in no schema yet.
    let found = found.filter(|form| !(has_run && types[*form].is_none()));
    match (found, registered.shown(name)) {
        (Some(form), Some(_)) => (form, told(&column.forms[form], &format!(": {place}"))),
        (Some(form), None) => {
            let why = format!(": {place} has no such field; {DELIVER_IT}");
            (form, told(&column.forms[form], &why))
        }
        (None, Some(other)) => usual(format!(": {place} has {other}")),
        (None, None) if registered.fields.is_some() => usual(format!(": {place} has no such field")),
        (None, None) => usual(format!(": {place} has no schema")),
    }
}

fn told(form: &DriverForm, why: &str) -> String {
    match &form.field_type {
        Some(field_type) => format!("{field_type} {}{why}", form.because),
        None => format!("left out {}{why}", form.because),
    }
}

fn said(definition: &TableDefinition, choices: &Choices) -> Vec<DriverChoice> {
    let columns = definition.by_driver.iter().map(|column| &column.column.field.name);
    columns
        .filter_map(|column| {
            let (_, text) = choices.get(column)?;
            Some(DriverChoice { column: column.clone(), text: text.clone() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::BoxFuture;

    use super::*;
    use crate::convert::{Encoder, SchemaPreview};
    use crate::error::Error;
    use crate::model::{ColumnDefinition, Field, Projection, SkippedColumn, TableId, UniqueKeys};

    /// A registry that counts its callers.
    #[derive(Default)]
    struct Asked(AtomicUsize);

    impl Converter for Asked {
        fn bind<'a>(&'a self, _: Side<'a>) -> BoxFuture<'a, Result<Arc<dyn Encoder>>> {
            Box::pin(async { Err(Error::internal("not asked for")) })
        }

        fn preview(&self, _: Side<'_>) -> Result<SchemaPreview> {
            Err(Error::internal("not asked for"))
        }

        fn check<'a>(&'a self, _: Side<'a>) -> BoxFuture<'a, Result<()>> {
            Box::pin(async { Err(Error::internal("not asked for")) })
        }

        fn bind_sample(&self, _: Side<'_>) -> Result<Arc<dyn Encoder>> {
            Err(Error::internal("not asked for"))
        }

        fn render_sample(&self, _: &SchemaPreview, _: &[u8]) -> Result<String> {
            Err(Error::internal("not asked for"))
        }

        fn registered<'a>(&'a self, _: Side<'a>) -> BoxFuture<'a, Result<Option<RegisteredFields>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(None) })
        }
    }

    fn table(names: &[&str]) -> TableDefinition {
        let column = |name: &&str| ColumnDefinition {
            field: Field { name: (*name).to_owned(), field_type: FieldType::Boolean, optional: true, doc: None },
            database_type: "tinyint(1)".into(),
            collation: None,
            seen_in: None,
            projection: Projection::Column,
            not_null: false,
            auto_increment: false,
            cursor: None,
            is_visible: true,
            has_broken_dates: false,
            may_be_null: false,
        };
        let form = |field_type| DriverForm { field_type, because: "as a driver does".into() };
        let by_driver = |(place, name): (usize, &&str)| DriverColumn {
            column: column(name),
            place,
            forms: vec![form(Some(FieldType::Boolean)), form(Some(FieldType::Int8)), form(None)],
            is_open: true,
        };
        TableDefinition {
            relation: Relation::Table(TableId { catalog: None, schema: None, name: "t".into() }),
            columns: names.iter().map(column).collect(),
            skipped: Vec::new(),
            by_driver: names.iter().enumerate().map(by_driver).collect(),
            primary_key: Vec::new(),
            indexes: Vec::new(),
            unique: UniqueKeys::default(),
            comment: None,
        }
    }

    #[tokio::test]
    async fn the_registry_is_asked_once_about_a_column_whatever_is_described_again() {
        let (choices, asked) = (DriverChoices::default(), Asked::default());
        for (names, count) in [(&["a"][..], 1), (&["a"], 1), (&["a", "b"], 2), (&["b"], 2), (&[], 2)] {
            let (definition, said) = choices.settle(table(names), ("topic", None), &asked).await.unwrap();
            assert_eq!(
                (asked.0.load(Ordering::Relaxed), definition.columns.len(), said.len()),
                (count, names.len(), names.len())
            );
        }
    }

    #[test]
    fn columns_that_are_left_out_leave_the_others_where_they_are() {
        let mut definition = table(&["a", "b", "c", "d"]);
        definition.take_forms(&[2, 1, 2, 0]);
        let names = |definition: &TableDefinition| {
            definition.columns.iter().map(|column| column.field.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&definition), ["b", "d"]);
        assert_eq!(definition.columns[0].field.field_type, FieldType::Int8);
        assert_eq!(definition.skipped.len(), 2);
        // Columns that were left out come back to their places.
        let mut definition = table(&["a", "b", "c"]);
        definition.columns.remove(0);
        definition.by_driver[1].place = 0;
        definition.by_driver[2].place = 1;
        definition.skipped = vec![SkippedColumn { name: "a".into(), database_type: "uuid".into() }];
        definition.take_forms(&[1, 0, 0]);
        assert_eq!((names(&definition).join(""), definition.skipped.len()), ("abc".to_owned(), 0));
    }
}
