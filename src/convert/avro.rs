//! stub
use crate::config::spec::ConverterSpec;
use crate::error::Result;
use std::sync::Arc;
/// stub
pub struct AvroConverter;
impl AvroConverter {
    /// stub
    pub fn create(_spec: &ConverterSpec) -> Result<Arc<dyn super::Converter>> {
        unimplemented!()
    }
}
