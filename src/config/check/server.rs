//! Settings of the ports.

use std::time::Duration;

use bytesize::ByteSize;

use crate::server::{AdminOptions, ServerOptions};
use crate::telemetry::ProcessMemory;

use super::{COUNT_MAX, Check, INSTANT, SIZE_MAX, cores, threads};
use crate::config::{parse, setting};

/// In most clusters nothing is sent any more to a pod that ends after two or three seconds; in
/// large and busy ones it takes longer.
const LAME_DUCK_OF_PODS: Duration = Duration::from_secs(10);

impl Check<'_> {
    pub(super) fn server(&mut self) -> ServerOptions {
        let body_bytes_max = self
            .get(&setting::BODY_BYTES_MAX, |text| parse::bytes(text, ByteSize::kib(1), SIZE_MAX));
        ServerOptions {
            host: self.get(&setting::HOST, |text| (!text.is_empty()).then(|| text.to_owned())),
            port: self.get(&setting::PORT, |text| text.parse().ok()),
            workers: self.get(&setting::WORKERS, |text| threads(text, cores().div_ceil(2))),
            request_timeout: self.get(&setting::TIMEOUT, |text| parse::duration(text, INSTANT)),
            body_bytes_max,
            requests_max: self
                .get(&setting::REQUESTS_MAX, |text| parse::number(text, 1, COUNT_MAX)),
            requests_bytes_max: self.requests_bytes_max(body_bytes_max),
            compress_bytes_min: self.get(&setting::COMPRESS_BYTES_MIN, |text| {
                parse::bytes(text, ByteSize::b(0), SIZE_MAX)
            }),
            connections_max: self
                .get(&setting::CONNECTIONS_MAX, |text| parse::number(text, 1, COUNT_MAX)),
            head_timeout: self.get(&setting::HEAD_TIMEOUT, |text| parse::duration(text, INSTANT)),
            keep_alive: self.get(&setting::KEEP_ALIVE, |text| parse::duration(text, INSTANT)),
            lame_duck: self.lame_duck(),
            shutdown_timeout: self.get(&setting::SHUTDOWN_TIMEOUT, |text| {
                parse::duration(text, Duration::from_secs(1))
            }),
            schema_details: self.get(&setting::SCHEMA_DETAILS, parse::boolean),
        }
    }

    /// The endpoints of a Kubernetes service follow the end of a pod after some seconds.
    fn lame_duck(&mut self) -> Duration {
        let auto = if self.sources.is_in_kubernetes { LAME_DUCK_OF_PODS } else { Duration::ZERO };
        self.get(&setting::LAME_DUCK, |text| match text {
            "auto" => Some(auto),
            _ => parse::duration(text, Duration::ZERO),
        })
    }

    /// Holds one body at least; `auto` gives way to a large `body_bytes_max`.
    fn requests_bytes_max(&mut self, body_bytes_max: usize) -> usize {
        let (min, max) = (ByteSize::b(body_bytes_max as u64), ByteSize::b(u64::MAX));
        self.get(&setting::REQUESTS_BYTES_MAX, |text| {
            if text == "auto" {
                Some((memory_bytes() / 2).max(body_bytes_max))
            } else {
                parse::bytes(text, min, max)
            }
        })
    }

    /// The admin port, on the data port's host unless it has one of its own.
    pub(super) fn admin(&mut self, host: &str) -> Option<AdminOptions> {
        let port = self.get(&setting::ADMIN_PORT, |text| match text {
            "off" => Some(None),
            _ => text.parse().ok().map(Some),
        });
        let own =
            self.optional(&setting::ADMIN_HOST, |text| (!text.is_empty()).then(|| text.to_owned()));
        Some(AdminOptions { host: own.unwrap_or_else(|| host.to_owned()), port: port? })
    }
}

/// Memory that the process may use, in bytes; 2 GiB where nobody knows.
fn memory_bytes() -> usize {
    let max = ProcessMemory::read().max.unwrap_or(2 << 30);
    usize::try_from(max).unwrap_or(usize::MAX)
}
