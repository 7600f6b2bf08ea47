//! stub
use super::frame::Series;
pub fn to_datetime(_s: &Series) -> Result<Series, String> {
    Err("datetime".into())
}
pub fn parse_datetime64(_t: &str) -> Option<i64> {
    None
}
pub fn parse_datetime64_ns(_t: &str) -> Option<i64> {
    None
}
