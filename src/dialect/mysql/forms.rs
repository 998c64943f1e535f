//! The forms in which JDBC drivers deliver a column of the family, where they differ: the table of `model::drivers`
//! turned into field types, the one to take by default first.

use super::server::Quirks;
use super::types::ColumnType;
use super::wire::Kind;
use crate::config::spec::{TypeSpec, Unsupported};
use crate::model::drivers::{Driver, DriverCase, DriverTypes, Form, Maker, in_words};
use crate::model::{DriverForm, FieldType};

impl ColumnType {
    /// The row of the table of drivers that a column is of; none where all drivers agree.
    fn case(&self) -> Option<DriverCase> {
        Some(match (self.kind, self.size, self.unsigned) {
            (Kind::TinyInt, 1, false) => DriverCase::TinyInt1,
            (Kind::TinyInt, 1, true) => DriverCase::TinyInt1Unsigned,
            (Kind::TinyInt, _, true) => DriverCase::TinyIntUnsigned,
            (Kind::SmallInt, _, true) => DriverCase::SmallIntUnsigned,
            (Kind::Bit, ..=1, _) => DriverCase::Bit1,
            (Kind::Bit, ..) => DriverCase::Bits,
            (Kind::Uuid, ..) => DriverCase::Uuid,
            _ => return None,
        })
    }

    /// The forms of a column, the one to take where no registered schema decides first; none where drivers agree.
    /// `exceeds`: it has shown values that the narrowest of them does not hold.
    pub(super) fn forms(&self, types: &TypeSpec, quirks: &Quirks, exceeds: bool) -> Vec<DriverForm> {
        let Some(case) = self.case() else { return Vec::new() };
        let Some((widest, _)) = self.mapping(types, quirks) else { return Vec::new() };
        let named = types.drivers.named();
        let drivers: Vec<Driver> = match named {
            Some(driver) => vec![driver],
            None => quirks.maker.first().collect(),
        };
        let mut found: Vec<(Option<FieldType>, Vec<Driver>)> = Vec::new();
        for driver in drivers {
            let form = field_type(driver.form(case, quirks.parameters));
            match found.iter_mut().find(|(known, _)| *known == form) {
                Some((_, of)) => of.push(driver),
                None => found.push((form, vec![driver])),
            }
        }
        if exceeds {
            found.retain(|(form, _)| *form != Some(FieldType::Int8));
        }
        let mut forms: Vec<DriverForm> = found
            .into_iter()
            .map(|(field_type, drivers)| {
                let does = if field_type.is_some() { ["delivers it", "deliver it"] } else { ["does", "do"] };
                DriverForm { field_type, because: because(&drivers, does, types.drivers, quirks.maker) }
            })
            .collect();
        let holds_all = |form: &DriverForm| form.field_type.as_ref() == Some(&widest);
        if case == DriverCase::Bits && named.is_none() && !forms.first().is_some_and(holds_all) || forms.is_empty() {
            forms.retain(|form| !holds_all(form));
            forms.insert(0, DriverForm { field_type: Some(widest), because: "which holds all its values".to_owned() });
        }
        if case == DriverCase::Uuid && types.unsupported != Unsupported::Skip {
            // Columns that drivers leave out are delivered all the same, as other types that they do not know are.
            match forms.iter().position(|form| form.field_type.is_some()) {
                Some(delivered) => forms.swap(0, delivered),
                None => return Vec::new(),
            }
        }
        forms
    }
}

/// The type of a form; none where the column is left out.
fn field_type(form: Form) -> Option<FieldType> {
    Some(match form {
        Form::Boolean => FieldType::Boolean,
        Form::Int8 => FieldType::Int8,
        Form::Int16 => FieldType::Int16,
        Form::Int32 => FieldType::Int32,
        Form::Int64 => FieldType::Int64,
        Form::Bytes => FieldType::Bytes,
        Form::Text => FieldType::String,
        Form::LeftOut => return None,
    })
}

/// The maker of the drivers that count: those of the maker that the URL is of, if it is one of theirs.
fn because(drivers: &[Driver], does: [&str; 2], setting: DriverTypes, maker: Maker) -> String {
    let own: Vec<Driver> = drivers.iter().copied().filter(|driver| driver.maker() == maker).collect();
    let drivers = if own.is_empty() { drivers } else { own.as_slice() };
    let words = format!("as {} {}", in_words(drivers), does[usize::from(drivers.len() > 1)]);
    match setting {
        DriverTypes::Auto => words,
        named => format!("{words}: driver.types={named}"),
    }
}
