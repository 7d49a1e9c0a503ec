//! What is seen in the world, for a campaign to know what its worlds were like.

use super::{Event, Sometimes, World};
use crate::cluster::digest::hash_of;
use crate::cluster::toy::News;
use baton_protocol::pair::{Mandate, Pair};
use baton_protocol::register::{Mode, Seat};
use baton_protocol::time::Duration;

impl World {
    pub(super) fn observe(&mut self, seat: Seat, news: &[News]) {
        for news in news {
            if let News::Installed(_) = news {
                self.installed.insert(seat);
                self.offered = None;
            }
            self.trace.step(&hash_of(news).to_le_bytes(), || format!("  {seat:?}: {news:?}"));
            let pair = self.hosts[seat as usize].node().map(|node| node.machine().pair());
            let known = pair.and_then(Pair::known);
            let mode = known.map(|known| known.mode);
            if let Some(known) = known
                && self.members.replace(known.members).is_some_and(|before| before != known.members)
            {
                *self.seen.entry(Sometimes::Replaced).or_default() += 1;
            }
            if matches!(news, News::EpochBegan(_)) && mode == Some(Mode::Coupled) && self.installed.remove(&seat.peer())
            {
                *self.seen.entry(Sometimes::CaughtUpFromImage).or_default() += 1;
            }
            let seen = match news {
                News::Activated(_, Mandate::TookOver) => Sometimes::TookOver,
                News::Activated(_, Mandate::SwitchedOver) => Sometimes::SwitchedOver,
                News::Activated(_, Mandate::Restarted) => Sometimes::Restarted,
                News::EpochBegan(_) if mode == Some(Mode::Alone) => Sometimes::WentOnAlone,
                News::EpochBegan(_) if self.audit.activations() > 3 => Sometimes::CoupledAgain,
                News::Stopped => {
                    // The process ends, and is started again some time; or the other node is appointed.
                    self.at(Duration::from_millis(1), Event::End(seat));
                    Sometimes::Stopped
                }
                News::Activated(_, Mandate::Appointed) if self.survivor.is_some() => Sometimes::LossAccepted,
                News::Activated(_, Mandate::Appointed) => Sometimes::Appointed,
                News::Activated(_, Mandate::Forced) => Sometimes::Forced,
                News::Cut(_) => Sometimes::Cut,
                News::Deposed => Sometimes::Deposed,
                _ => continue,
            };
            *self.seen.entry(seen).or_default() += 1;
        }
    }
}
