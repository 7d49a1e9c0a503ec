//! The signals by which a person or the system ends a run. The first is for the run to obey; the second ends the process,
//! whatever it is doing.

use crate::process::Launcher;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// So long ending at once may take. What is not dead by then is killed by the guard.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Waits for signals. From then on they do not end the process by themselves.
pub(super) struct Signals {
    first: mpsc::Receiver<u8>,
    launcher: Arc<OnceLock<Launcher>>,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let (told, first) = mpsc::channel(1);
        let launcher = Arc::new(OnceLock::new());
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let processes = Arc::clone(&launcher);
        tokio::spawn(async move {
            for is_first in [true, false] {
                let kind = tokio::select! {
                    _ = interrupt.recv() => SignalKind::interrupt(),
                    _ = terminate.recv() => SignalKind::terminate(),
                    _ = hangup.recv() => SignalKind::hangup(),
                };
                // As shells count them: 130 after an interrupt.
                let status = 128 + u8::try_from(kind.as_raw_value()).unwrap_or(0);
                if is_first {
                    // When the run is ending already, it needs no telling.
                    let _ = told.try_send(status);
                } else {
                    end(&processes, status).await;
                }
            }
        });
        Ok(Self { first, launcher })
    }

    /// Whose processes are to be ended with this one.
    pub(super) fn set_launcher(&self, launcher: Launcher) {
        // There is one only.
        let _ = self.launcher.set(launcher);
    }

    /// Waits for the first signal; says with which exit status the process is to end. Dropping the future loses nothing.
    pub(super) async fn first(&mut self) -> u8 {
        match self.first.recv().await {
            Some(status) => status,
            None => std::future::pending().await,
        }
    }
}

async fn end(launcher: &OnceLock<Launcher>, status: u8) {
    if let Some(launcher) = launcher.get() {
        let _ = timeout(AT_ONCE, launcher.stop()).await;
    }
    std::process::exit(status.into());
}
