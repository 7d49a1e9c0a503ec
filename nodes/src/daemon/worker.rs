//! How agents and subagents end.
//!
//! | manner | running jobs | what the others do |
//! |---|---|---|
//! | stop | come to their end, no other is started | nothing is lost; the next jobs start at other subagents |
//! | switch-over | the same | the other director of the pair takes over before |
//! | abort | are killed | fail-over: jobs are handed over, or their orders fail, as the jobs say |
//! | kill | are killed | the same; and a service manager starts it again, as after a crash |
//!
//! A stop waits as long as jobs run, and until the director knows how they have ended. Stopping once more with a signal ends
//! them earlier; so does an abort.
//!
//! The director of a pair goes on with the jobs of other subagents while those of its own come to their end. When it stops then,
//! the other director does not take over: that is what a switch-over is for.

use super::stop::{Manner, StopRequest, agreed, kill_this_process, order_before};
use super::{Ended, listen_to, pulse, reload};
use crate::driver::News;
use crate::host::director::DirectorRequest;
use crate::host::standing::PairStanding;
use crate::host::{director, peek, subagent};
use crate::notify::ServiceManager;
use crate::process::Launcher;
use baton_machine::director::{Director, DirectorInput};
use baton_machine::subagent::{Subagent, SubagentInput};
use baton_net::tls::Security;
use baton_protocol::node::Node;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// So long the controller has to hear that an agent ends.
const LEAVE: Duration = Duration::from_secs(1);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// What runs: a subagent, and in an agent a director beside it.
pub(super) struct Worker {
    pub(super) subagent: subagent::Started,
    pub(super) director: Option<director::Started>,
    pub(super) launcher: Launcher,
}

/// Who tells a worker to end.
pub(super) struct Orders {
    pub(super) requested: mpsc::Receiver<StopRequest>,
    pub(super) reloads: mpsc::Receiver<()>,
}

impl Worker {
    /// Works until it is told to end and has ended, or halts.
    pub(super) async fn run(self, mut orders: Orders, security: &Security, news: &mut News) -> Ended {
        let manager = ServiceManager::of_process();
        manager.ready();
        let mut pulse = pulse(&manager);
        let mut stopped = self.subagent.stopped.clone();
        let mut stop: Option<StopRequest> = None;
        let (ended, is_abort) = loop {
            tokio::select! {
                biased;
                // Told by who does the work.
                _ = pulse.tick() => if self.is_alive().await { manager.alive() },
                () = listen_to(news) => break (Ended::Halted, true),
                Some(()) = orders.reloads.recv() => reload(security),
                Some(request) = orders.requested.recv() => match request.manner {
                    Manner::Kill => kill_this_process(),
                    Manner::Abort => {
                        tracing::warn!("aborts at once: all jobs are killed");
                        break (ended(request), true);
                    }
                    Manner::SwitchOver if !self.agree(Manner::SwitchOver).await => {}
                    Manner::Stop | Manner::SwitchOver => {
                        if stop.is_none() {
                            manager.stopping();
                        }
                        self.stop(request).await;
                        stop = Some(request);
                    }
                },
                _ = stopped.wait_for(|is_stopped| *is_stopped), if stop.is_some() => {
                    break (stop.map_or(Ended::AsTold, ended), false);
                }
            }
        };
        manager.stopping();
        if !is_abort {
            self.take_leave().await;
            self.agree(Manner::Stop).await;
        }
        self.end().await;
        ended
    }

    /// Starts nothing more.
    async fn stop(&self, request: StopRequest) {
        let running = self.look_at_subagent(|subagent| subagent.machine().running_count()).await.unwrap_or(0);
        match request.signal {
            None if running > 0 => tracing::info!("takes no more jobs, and ends when {running} have come to their end"),
            None => tracing::info!("takes no more jobs, and ends"),
            Some(signal) => tracing::warn!("takes no more jobs; {running} get {signal}"),
        }
        if let Some(director) = &self.director
            && self.pair().await.is_none()
        {
            // Who has ended does not care.
            let _ = director.running.requests().send(DirectorInput::Stop.into()).await;
        }
        let stop = SubagentInput::Stop { signal: request.signal };
        let _ = self.subagent.running.requests().send(stop.into()).await;
    }

    /// How its director stands in its pair; none if there is no pair, or nothing that could tell.
    async fn pair(&self) -> Option<PairStanding> {
        let director = self.director.as_ref()?;
        let look = |node: &Node<Director>| node.machine().pair().map(|pair| PairStanding::of(pair, None));
        peek::peek(&director.running.requests(), look).await.flatten()
    }

    /// Lets the pair of directors agree to the end of this one. False if it is to stay.
    async fn agree(&self, manner: Manner) -> bool {
        let pair = self.pair().await;
        let (Some(order), Some(director)) = (order_before(manner, pair.as_ref()), &self.director) else { return true };
        let requests = director.running.requests();
        let answer = async {
            let (reply, replied) = oneshot::channel();
            let gone = "the director has ended, or is not active any more";
            requests.send(DirectorRequest::Order { order, reply }).await.map_err(|_| gone.to_owned())?;
            replied.await.map_err(|_| gone.to_owned())
        };
        agreed(manner, answer).await
    }

    /// Lets the controller know that the agent ends, if it listens.
    async fn take_leave(&self) {
        let Some(director) = &self.director else { return };
        let requests = director.running.requests();
        if requests.send(DirectorInput::ShutDown.into()).await.is_err() {
            return;
        }
        let has_left = async {
            let is_done = |node: &Node<Director>| node.machine().has_taken_leave() || !node.machine().is_coupled();
            while peek::peek(&requests, is_done).await == Some(false) {
                sleep(LOOK).await;
            }
        };
        // It will see soon that the link has ended.
        let _ = timeout(LEAVE, has_left).await;
    }

    /// Ends what runs. Links first: that the jobs are killed now is no end that they came to.
    async fn end(self) {
        if let Some(director) = self.director {
            director.running.stop().await;
        }
        self.subagent.running.stop().await;
        self.launcher.stop().await;
    }

    async fn is_alive(&self) -> bool {
        let director = async {
            match &self.director {
                Some(director) => peek::peek(&director.running.requests(), |_: &Node<Director>| ()).await.is_some(),
                None => true,
            }
        };
        director.await && self.look_at_subagent(|_| ()).await.is_some()
    }

    async fn look_at_subagent<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node<Subagent>) -> T + Send + 'static,
    ) -> Option<T> {
        peek::peek(&self.subagent.running.requests(), look).await
    }
}

fn ended(request: StopRequest) -> Ended {
    if request.restarts { Ended::ToStartAgain } else { Ended::AsTold }
}
