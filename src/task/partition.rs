//! The partition of a row's record by other bytes than those of its key (`partition.by`).

use crate::config::spec::{PartitionBy, TableSpec};
use crate::convert::push_java_text;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EncodedBatch, FieldType, TableDefinition, Value, murmur2};

/// The rule by which records get their partition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PartitionRule {
    /// By the key: Kafka's producer does it.
    Key,
    /// By these columns of the row, each with its type.
    Columns(Vec<(usize, FieldType)>),
    /// By the table, whose name has this hash.
    Table(u32),
}

impl PartitionRule {
    /// The rule for a table.
    ///
    /// # Errors
    /// `SourceSchema` if the table has no such column.
    pub(super) fn new(spec: &TableSpec, definition: &TableDefinition) -> Result<Self> {
        let names = match &spec.partition_by {
            PartitionBy::Key => return Ok(Self::Key),
            PartitionBy::Table => return Ok(Self::Table(murmur2(definition.relation.to_string().as_bytes()))),
            PartitionBy::Columns(names) => names,
        };
        let place = |name: &String| {
            let index = definition.column_index(name).ok_or_else(|| {
                let names: Vec<&str> = definition.columns.iter().map(|column| column.field.name.as_str()).collect();
                Error::new(ErrorKind::SourceSchema, format!("partition.by: there is no column `{name}`"))
                    .with("table", &definition.relation)
                    .advise(format!("its columns are {}", names.join(", ")))
            })?;
            Ok((index, definition.columns[index].field.field_type.clone()))
        };
        Ok(Self::Columns(names.iter().map(place).collect::<Result<_>>()?))
    }

    /// Gives the last record of a batch the partition of its row.
    pub(super) fn apply(&self, row: &[Value<'_>], batch: &mut EncodedBatch) {
        match self {
            Self::Key => {}
            Self::Table(hash) => batch.set_partition_hash(*hash),
            Self::Columns(columns) => batch.set_partition_bytes(|out| {
                for (at, (column, field_type)) in columns.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    push(field_type, row.get(*column).unwrap_or(&Value::Null), out);
                }
            }),
        }
    }

    /// True if it needs this column.
    pub(super) fn needs(&self, column: usize) -> bool {
        matches!(self, Self::Columns(columns) if columns.iter().any(|(index, _)| *index == column))
    }

    /// The rule in words, given the columns of the key; none of keyless records without a rule.
    pub(super) fn describe(&self, definition: &TableDefinition, key: Option<&[usize]>) -> Option<String> {
        let columns = match self {
            Self::Key => return key.map(|_| "by the record key".to_owned()),
            Self::Table(_) => return Some(format!("all records in one, by the name `{}`", definition.relation)),
            Self::Columns(columns) => columns,
        };
        let name = |(index, _): &(usize, FieldType)| format!("`{}`", definition.columns[*index].field.name);
        let names = columns.iter().map(name).collect::<Vec<_>>().join(", ");
        let is_of_key = |key: &[usize]| columns.iter().all(|(index, _)| key.contains(index));
        let moves = match key {
            Some(key) if !is_of_key(key) => {
                "; a row whose values there change goes to another one, and its older records stay"
            }
            _ => "",
        };
        Some(format!("by {names}{moves}"))
    }
}

/// Appends a value as StringConverter prints it, bytes as they are; a time beyond Java's calendar as its number.
fn push(field_type: &FieldType, value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        value => {
            let start = out.len();
            if push_java_text(field_type, value, out).is_none() {
                out.truncate(start);
                if let Value::Integer(number) = value {
                    out.extend_from_slice(number.to_string().as_bytes());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_hashed_as_text_with_commas_between_and_null_as_the_empty_text() {
        let decimal = FieldType::Decimal { precision: None, scale: 2 };
        let types = [FieldType::String, FieldType::Int64, FieldType::Boolean, decimal, FieldType::Timestamp];
        let rule = PartitionRule::Columns(types.into_iter().enumerate().collect());
        let partition = |row: &[Value<'_>]| {
            let mut batch = EncodedBatch::new("t".into(), 1, 8);
            batch.push(None::<fn(&mut Vec<u8>) -> Result<()>>, Some(|_: &mut Vec<u8>| Ok::<_, Error>(()))).unwrap();
            rule.apply(row, &mut batch);
            batch.partition(0, i32::MAX).unwrap()
        };
        let of = |text: &str| (murmur2(text.as_bytes()) & 0x7fff_ffff) as i32 % i32::MAX;
        let price = Value::Decimal(vec![0x78].into());
        let row = [Value::Text("EU".into()), Value::Integer(-7), Value::Boolean(true), price, Value::Integer(0)];
        assert_eq!(partition(&row), of("EU,-7,true,1.20,1970-01-01 00:00:00.0"));
        assert_eq!(partition(&[Value::Null, Value::Null, Value::Null, Value::Null, Value::Null]), of(",,,,"));
        let beyond = [Value::Null, Value::Null, Value::Null, Value::Null, Value::Integer(i64::MAX)];
        assert_eq!(partition(&beyond), of(&format!(",,,,{}", i64::MAX)));
    }
}
