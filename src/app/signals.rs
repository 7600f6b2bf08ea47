//! The signals that end the process.

use std::io;

use actix_web::rt::{System, SystemRunner};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(super) fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A main loop that hears those signals from the moment on that it is made. Until then they do what
/// the system does with them, and to a container's first process that is nothing.
pub(super) struct MainLoop {
    pub(super) system: SystemRunner,
    pub(super) signals: StopSignals,
}

impl MainLoop {
    pub(super) fn start() -> io::Result<Self> {
        let system = System::new();
        let signals = system.block_on(async { StopSignals::new() })?;
        Ok(Self { system, signals })
    }
}
