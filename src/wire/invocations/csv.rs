//! stub
use super::{WireError, frame::Frame};
use crate::model::ColumnType;
pub fn read_csv(_t: &str, _d: &[(String, ColumnType)]) -> Result<Frame, WireError> {
    Err(WireError::bad_request("csv"))
}
