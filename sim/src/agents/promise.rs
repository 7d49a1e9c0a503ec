//! The promise about lost subagents: new jobs start elsewhere within [`BOUND`]. Measured at the end of every world, when all is
//! well.

use super::place::{Computer, Place, agent_path, subagent_id};
use super::shown::Sometimes;
use super::work::{Deed, PROBE, Wanted};
use super::{Event, World};
use baton_protocol::register::Seat;
use baton_protocol::time::{Duration, Instant};
use baton_workflow::id::OrderId;

/// Within so long after the loss of a subagent, new jobs start elsewhere.
pub const BOUND: Duration = Duration::from_secs(3);

/// How long orders are added.
const PROBING: Duration = Duration::from_secs(5);

/// Time between two.
const PAUSE: Duration = Duration::from_millis(250);

impl World {
    pub(super) fn keep_promise(&mut self) -> Result<(), String> {
        let agent = u8::try_from(self.below(u64::from(self.plan.agents))).unwrap_or(0);
        let number = u8::try_from(self.choice.between(2, u64::from(self.plan.subagents))).unwrap_or(2);
        let Some(setting) = self.work.subagents.get(&(agent, number)).copied() else { return Ok(()) };
        let (victim, victim_id) = (Place::Subagent(agent, setting.at), subagent_id(agent, number));
        let first = self.work.orders.len();
        let count = u32::try_from(PROBING.as_millis() / PAUSE.as_millis()).unwrap_or(1);
        for n in 0..count {
            let id = OrderId::new(&format!("P-{n}"));
            let workflow = format!("{PROBE}-{}", agent_path(agent));
            self.work.orders.push(Wanted { id, workflow, added: None, is_touched: false });
            self.at(PAUSE * n, Event::Do(Deed::Add(first + n as usize)));
        }
        let after = self.micros(0, 500_000);
        self.run_until(self.now + after)?;
        let lost_at = self.now;
        let is_death = self.lose(victim)?;
        self.run_until(lost_at + PROBING + BOUND)?;

        let mut longest = Duration::ZERO;
        for wanted in &self.work.orders[first..] {
            let Some(added) = wanted.added else {
                return Err(format!("L1: {} was not even added", wanted.id));
            };
            let since = added.max(lost_at);
            let decided = self.audit.decided(agent).iter().filter(|(id, ..)| *id == wanted.id);
            let at_victim: Vec<Instant> = decided.filter(|(_, at, _)| *at == victim_id).map(|(.., at)| *at).collect();
            if let Some(late) = at_victim.iter().find(|at| **at > lost_at + BOUND) {
                let late = late.since(lost_at);
                return Err(format!("L1: {} is to run at {victim_id}, which is lost since {late:?}", wanted.id));
            }
            // What was given to who is silent, may run there.
            if !at_victim.is_empty() && !is_death {
                continue;
            }
            let starts = self.work.starts.get(&wanted.id);
            let elsewhere = starts.into_iter().flatten().find(|(_, place)| *place != victim);
            let was_before = starts.into_iter().flatten().any(|(at, place)| *place == victim && *at < lost_at);
            let waited = match elsewhere {
                Some((at, _)) => at.since(since),
                None if was_before => continue,
                None => return Err(format!("L1: {} was not started elsewhere", wanted.id)),
            };
            longest = longest.max(waited);
            if waited > BOUND {
                return Err(format!("L1: {} was started elsewhere after {waited:?}", wanted.id));
            }
        }
        let how = if is_death { Sometimes::BoundByDeath } else { Sometimes::BoundBySilence };
        self.see(how);
        self.wait = Some((how, longest));
        Ok(())
    }

    /// Loses a subagent for good. Whether its host says so.
    fn lose(&mut self, victim: Place) -> Result<bool, String> {
        let (computer, long) = (victim.computer(), Duration::from_secs(600));
        let Place::Subagent(agent, _) = victim else { return Ok(false) };
        self.events.retain(|_, event| match event {
            Event::Start(place) => *place != victim,
            Event::PowerOn(other) | Event::Resume(other) => *other != computer,
            Event::Mend(from, to) => *from != computer && *to != computer,
            _ => true,
        });
        let director = Place::Director(agent, Seat::First).computer();
        match self.below(5) {
            0 | 1 => {
                self.crash(victim)?;
                return Ok(true);
            }
            2 => self.switch_off(computer)?,
            3 => self.cut(director, computer, true, long),
            _ => {
                let (from, to): (Computer, Computer) =
                    if self.below(2) == 0 { (director, computer) } else { (computer, director) };
                if self.below(2) == 0 {
                    self.cut(from, to, false, long);
                } else {
                    self.pause(computer, long);
                }
            }
        }
        Ok(false)
    }
}
