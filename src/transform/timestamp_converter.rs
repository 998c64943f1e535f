//! `TimestampConverter`: times in another form (`delivery-and-runtime.md`, 8.1 and 8.3).

#![expect(clippy::disallowed_methods, reason = "a year of two digits is one of the century around now")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::java_dates::JavaDateFormat;
use super::settings::{REPLACE_NULL, Setting, Settings};
use super::shape::{Applied, Expr, Part, Shape, Slot, text};
use super::{Target, Transform, TransformDefinition, fields};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Field, FieldType, Value};

const DAY: i64 = 86_400_000;

/// `org.apache.kafka.connect.transforms.TimestampConverter`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.TimestampConverter",
    targets: &[Target::Key, Target::Value],
    doc: "A time in another form, in milliseconds and UTC. A field that is not there changes nothing.",
    settings: &[
        Setting::new("field", "The field; without it the key or value is a time itself."),
        Setting::new("target.type", "string, unix, Date, Time or Timestamp. Required."),
        Setting::new(
            "format",
            "The pattern of Java's SimpleDateFormat by which a text is written, or read. Required for texts.",
        ),
        Setting::new("unix.precision", "The unit of numbers: seconds, milliseconds, microseconds or nanoseconds.")
            .or("milliseconds"),
        REPLACE_NULL,
    ],
    create: |target, settings| {
        let to = Form::named(settings.required("target.type")?)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64);
        let format = settings.get("format").map(|pattern| JavaDateFormat::new(pattern, now)).transpose()?;
        if to == Form::Text && format.is_none() {
            return Err(Error::config("format: is missing, and target.type=string needs it"));
        }
        let field = settings.get("field").map(str::to_owned);
        Ok(Box::new(TimestampConverter { target, field, to, format, unit: unit(settings)? }))
    },
};

/// The form of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Unix,
    Date,
    Time,
    Timestamp,
}

/// The unit of numbers.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

struct TimestampConverter {
    target: Target,
    field: Option<String>,
    to: Form,
    format: Option<JavaDateFormat>,
    unit: Unit,
}

impl Form {
    fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "string" => Form::Text,
            "unix" => Form::Unix,
            "Date" => Form::Date,
            "Time" => Form::Time,
            "Timestamp" => Form::Timestamp,
            _ => {
                return Err(Error::config(format!("target.type: `{name}` is no form of a time"))
                    .advise("the forms are string, unix, Date, Time and Timestamp, spelled like this"));
            }
        })
    }

    /// The form of a field's values; none if they are no times.
    fn of(field_type: &FieldType) -> Option<Self> {
        match field_type {
            FieldType::String => Some(Form::Text),
            FieldType::Int64 => Some(Form::Unix),
            FieldType::Date => Some(Form::Date),
            FieldType::Time => Some(Form::Time),
            FieldType::Timestamp => Some(Form::Timestamp),
            _ => None,
        }
    }

    fn field_type(self) -> FieldType {
        match self {
            Form::Text => FieldType::String,
            Form::Unix => FieldType::Int64,
            Form::Date => FieldType::Date,
            Form::Time => FieldType::Time,
            Form::Timestamp => FieldType::Timestamp,
        }
    }
}

fn unit(settings: Settings<'_>) -> Result<Unit> {
    Ok(match settings.get("unix.precision").unwrap_or("milliseconds") {
        "seconds" => Unit::Seconds,
        "milliseconds" => Unit::Milliseconds,
        "microseconds" => Unit::Microseconds,
        "nanoseconds" => Unit::Nanoseconds,
        other => {
            return Err(Error::config(format!("unix.precision: `{other}` is no unit"))
                .advise("the units are seconds, milliseconds, microseconds and nanoseconds"));
        }
    })
}

impl Unit {
    /// Milliseconds of a number in the unit. Java cuts towards zero, and stops at the largest number.
    fn to_millis(self, number: i64) -> i64 {
        match self {
            Unit::Seconds => number.saturating_mul(1_000),
            Unit::Milliseconds => number,
            Unit::Microseconds => number / 1_000,
            Unit::Nanoseconds => number / 1_000_000,
        }
    }

    fn of_millis(self, millis: i64) -> i64 {
        match self {
            Unit::Seconds => millis / 1_000,
            Unit::Milliseconds => millis,
            Unit::Microseconds => millis.saturating_mul(1_000),
            Unit::Nanoseconds => millis.saturating_mul(1_000_000),
        }
    }
}

impl Transform for TimestampConverter {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| match (part, &self.field) {
            (Part::Absent, _) => Ok(Part::Absent),
            (Part::Bare(slot), None) => self.converted(slot).map(Part::Bare),
            (Part::Bare(_), Some(_)) => {
                Err(Error::config("field: there is a bare value at its place").advise("remove field"))
            }
            (Part::Hoisted { field: outer, .. }, Some(field)) if outer == *field => {
                Err(fields::nested("TimestampConverter", &outer))
            }
            (part @ Part::Hoisted { .. }, Some(_)) => Ok(part),
            (Part::Record { .. } | Part::Hoisted { .. }, None) => {
                Err(Error::config("field: is missing, and a record as a whole is no time").advise("name the field"))
            }
            (Part::Record { name, version, doc, slots }, Some(field)) => {
                let slot = |slot: Slot| if slot.field.name == *field { self.converted(slot) } else { Ok(slot) };
                Ok(Part::Record { name, version, doc, slots: slots.into_iter().map(slot).collect::<Result<_>>()? })
            }
        })
    }
}

impl TimestampConverter {
    fn converted(&self, slot: Slot) -> Result<Slot> {
        let Slot { field, expr } = slot;
        let Some(from) = Form::of(&field.field_type) else {
            let Field { name, field_type, .. } = &field;
            return Err(Error::config(format!("field `{name}` is of type {field_type}, which is no time"))
                .advise("times are string, int64, Date, Time and Timestamp"));
        };
        if from == Form::Text {
            let format = self
                .format
                .as_ref()
                .ok_or_else(|| Error::config(format!("format: is missing, and field `{}` is a text", field.name)))?;
            format.check_readable()?;
        }
        let (to, unit, format, name) = (self.to, self.unit, self.format.clone(), field.name.clone());
        let function = Arc::new(move |value: &Value<'_>| {
            let millis = millis_of(from, value, unit, format.as_ref());
            millis.and_then(|millis| value_of(to, millis, unit, format.as_ref())).ok_or_else(|| {
                let message = "a value is no time in the form that the transform reads or writes";
                Error::new(ErrorKind::Value, message).with("field", &name)
            })
        });
        let field = Field { name: field.name, field_type: to.field_type(), optional: field.optional, doc: None };
        Ok(Slot { field, expr: Expr::Apply(Applied { function, class: DEFINITION.class }, Box::new(expr)) })
    }
}

/// Milliseconds since the epoch.
fn millis_of(from: Form, value: &Value<'_>, unit: Unit, format: Option<&JavaDateFormat>) -> Option<i64> {
    match (from, value) {
        (Form::Text, Value::Text(text)) => format?.parse(text),
        (Form::Unix, Value::Integer(number)) => Some(unit.to_millis(*number)),
        (Form::Date, Value::Integer(days)) => days.checked_mul(DAY),
        (Form::Time | Form::Timestamp, Value::Integer(millis)) => Some(*millis),
        _ => None,
    }
}

fn value_of(to: Form, millis: i64, unit: Unit, format: Option<&JavaDateFormat>) -> Option<Value<'static>> {
    Some(match to {
        Form::Text => text(format?.format(millis)),
        Form::Unix => Value::Integer(unit.of_millis(millis)),
        Form::Date => Value::Integer(millis.div_euclid(DAY)),
        Form::Time => Value::Integer(millis.rem_euclid(DAY)),
        Form::Timestamp => Value::Integer(millis),
    })
}
