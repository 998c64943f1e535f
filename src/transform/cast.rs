//! `Cast`: fields of another type, as Java converts (`delivery-and-runtime.md`, 8.1).

use std::sync::Arc;

use num_bigint::BigInt;

use super::settings::{REPLACE_NULL, Setting};
use super::shape::{Applied, Expr, Part, Shape, Slot, text};
use super::{Target, Transform, TransformDefinition, fields};
use crate::convert::values_text;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Field, FieldType, Value};

/// `org.apache.kafka.connect.transforms.Cast`.
pub(super) static DEFINITION: TransformDefinition = TransformDefinition {
    class: "org.apache.kafka.connect.transforms.Cast",
    targets: &[Target::Key, Target::Value],
    doc: "Fields, or a bare value, of another type, as Java converts: numbers are cut to their width.",
    settings: &[
        Setting::new(
            "spec",
            "`field:type,...`, or one type for a bare value: int8, int16, int32, int64, float32, float64, boolean, string. Required.",
        ),
        REPLACE_NULL,
    ],
    create: |target, settings| {
        let spec = settings.required("spec")?;
        let (mut of_fields, mut of_whole) = (Vec::new(), None);
        for element in settings.list("spec") {
            match element.rsplit_once(':') {
                Some((field, name)) => of_fields.push((field.trim().to_owned(), field_type(name.trim())?)),
                None if of_whole.is_none() => of_whole = Some(field_type(&element)?),
                None => return Err(Error::config(format!("spec: `{spec}` has more than one type for the whole"))),
            }
        }
        if of_whole.is_some() && !of_fields.is_empty() {
            return Err(Error::config(format!("spec: `{spec}` is for fields and for the whole at once")));
        }
        Ok(Box::new(Cast { target, of_fields, of_whole }))
    },
};

fn field_type(name: &str) -> Result<FieldType> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "int8" => FieldType::Int8,
        "int16" => FieldType::Int16,
        "int32" => FieldType::Int32,
        "int64" => FieldType::Int64,
        "float32" => FieldType::Float32,
        "float64" => FieldType::Float64,
        "boolean" => FieldType::Boolean,
        "string" => FieldType::String,
        _ => {
            return Err(Error::config(format!("spec: `{name}` is no type that can be cast to"))
                .advise("the types are int8, int16, int32, int64, float32, float64, boolean and string"));
        }
    })
}

struct Cast {
    target: Target,
    of_fields: Vec<(String, FieldType)>,
    of_whole: Option<FieldType>,
}

impl Transform for Cast {
    fn apply(&self, shape: Shape) -> Result<Shape> {
        fields::changed(self.target, shape, |_, part| match (part, &self.of_whole) {
            (Part::Absent, _) => Ok(Part::Absent),
            (Part::Bare(slot), Some(to)) => cast(slot, to).map(Part::Bare),
            (Part::Bare(_), None) => {
                Err(Error::config("spec: it names fields, and there is a bare value at its place")
                    .advise("name the type alone"))
            }
            (Part::Hoisted { field, .. }, None) if self.of_fields.iter().any(|(name, _)| *name == field) => {
                Err(fields::nested("Cast", &field))
            }
            (part @ Part::Hoisted { .. }, None) => Ok(part),
            (Part::Record { .. } | Part::Hoisted { .. }, Some(_)) => {
                Err(Error::config("spec: a record as a whole cannot be cast").advise("name its fields: field:type"))
            }
            (Part::Record { name, version, doc, slots }, None) => {
                let slot = |slot: Slot| match self.of_fields.iter().find(|(field, _)| *field == slot.field.name) {
                    Some((_, to)) => cast(slot, to),
                    None => Ok(slot),
                };
                Ok(Part::Record { name, version, doc, slots: slots.into_iter().map(slot).collect::<Result<_>>()? })
            }
        })
    }
}

/// A slot of another type.
fn cast(slot: Slot, to: &FieldType) -> Result<Slot> {
    let Slot { field, expr } = slot;
    let from = field.field_type;
    if from == FieldType::Bytes && *to != FieldType::String {
        return Err(Error::config(format!(
            "spec: field `{}` is of bytes, which can be cast to string only",
            field.name
        )));
    }
    let target = to.clone();
    let name = field.name.clone();
    let function = Arc::new(move |value: &Value<'_>| {
        let made = if target == FieldType::String { to_text(&from, value) } else { to_number(&from, value, &target) };
        made.ok_or_else(|| {
            Error::new(ErrorKind::Value, "a value cannot be cast to the type of the transform").with("field", &name)
        })
    });
    let field = Field { name: field.name, field_type: to.clone(), optional: field.optional, doc: None };
    Ok(Slot { field, expr: Expr::Apply(Applied { function, class: DEFINITION.class }, Box::new(expr)) })
}

fn to_text(from: &FieldType, value: &Value<'_>) -> Option<Value<'static>> {
    values_text(from, value).map(text)
}

/// A number before it is cut to its width.
enum Number {
    Integer(i64),
    /// The lowest 64 bits of the whole part, and the nearest double.
    Decimal(i64, f64),
    Double(f64),
}

fn to_number(from: &FieldType, value: &Value<'_>, to: &FieldType) -> Option<Value<'static>> {
    let number = match value {
        Value::Text(text) => return parsed(text, to),
        Value::Boolean(value) if *to == FieldType::Boolean => return Some(Value::Boolean(*value)),
        Value::Boolean(value) => Number::Integer(i64::from(*value)),
        Value::Integer(value) => Number::Integer(*value),
        Value::Float32(value) => match to {
            FieldType::Float32 => return Some(Value::Float32(*value)),
            _ => Number::Double(f64::from(*value)),
        },
        Value::Float64(value) => Number::Double(*value),
        Value::Decimal(unscaled) => {
            let FieldType::Decimal { scale, .. } = from else { return None };
            decimal(unscaled, *scale)?
        }
        Value::Null | Value::Bytes(_) => return None,
    };
    let (whole, double) = match number {
        Number::Integer(value) => (value, value as f64),
        Number::Decimal(whole, double) => (whole, double),
        // To 64 bits a double is held at the ends; narrower types are cut from 32 bits that are held likewise.
        Number::Double(value) => match to {
            FieldType::Int8 | FieldType::Int16 | FieldType::Int32 => (i64::from(value as i32), value),
            _ => (value as i64, value),
        },
    };
    Some(match to {
        FieldType::Boolean => Value::Boolean(whole != 0),
        FieldType::Int8 => Value::Integer(i64::from(whole as i8)),
        FieldType::Int16 => Value::Integer(i64::from(whole as i16)),
        FieldType::Int32 => Value::Integer(i64::from(whole as i32)),
        FieldType::Int64 => Value::Integer(whole),
        FieldType::Float32 => Value::Float32(match number {
            Number::Integer(value) => value as f32,
            Number::Decimal(_, double) | Number::Double(double) => double as f32,
        }),
        FieldType::Float64 => Value::Float64(double),
        _ => return None,
    })
}

fn decimal(unscaled: &[u8], scale: i32) -> Option<Number> {
    let unscaled = BigInt::from_signed_bytes_be(unscaled);
    let ten = |power: i32| BigInt::from(10).pow(power.unsigned_abs());
    let whole = if scale > 0 { &unscaled / ten(scale) } else { &unscaled * ten(scale) };
    let bytes = whole.to_signed_bytes_le();
    let fill = if whole.sign() == num_bigint::Sign::Minus { 0xff } else { 0 };
    let mut lowest = [fill; 8];
    lowest.iter_mut().zip(&bytes).for_each(|(low, byte)| *low = *byte);
    // Parsing is exact where a division of doubles is not.
    let double = format!("{unscaled}e{}", -i64::from(scale)).parse().ok()?;
    Some(Number::Decimal(i64::from_le_bytes(lowest), double))
}

fn parsed(text: &str, to: &FieldType) -> Option<Value<'static>> {
    let integer = |low: i64, high: i64| {
        let value: i64 = text.parse().ok()?;
        (low..=high).contains(&value).then_some(Value::Integer(value))
    };
    match to {
        FieldType::Boolean => Some(Value::Boolean(text.eq_ignore_ascii_case("true"))),
        FieldType::Int8 => integer(i8::MIN.into(), i8::MAX.into()),
        FieldType::Int16 => integer(i16::MIN.into(), i16::MAX.into()),
        FieldType::Int32 => integer(i32::MIN.into(), i32::MAX.into()),
        FieldType::Int64 => integer(i64::MIN, i64::MAX),
        FieldType::Float32 => java_float(text)?.parse().ok().map(Value::Float32),
        FieldType::Float64 => java_float(text)?.parse().ok().map(Value::Float64),
        _ => None,
    }
}

/// A number that `Double.parseDouble` takes, but for hexadecimal numbers, as Rust takes it.
fn java_float(text: &str) -> Option<&str> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return Some(if unsigned == "NaN" { "NaN" } else { text });
    }
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let is_plain = digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    (is_plain && digits.contains(|c: char| c.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(from: FieldType, value: Value<'static>, to: FieldType) -> Option<Value<'static>> {
        to_number(&from, &value, &to)
    }

    #[test]
    fn numbers_are_cut_as_java_cuts_them() {
        use FieldType::*;
        assert_eq!(number(Int32, Value::Integer(300), Int8), Some(Value::Integer(44)));
        assert_eq!(number(Float64, Value::Float64(3e9), Int32), Some(Value::Integer(i32::MAX.into())));
        assert_eq!(number(Float64, Value::Float64(3e9), Int8), Some(Value::Integer(-1)));
        assert_eq!(number(Float64, Value::Float64(-1.9), Int64), Some(Value::Integer(-1)));
        assert_eq!(number(Float64, Value::Float64(f64::NAN), Int32), Some(Value::Integer(0)));
        let scaled = Decimal { precision: None, scale: 2 };
        assert_eq!(number(scaled.clone(), Value::Decimal(vec![0x80].into()), Int32), Some(Value::Integer(-1)));
        assert_eq!(number(scaled, Value::Decimal(vec![0x80].into()), Float64), Some(Value::Float64(-1.28)));
        assert_eq!(number(Int64, Value::Integer(2), Boolean), Some(Value::Boolean(true)));
        assert_eq!(number(String, Value::Text("yes".into()), Boolean), Some(Value::Boolean(false)));
        assert_eq!(number(String, Value::Text("+7".into()), Int8), Some(Value::Integer(7)));
        assert_eq!(number(String, Value::Text("128".into()), Int8), None);
        assert_eq!(number(String, Value::Text(" 1.5f ".into()), Float64), Some(Value::Float64(1.5)));
        assert_eq!(number(String, Value::Text("inf".into()), Float64), None);
    }

    #[test]
    fn texts_of_times_depend_on_the_value() {
        let made = |from, value| match to_text(&from, &Value::Integer(value)) {
            Some(Value::Text(text)) => text.into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(made(FieldType::Timestamp, 1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(made(FieldType::Timestamp, 1_699_920_000_000), "2023-11-14");
        assert_eq!(made(FieldType::Timestamp, -1), "23:59:59.999Z");
        assert_eq!(made(FieldType::Date, 19_675), "2023-11-14");
        assert_eq!(made(FieldType::Time, 3_723_004), "01:02:03.004Z");
    }
}
