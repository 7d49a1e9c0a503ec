//! Questions to a person at a terminal.

use super::{Folder, text};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// A terminal with a run in it.
struct Terminal {
    keyboard: File,
    screen: Receiver<String>,
    /// All that has been shown.
    shown: String,
    child: Child,
}

impl Terminal {
    /// Starts a run, in whose terminal something has been typed already.
    fn start(workflow: &str, typed: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut keyboard = File::from(master);
        keyboard.write_all(typed.as_bytes()).unwrap();
        let (told, screen) = channel();
        let mut master = keyboard.try_clone().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.args(["run", workflow]).stdin(slave.try_clone().unwrap());
        let child = command.stdout(slave).stderr(Stdio::inherit()).spawn().unwrap();
        drop(command);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // When nobody has the terminal any more, reading fails.
            while let Ok(length @ 1..) = master.read(&mut buffer) {
                if told.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { keyboard, screen, shown: String::new(), child }
    }

    fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until this has been shown after what was awaited before.
    fn await_text(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return;
            }
            assert!(start.elapsed() < LIMIT, "{text:?} is not shown, only {:?}", self.shown);
            match self.screen.recv_timeout(LIMIT) {
                Ok(more) => self.shown += &more,
                Err(_) => panic!("{text:?} is not shown, only {:?}", self.shown),
            }
        }
    }
}

#[test]
fn only_a_yes_to_the_question_agrees() {
    let folder = Folder::new();
    let workflow =
        folder.workflow(r#"{"TYPE":"Prompt","question":"'Shall I?'"},{"TYPE":"Prompt","question":"'Sure?'"}"#);
    let mut terminal = Terminal::start(text(&workflow), "\nyes\n");
    terminal.await_text("? Shall I?");
    terminal.await_text("press Enter");
    // What was typed before does not count, so this is the first answer.
    terminal.type_in("no\n");
    terminal.await_text("that is no yes");
    terminal.type_in("\n");
    terminal.await_text("answered");
    terminal.await_text("? Sure?");
    terminal.await_text("press Enter");
    // The end of the input, which at a terminal is none.
    terminal.type_in("\x04");
    terminal.await_text("that is no yes");
    terminal.type_in("yes\n");
    terminal.await_text("order W finished");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}
