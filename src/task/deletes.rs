//! Deletes by flag (`delete.mode=soft`): the rule by which a row counts as deleted.

use num_bigint::BigInt;

use crate::config::spec::DeleteSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ColumnDefinition, FieldType, TableDefinition, Value};

/// The rule by which a row counts as deleted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DeleteRule {
    /// The index of `delete.column` in the rows.
    pub(super) column: usize,
    test: Test,
    /// `delete.emit=both`: the last state of the row goes before its tombstone.
    pub(super) with_row: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    IsTrue,
    IsNotNull,
    Is(Value<'static>),
    /// A text, trailing blanks not counted: those of a CHAR are none of its value.
    IsText(String),
}

impl DeleteRule {
    /// The rule for a table.
    ///
    /// # Errors
    /// `SourceSchema` if the table has no such column; `Config` if its type cannot tell deleted rows.
    pub(super) fn new(spec: &DeleteSpec, definition: &TableDefinition) -> Result<Self> {
        let Some(column) = definition.column_index(&spec.column) else {
            let names: Vec<&str> = definition.columns.iter().map(|column| column.field.name.as_str()).collect();
            let message = format!("delete.column: there is no column `{}`", spec.column);
            return Err(Error::new(ErrorKind::SourceSchema, message)
                .with("table", &definition.relation)
                .advise(format!("its columns are {}", names.join(", "))));
        };
        let test = test(&definition.columns[column], spec.value.as_deref());
        let test = test.map_err(|error| error.with("table", &definition.relation))?;
        Ok(Self { column, test, with_row: spec.with_row })
    }

    /// The rule in words.
    pub(super) fn describe(&self, definition: &TableDefinition) -> String {
        let column = &definition.columns[self.column].field.name;
        let test = match &self.test {
            Test::IsTrue => "is true".to_owned(),
            Test::IsNotNull => "is not null".to_owned(),
            Test::Is(Value::Boolean(value)) => format!("is {value}"),
            Test::Is(Value::Integer(value)) => format!("is {value}"),
            Test::Is(_) => "has the value of delete.column".to_owned(),
            Test::IsText(value) => format!("is `{value}`"),
        };
        let becomes = if self.with_row { "that row and a tombstone" } else { "a tombstone" };
        format!("a row whose `{column}` {test} becomes {becomes} (canal-json, debezium-json: a DELETE)")
    }

    /// True if a row is deleted.
    pub(super) fn is_deleted(&self, row: &[Value<'_>]) -> bool {
        let value = row.get(self.column).unwrap_or(&Value::Null);
        match &self.test {
            Test::IsTrue => *value == Value::Boolean(true),
            Test::IsNotNull => *value != Value::Null,
            Test::Is(expected) => value == expected,
            Test::IsText(expected) => matches!(value, Value::Text(text) if text.trim_end_matches(' ') == expected),
        }
    }
}

fn test(column: &ColumnDefinition, value: Option<&str>) -> Result<Test> {
    let (name, field_type) = (&column.field.name, &column.field.field_type);
    let Some(value) = value else {
        let is_time = column.cursor.is_some_and(|kind| kind.is_time());
        return match field_type {
            FieldType::Boolean => Ok(Test::IsTrue),
            FieldType::Timestamp | FieldType::Date => not_null(column),
            _ if is_time => not_null(column),
            _ => Err(Error::config(format!(
                "delete.column: `{name}` is of type {}, which does not say by itself whether a row is deleted",
                column.database_type
            ))
            .advise(format!("name the value of deleted rows: delete.column={name}=VALUE"))),
        };
    };
    let is = |value: Option<Value<'static>>| value.map(Test::Is);
    let test = match field_type {
        FieldType::Boolean => is(boolean(value).map(Value::Boolean)),
        FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Int64 => {
            is(value.parse().ok().map(Value::Integer))
        }
        FieldType::Decimal { scale, .. } => is(decimal(value, *scale)),
        FieldType::String => Some(Test::IsText(value.trim_end_matches(' ').to_owned())),
        FieldType::Float32
        | FieldType::Float64
        | FieldType::Bytes
        | FieldType::Date
        | FieldType::Time
        | FieldType::Timestamp => {
            let message = format!(
                "delete.column: `{name}` is of type {}, which has no value to compare with",
                column.database_type
            );
            return Err(Error::config(message).advise(
                "name a column of a boolean, integer, decimal or text type, or a nullable timestamp without a value",
            ));
        }
    };
    test.ok_or_else(|| {
        let message =
            format!("delete.column: `{value}` is no value of `{name}`, which is of type {}", column.database_type);
        Error::config(message).advise("give a value that a deleted row has there")
    })
}

/// A time is set when the row is deleted. One that is never null would make every row a deleted one.
fn not_null(column: &ColumnDefinition) -> Result<Test> {
    if column.not_null && !column.may_be_null {
        let message =
            format!("delete.column: `{}` is never NULL, so every row would count as deleted", column.field.name);
        return Err(Error::config(message).advise("name the column that is set when a row is deleted"));
    }
    Ok(Test::IsNotNull)
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

fn decimal(text: &str, scale: i32) -> Option<Value<'static>> {
    let unscaled = text.parse::<BigInt>().ok()? * BigInt::from(10).pow(u32::try_from(scale).ok()?);
    Some(Value::Decimal(unscaled.to_signed_bytes_be().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Field, Projection, Relation, TableId, UniqueKeys};

    fn rule(field_type: FieldType, optional: bool, value: Option<&str>) -> Result<DeleteRule> {
        let column = ColumnDefinition {
            field: Field { name: "gone".to_owned(), field_type, optional, doc: None },
            database_type: "T".to_owned(),
            collation: None,
            seen_in: None,
            projection: Projection::Column,
            not_null: !optional,
            is_visible: true,
            has_broken_dates: false,
            may_be_null: optional,
            auto_increment: false,
            cursor: None,
        };
        let definition = TableDefinition {
            relation: Relation::Table(TableId { catalog: None, schema: None, name: "t".to_owned() }),
            columns: vec![column],
            skipped: Vec::new(),
            by_driver: Vec::new(),
            primary_key: Vec::new(),
            indexes: Vec::new(),
            unique: UniqueKeys { keys: Vec::new(), none_because: None },
            comment: None,
        };
        let spec = DeleteSpec { column: "gone".to_owned(), value: value.map(str::to_owned), with_row: false };
        DeleteRule::new(&spec, &definition)
    }

    fn is_deleted(field_type: FieldType, value: Option<&str>, row: Value<'_>) -> bool {
        rule(field_type, true, value).unwrap().is_deleted(&[row])
    }

    #[test]
    fn a_boolean_a_time_or_a_value_tells_a_deleted_row() {
        assert!(is_deleted(FieldType::Boolean, None, Value::Boolean(true)));
        assert!(!is_deleted(FieldType::Boolean, None, Value::Boolean(false)));
        assert!(!is_deleted(FieldType::Boolean, None, Value::Null));
        assert!(is_deleted(FieldType::Boolean, Some("false"), Value::Boolean(false)), "a column `active`");
        assert!(is_deleted(FieldType::Timestamp, None, Value::Integer(0)));
        assert!(!is_deleted(FieldType::Timestamp, None, Value::Null));
        assert!(is_deleted(FieldType::Int8, Some("1"), Value::Integer(1)));
        assert!(!is_deleted(FieldType::Int8, Some("1"), Value::Integer(2)));
        assert!(is_deleted(FieldType::String, Some("Y"), Value::Text("Y  ".into())), "a CHAR is padded");
        assert!(!is_deleted(FieldType::String, Some("Y"), Value::Text("y".into())));
        let decimal = FieldType::Decimal { precision: Some(3), scale: 1 };
        assert!(is_deleted(decimal, Some("13"), Value::Decimal(vec![0, 130].into())));
    }

    #[test]
    fn a_column_that_cannot_tell_deleted_rows_is_refused() {
        for (field_type, optional, value, expected) in [
            (FieldType::Int32, true, None, "does not say by itself"),
            (FieldType::Timestamp, false, None, "never NULL"),
            (FieldType::Timestamp, true, Some("x"), "no value to compare with"),
            (FieldType::Int32, true, Some("yes"), "is no value of `gone`"),
        ] {
            let error = rule(field_type, optional, value).unwrap_err().report();
            assert!(error.contains(expected) && error.contains("gone"), "{error}");
        }
    }
}
