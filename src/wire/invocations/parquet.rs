//! stub
use super::{WireError, frame::Frame};
pub fn read_parquet(_b: &[u8], _m: usize) -> Result<Frame, WireError> {
    Err(WireError::bad_request("parquet"))
}
