//! Watch: asks the vault again and again how far something is that runs there, with a bar for people.

use std::future::Future;
use std::time::Duration;

use indicatif::ProgressBar;
use strongroom_wire::Kind;

use crate::failure::Failure;
use crate::progress;

/// One thing that is watched.
pub(crate) struct Watch {
    bar: ProgressBar,
    what: &'static str,
    ends_if_sealed: bool,
    faults: u32,
}

impl Watch {
    /// With a bar of its own, which is hidden where nobody looks. `what` names it in a message, and the template is indicatif's.
    pub(crate) fn alone(what: &'static str, template: &str) -> Self {
        Self::on(progress::bar(Some(0), template), what, template)
    }

    /// With a bar that stands among others.
    pub(crate) fn on(bar: ProgressBar, what: &'static str, template: &str) -> Self {
        bar.set_style(progress::style(template));
        Self { bar, what, ends_if_sealed: false, faults: 0 }
    }

    /// A vault that is sealed ends it, too: what it did goes on only when somebody unseals it.
    pub(crate) fn until_sealed(self) -> Self {
        Self { ends_if_sealed: true, ..self }
    }

    /// Shows how far it is.
    pub(crate) fn show(&self, done: u64, total: u64, message: String) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(message);
    }

    /// What `ask` answers a moment later; nothing after a fault that may pass, such as a vault that restarts: it goes on by
    /// itself there.
    ///
    /// # Errors
    /// An interrupt, which ends the asking alone; a refusal; too many faults in a row.
    pub(crate) async fn next<T>(
        &mut self,
        ask: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Option<T>, Failure> {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = tokio::signal::ctrl_c() => {
                self.bar.abandon();
                return Err(Failure::new(
                    format!("no longer watching; {} goes on in the vault", self.what),
                    "ask again with the same command to watch it",
                ));
            }
        }
        match ask.await {
            Ok(now) => {
                self.faults = 0;
                Ok(Some(now))
            }
            Err(failure) if self.faults < FAULTS_MAX && !self.refuses(&failure) => {
                self.faults += 1;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Takes the bar away: it is over.
    pub(crate) fn over(self) {
        self.bar.finish_and_clear();
    }

    fn refuses(&self, failure: &Failure) -> bool {
        failure.is(Kind::Denied) || self.ends_if_sealed && failure.is(Kind::Sealed)
    }
}

const POLL: Duration = Duration::from_millis(500);
/// Failed polls in a row before giving up: about half a minute.
const FAULTS_MAX: u32 = 60;
