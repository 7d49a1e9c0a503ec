//! What the program says to its guard over the control socket, and the guard to it over a pipe: the frames and their bytes.
//!
//! Both ends are the same build of the same program, so there is no version. A request is a length, a kind and a body; the
//! two write ends of a launch travel as ancillary data with its first byte. A report has a fixed size. Nothing here does
//! input or output.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// Identifies a process within one launcher. Never reused.
pub(super) type ProcessId = u64;

/// The largest request in bytes. The kernel refuses arguments and environments long before.
pub(super) const MAX_REQUEST: usize = 16 << 20;

/// The length of the head of a request: the length of the body and the kind.
pub(super) const REQUEST_HEAD: usize = 5;

/// The length of a report.
pub(super) const REPORT: usize = 16;

/// What the program asks of the guard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Start a process; two file descriptors come along: standard output, standard error.
    Launch(Box<LaunchRequest>),
    /// Send SIGTERM to the process group.
    Terminate(ProcessId),
    /// Send SIGKILL to the process and everything that it started.
    Kill(ProcessId),
    /// Keep a file open until everything is dead; its descriptor comes along.
    Hold,
    /// When this time has come by the clock that counts suspension too (`CLOCK_BOOTTIME`, in nanoseconds), and there was no later
    /// lease, kill everything: the program stands still.
    Lease(u64),
}

/// How to start a process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LaunchRequest {
    pub(super) id: ProcessId,
    /// A path, or a name without slash to be searched for in the job's `PATH`.
    pub(super) program: OsString,
    /// Have `/bin/sh` read it.
    pub(super) through_shell: bool,
    pub(super) arguments: Vec<OsString>,
    /// Start with an empty environment instead of the guard's own.
    pub(super) clear_environment: bool,
    /// Set (or, with `None`, removed) on top of it.
    pub(super) environment: Vec<(OsString, Option<OsString>)>,
    pub(super) working_directory: Option<OsString>,
}

/// What the guard tells the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The guard is ready; whatever a predecessor left in the same work directory is dead.
    Ready,
    /// The process runs under this process number.
    Started(ProcessId, i32),
    /// The process could not be started: the system's error number.
    Failed(ProcessId, i32),
    /// The process has ended with this exit code.
    Exited(ProcessId, i32),
    /// The process has been ended by this signal.
    Signaled(ProcessId, i32),
}

/// The frame of a launch, see [`Request::Launch`].
pub(super) fn launch_frame(launch: &LaunchRequest) -> Vec<u8> {
    frame(LAUNCH, |body| put_launch(body, launch))
}

/// The frame of [`Request::Terminate`].
pub(super) fn terminate_frame(id: ProcessId) -> Vec<u8> {
    frame(TERMINATE, |body| body.extend_from_slice(&id.to_le_bytes()))
}

/// The frame of [`Request::Kill`].
pub(super) fn kill_frame(id: ProcessId) -> Vec<u8> {
    frame(KILL, |body| body.extend_from_slice(&id.to_le_bytes()))
}

/// The frame of [`Request::Hold`].
pub(super) fn hold_frame() -> Vec<u8> {
    frame(HOLD, |_| ())
}

/// The frame of [`Request::Lease`].
pub(super) fn lease_frame(until: u64) -> Vec<u8> {
    frame(LEASE, |body| body.extend_from_slice(&until.to_le_bytes()))
}

const LAUNCH: u8 = 0;
const TERMINATE: u8 = 1;
const KILL: u8 = 2;
const HOLD: u8 = 3;
const LEASE: u8 = 4;

fn frame(kind: u8, put_body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0, kind];
    put_body(&mut frame);
    let length = u32::try_from(frame.len() - REQUEST_HEAD).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame
}

impl Request {
    /// Takes the first frame of `bytes`, with the number of bytes it took. `Ok(None)`: more bytes are needed.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let Some((head, rest)) = bytes.split_first_chunk::<REQUEST_HEAD>() else {
            return Ok(None);
        };
        let [a, b, c, d, kind] = *head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > MAX_REQUEST {
            return Err(Malformed);
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let mut body = Body(body);
        let request = match kind {
            LAUNCH => Self::Launch(Box::new(body.launch()?)),
            TERMINATE => Self::Terminate(body.number()?),
            KILL => Self::Kill(body.number()?),
            HOLD => Self::Hold,
            LEASE => Self::Lease(body.number()?),
            _ => return Err(Malformed),
        };
        if body.0.is_empty() { Ok(Some((request, REQUEST_HEAD + length))) } else { Err(Malformed) }
    }
}

impl Report {
    pub(super) fn encode(self) -> [u8; REPORT] {
        let (kind, id, value) = match self {
            Self::Ready => (0_i32, 0, 0),
            Self::Started(id, pid) => (1, id, pid),
            Self::Failed(id, errno) => (2, id, errno),
            Self::Exited(id, code) => (3, id, code),
            Self::Signaled(id, signal) => (4, id, signal),
        };
        let mut bytes = [0; REPORT];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&value.to_le_bytes());
        bytes[8..].copy_from_slice(&id.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: [u8; REPORT]) -> Result<Self, Malformed> {
        let [k0, k1, k2, k3, v0, v1, v2, v3, id @ ..] = bytes;
        let id = u64::from_le_bytes(id);
        let value = i32::from_le_bytes([v0, v1, v2, v3]);
        match i32::from_le_bytes([k0, k1, k2, k3]) {
            0 => Ok(Self::Ready),
            1 => Ok(Self::Started(id, value)),
            2 => Ok(Self::Failed(id, value)),
            3 => Ok(Self::Exited(id, value)),
            4 => Ok(Self::Signaled(id, value)),
            _ => Err(Malformed),
        }
    }
}

/// Bytes that are no frame: the other end is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed frame between program and guard")]
pub(super) struct Malformed;

fn put_launch(frame: &mut Vec<u8>, launch: &LaunchRequest) {
    frame.extend_from_slice(&launch.id.to_le_bytes());
    put(frame, &launch.program);
    frame.push(u8::from(launch.through_shell));
    put_count(frame, launch.arguments.len());
    for argument in &launch.arguments {
        put(frame, argument);
    }
    frame.push(u8::from(launch.clear_environment));
    put_count(frame, launch.environment.len());
    for (name, value) in &launch.environment {
        put(frame, name);
        put_option(frame, value.as_ref());
    }
    put_option(frame, launch.working_directory.as_ref());
}

fn put_count(frame: &mut Vec<u8>, count: usize) {
    frame.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put(frame: &mut Vec<u8>, string: &OsString) {
    put_count(frame, string.len());
    frame.extend_from_slice(string.as_bytes());
}

fn put_option(frame: &mut Vec<u8>, string: Option<&OsString>) {
    frame.push(u8::from(string.is_some()));
    if let Some(string) = string {
        put(frame, string);
    }
}

/// What is left of the body of a request.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn count(&mut self) -> Result<usize, Malformed> {
        Ok(u32::from_le_bytes(self.take()?) as usize)
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        let [flag] = self.take()?;
        Ok(flag != 0)
    }

    fn string(&mut self) -> Result<OsString, Malformed> {
        let length = self.count()?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(OsString::from_vec(taken.to_vec()))
    }

    fn option(&mut self) -> Result<Option<OsString>, Malformed> {
        Ok(if self.flag()? { Some(self.string()?) } else { None })
    }

    fn launch(&mut self) -> Result<LaunchRequest, Malformed> {
        let id = self.number()?;
        let program = self.string()?;
        let through_shell = self.flag()?;
        let arguments = (0..self.count()?).map(|_| self.string()).collect::<Result<_, _>>()?;
        let clear_environment = self.flag()?;
        let environment = (0..self.count()?).map(|_| Ok((self.string()?, self.option()?))).collect::<Result<_, _>>()?;
        let working_directory = self.option()?;
        Ok(LaunchRequest { id, program, through_shell, arguments, clear_environment, environment, working_directory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LaunchRequest {
        LaunchRequest {
            id: 7,
            program: "/bin/echo".into(),
            through_shell: true,
            arguments: vec!["a".into(), OsString::from_vec(vec![0xff, 0xfe]), "".into()],
            clear_environment: true,
            environment: vec![("A".into(), Some("1".into())), ("B".into(), None)],
            working_directory: Some("/tmp".into()),
        }
    }

    #[test]
    fn requests_survive_the_wire_whole_and_in_parts() {
        let mut bytes = Vec::new();
        for (request, frame) in [
            (Request::Launch(Box::new(sample())), launch_frame(&sample())),
            (Request::Kill(9), kill_frame(9)),
            (Request::Terminate(u64::MAX), terminate_frame(u64::MAX)),
        ] {
            let start = bytes.len();
            bytes.extend_from_slice(&frame);
            for end in start..bytes.len() {
                assert_eq!(Request::decode(&bytes[start..end]), Ok(None));
            }
            assert_eq!(Request::decode(&bytes[start..]), Ok(Some((request, frame.len()))));
        }
    }

    #[test]
    fn reports_survive_the_wire() {
        for report in [
            Report::Ready,
            Report::Started(1, 4711),
            Report::Failed(2, 13),
            Report::Exited(3, 255),
            Report::Signaled(u64::MAX, 9),
        ] {
            assert_eq!(Report::decode(report.encode()), Ok(report));
        }
        assert_eq!(Report::decode([9; REPORT]), Err(Malformed));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Request::decode(&[0xff; 8]), Err(Malformed));
        assert_eq!(Request::decode(&[1, 0, 0, 0, 1, 0]), Err(Malformed));
        let bytes = launch_frame(&sample());
        for position in REQUEST_HEAD..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] = 0xee;
            // Must neither panic nor take more than there is.
            if let Ok(Some((_, length))) = Request::decode(&damaged) {
                assert_eq!(length, bytes.len());
            }
        }
    }
}
