//! Parameters: each in the type its column is compared in, so that an index serves the comparison.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::{Arguments, Encode, Postgres, Type};

use super::binary::{server_days, server_micros};
use crate::error::{Error, Result};
use crate::model::{Bind, CursorKind, CursorValue};

/// A value already in its binary form; keeps infinities, which date-time libraries do not have.
struct Raw<const OID: u32, const N: usize>([u8; N]);

type Timestamp = Raw<1114, 8>;
type Timestamptz = Raw<1184, 8>;
type Date = Raw<1082, 4>;

impl<const OID: u32, const N: usize> Type<Postgres> for Raw<OID, N> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(OID))
    }
}

impl<const OID: u32, const N: usize> Encode<'_, Postgres> for Raw<OID, N> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> std::result::Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}

/// The arguments of a statement.
pub(super) fn arguments(binds: &[Bind]) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    for bind in binds {
        let added = match (&bind.value, bind.kind) {
            (CursorValue::Integer(value), _) => arguments.add(*value),
            (CursorValue::Timestamp(micros), CursorKind::Date) => {
                arguments.add::<Date>(Raw(server_days(*micros).to_be_bytes()))
            }
            (CursorValue::Timestamp(micros), CursorKind::Timestamp { zoned: true, .. }) => {
                arguments.add::<Timestamptz>(Raw(server_micros(*micros).to_be_bytes()))
            }
            (CursorValue::Timestamp(micros), CursorKind::Timestamp { zoned: false, .. }) => {
                arguments.add::<Timestamp>(Raw(server_micros(*micros).to_be_bytes()))
            }
            (CursorValue::Text(text), CursorKind::Text) => arguments.add(text.as_ref()),
            _ => return Err(Error::internal("a cursor value cannot be bound to a column of its kind")),
        };
        added.map_err(|_| Error::internal("a cursor value cannot be encoded"))?;
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_value_is_bound_only_to_a_column_of_its_kind() {
        let bind = |value, kind| arguments(&[Bind { value, kind }]);
        assert!(bind(CursorValue::Timestamp(i64::MAX), CursorKind::Timestamp { zoned: false, digits: 6 }).is_ok());
        assert!(bind(CursorValue::Text("a".into()), CursorKind::Text).is_ok());
        let error = bind(CursorValue::Null, CursorKind::Integer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
