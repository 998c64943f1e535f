//! Result columns as the driver describes them.

use serde::Deserialize;
use sqlx::mysql::MySqlTypeInfo;

use super::wire::Kind;

/// The metadata of a result column, which the driver hands out only in this form.
#[derive(Debug, Deserialize)]
pub(super) struct Shape {
    r#type: String,
    flags: String,
    collation: serde_json::Value,
    #[serde(default)]
    pub(super) max_size: u32,
}

/// The collation of bytes.
const BINARY: u64 = 63;

impl Shape {
    pub(super) fn of(info: &MySqlTypeInfo) -> Self {
        let parsed = serde_json::to_value(info).ok().and_then(|value| serde_json::from_value(value).ok());
        parsed.unwrap_or(Self {
            r#type: String::new(),
            flags: String::new(),
            collation: serde_json::Value::Null,
            max_size: 0,
        })
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.split('|').any(|known| known.trim() == flag)
    }

    pub(super) fn unsigned(&self) -> bool {
        let is_number = ["Tiny", "Short", "Long", "Int24", "LongLong", "NewDecimal", "Decimal", "Float", "Double"]
            .contains(&self.r#type.as_str());
        is_number && self.has("UNSIGNED")
    }

    pub(super) fn kind(&self) -> Kind {
        let is_binary = self.collation.as_u64() == Some(BINARY);
        match self.r#type.as_str() {
            "Tiny" => Kind::TinyInt,
            "Short" => Kind::SmallInt,
            "Int24" => Kind::MediumInt,
            "Long" => Kind::Int,
            "LongLong" => Kind::BigInt,
            "Float" => Kind::Float,
            "Double" => Kind::Double,
            "Decimal" | "NewDecimal" => Kind::Decimal,
            "Bit" => Kind::Bit,
            "Year" => Kind::Year,
            "Date" => Kind::Date,
            "Datetime" => Kind::DateTime,
            "Timestamp" => Kind::Timestamp,
            "Time" => Kind::Time,
            "Json" => Kind::Json,
            "Geometry" => Kind::Geometry,
            "Enum" => Kind::Enum,
            "Set" => Kind::Set,
            "String" | "VarChar" | "VarString" | "TinyBlob" | "Blob" | "MediumBlob" | "LongBlob" => {
                if self.has("ENUM") {
                    Kind::Enum
                } else if self.has("SET") {
                    Kind::Set
                } else if is_binary {
                    Kind::Bytes
                } else {
                    Kind::Text
                }
            }
            _ => Kind::Other,
        }
    }
}
