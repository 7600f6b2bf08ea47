//! The `flowgate` binary; everything it does is in the library.

use std::process::ExitCode;

/// Request bodies and answers are short-lived allocations that cross threads, which mimalloc
/// serves faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    flowgate::app::run(std::env::args_os())
}
