//! Tells the service manager of the machine (systemd) how this daemon is: ready, reloading, stopping, alive.
//!
//! The protocol is a datagram of lines to the socket that `$NOTIFY_SOCKET` names. Without the variable nothing is told. A service
//! manager that cannot be told is no reason to fail, so nothing here can fail.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager of this process; or nobody.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// As the environment says.
    #[must_use]
    pub fn of_process() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| is_ours).map(Duration::from_micros);
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|name| connect(&name));
        Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// The daemon does its work, and listens.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The daemon ends, in good order.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// What `systemctl status` shows: one line.
    pub fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// The daemon is alive. To be told by what does the work, at least each [`Self::pulse`].
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// How often [`Self::alive`] is to be told; none if nobody wants to hear it. Half of the time after which the daemon is killed.
    #[must_use]
    pub fn pulse(&self) -> Option<Duration> {
        self.watchdog.map(|time| time / 2)
    }

    fn tell(&self, message: &str) {
        if let Some(socket) = &self.socket {
            // Who does not listen cannot be helped.
            let _ = socket.send(message.as_bytes());
        }
    }
}

fn connect(name: &OsStr) -> Option<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok()?,
        [b'/', ..] => SocketAddr::from_pathname(name).ok()?,
        _ => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect_addr(&address).ok()?;
    // A full queue must not stall the daemon.
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_hears_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let manager = UnixDatagram::bind(&path).unwrap();
        let daemon = ServiceManager { socket: connect(path.as_os_str()), watchdog: Some(Duration::from_secs(10)) };
        daemon.ready();
        daemon.status("a\nb");
        let hear = || {
            let mut bytes = [0; 64];
            let length = manager.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        assert_eq!([hear(), hear()], ["READY=1", "STATUS=a b"]);
        assert_eq!(daemon.pulse(), Some(Duration::from_secs(5)));
        assert!(connect(OsStr::new("relative")).is_none());
        assert!(connect(OsStr::new("/nowhere/socket")).is_none());
    }
}
