//! Questions of the workflow to the person at the terminal, one at a time.
//!
//! Only what is typed after a question has been put can answer it: an impatient Return before must not agree to anything.

use baton_workflow::id::OrderId;
use rustix::termios::{QueueSelector, tcflush};
use std::collections::VecDeque;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// After an end of the input (Ctrl-D), which at a terminal is none, reading goes on after so long.
const READ_ON: Duration = Duration::from_millis(100);

/// How questions are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    /// Always with yes.
    Yes,
    /// By the person at the terminal.
    Person,
    /// Not at all.
    Nobody,
}

impl Answering {
    pub(super) fn new(yes: bool) -> Self {
        match (yes, io::stdin().is_terminal()) {
            (true, _) => Self::Yes,
            (false, true) => Self::Person,
            (false, false) => Self::Nobody,
        }
    }
}

/// Questions that wait for a person.
#[derive(Default)]
pub(super) struct Questions {
    /// The first has been put.
    asked: VecDeque<OrderId>,
    put: Option<Instant>,
    lines: Option<mpsc::Receiver<Line>>,
}

/// What the person says to the question which has been put.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This order goes on.
    Yes(OrderId),
    /// Something else; the question stays.
    Unclear {
        /// Whether it was a line, with its end on the screen.
        is_line: bool,
    },
    /// There is no person any more.
    Gone,
}

struct Line {
    text: io::Result<String>,
    read: Instant,
}

impl Questions {
    /// An order asks.
    pub(super) fn ask(&mut self, order: OrderId) {
        self.asked.push_back(order);
    }

    /// An order does not ask any more.
    pub(super) fn forget(&mut self, order: &OrderId) {
        if self.asked.front() == Some(order) {
            self.put = None;
        }
        self.asked.retain(|asked| asked != order);
    }

    /// The order whose question is to be put now; none if one has been put, or there is none. What was typed before counts
    /// no more.
    pub(super) fn next(&mut self) -> Option<OrderId> {
        if self.put.is_some() {
            return None;
        }
        let order = self.asked.front()?.clone();
        // Without it, only what is still unread would count.
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
        self.put = Some(Instant::now());
        self.lines.get_or_insert_with(read_lines);
        Some(order)
    }

    /// What is answered to the question which has been put, as soon as something is. Dropping the future loses nothing.
    pub(super) async fn answered(&mut self) -> Answer {
        loop {
            let (Some(lines), Some(put)) = (&mut self.lines, self.put) else { return std::future::pending().await };
            let Some(line) = lines.recv().await else { return Answer::Gone };
            if line.read < put {
                continue;
            }
            return match line.text {
                Ok(text) if is_yes(&text) => match self.asked.pop_front() {
                    Some(order) => {
                        self.put = None;
                        Answer::Yes(order)
                    }
                    None => continue,
                },
                Ok(text) => Answer::Unclear { is_line: text.ends_with('\n') },
                Err(_) => Answer::Gone,
            };
        }
    }
}

/// Return agrees, and so does a yes; anything else might mean no.
fn is_yes(line: &str) -> bool {
    line.ends_with('\n') && ["", "y", "yes"].iter().any(|yes| line.trim().eq_ignore_ascii_case(yes))
}

/// Tells of each line. The thread ends with the process: reading cannot be interrupted.
fn read_lines() -> mpsc::Receiver<Line> {
    let (line, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        loop {
            let mut text = String::new();
            let length = io::stdin().lock().read_line(&mut text);
            if matches!(length, Ok(0)) {
                std::thread::sleep(READ_ON);
            }
            let is_error = length.is_err();
            let text = length.map(|_| text);
            if line.blocking_send(Line { text, read: Instant::now() }).is_err() || is_error {
                return;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(name: &str) -> OrderId {
        OrderId::new(name)
    }

    /// Questions, and who types.
    fn questions() -> (Questions, mpsc::Sender<Line>) {
        let (typed, lines) = mpsc::channel(9);
        (Questions { lines: Some(lines), ..Questions::default() }, typed)
    }

    fn line(text: &str) -> Line {
        Line { text: Ok(text.to_owned()), read: Instant::now() }
    }

    #[tokio::test]
    async fn one_question_after_the_other_is_put_and_answered() {
        let (mut questions, typed) = questions();
        assert_eq!(questions.next(), None);
        questions.ask(order("A"));
        questions.ask(order("B"));
        questions.ask(order("C"));
        assert_eq!((questions.next(), questions.next()), (Some(order("A")), None));
        typed.send(line("\n")).await.unwrap();
        assert_eq!(questions.answered().await, Answer::Yes(order("A")));
        assert_eq!(questions.next(), Some(order("B")));
        questions.forget(&order("B"));
        assert_eq!(questions.next(), Some(order("C")));
        typed.send(line(" Yes \n")).await.unwrap();
        assert_eq!(questions.answered().await, Answer::Yes(order("C")));
    }

    #[tokio::test]
    async fn only_a_yes_after_the_question_counts() {
        let (mut questions, typed) = questions();
        typed.send(line("\n")).await.unwrap();
        questions.ask(order("A"));
        assert_eq!(questions.next(), Some(order("A")));
        typed.send(line("no\n")).await.unwrap();
        typed.send(line("")).await.unwrap();
        assert_eq!(questions.answered().await, Answer::Unclear { is_line: true });
        assert_eq!(questions.answered().await, Answer::Unclear { is_line: false });
        drop(typed);
        assert_eq!(questions.answered().await, Answer::Gone);
    }
}
