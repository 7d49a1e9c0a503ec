//! The signals that a daemon obeys.

use super::stop::{Control, StopRequest};
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The exit status of a process that was told to abort.
const ABORTED: i32 = 0;

/// Obeys signals from now on: those to end go to `control`, those to read certificates again to the receiver.
///
/// # Errors
/// When the system does not give them.
pub(super) fn obey(control: Control) -> io::Result<mpsc::Receiver<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (reload, reloads) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut is_stopping = false;
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                _ = quit.recv() => "SIGQUIT",
                _ = hang_up.recv() => {
                    // One that waits is enough.
                    let _ = reload.try_send(());
                    continue;
                }
            };
            if is_stopping || name == "SIGQUIT" {
                tracing::warn!("{name}: aborts at once");
                std::process::exit(ABORTED);
            }
            tracing::info!("{name}: stops");
            is_stopping = true;
            control.stop(StopRequest::STOP);
        }
    });
    Ok(reloads)
}
