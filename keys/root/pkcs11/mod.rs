//! A Root in an HSM, through PKCS#11: AES-256-GCM by the token itself. The key never leaves it.

mod line;
mod module;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::place::{HsmKey, HsmSite};
use super::{Home, Place, RootError};
use strongroom_wire::hex::hex;

use crate::aead::Unsealed;
use line::{Fault, Line};
use module::Module;

/// The token, and the sessions with it that are not in use.
pub(super) struct Hsm {
    inner: Arc<Inner>,
}

struct Inner {
    site: HsmSite,
    key: HsmKey,
    vault: Uuid,
    module: Arc<Module>,
    idle: Mutex<Vec<Line>>,
    /// Calls under way. One that never returns keeps its leave, so that hung calls are few.
    leave: Arc<Semaphore>,
    /// The PIN was refused once: nothing logs in with it again, because a token may lock itself after a few tries.
    pin_refused: AtomicBool,
}

impl Hsm {
    /// Loads the library; the token is asked for when it is needed.
    pub(super) async fn new(vault: Uuid, site: &HsmSite, key: &HsmKey) -> Result<Self, RootError> {
        let path = site.module.clone();
        let module = bounded(site, None, move || Module::load(&path)).await?;
        let inner = Inner {
            site: site.clone(),
            key: key.clone(),
            vault,
            module,
            idle: Mutex::default(),
            leave: Arc::new(Semaphore::new(CALLS_MAX)),
            pin_refused: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl Fn(&Line) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, RootError> {
        let inner = Arc::clone(&self.inner);
        let leave = timeout(inner.site.timeout, Arc::clone(&inner.leave).acquire_owned()).await;
        let leave = leave.ok().and_then(Result::ok).ok_or(RootError::Unavailable)?;
        let site = inner.site.clone();
        bounded(&site, Some(leave), move || inner.run(&work)).await
    }
}

/// Makes the key of a new Root in a token, or takes one that is there.
///
/// # Errors
/// [`RootError`], each with what to do.
pub(super) async fn found(
    site: &HsmSite,
    token_label: &str,
    key_label: &str,
    is_there: bool,
) -> Result<HsmKey, RootError> {
    let (inside, token, label) = (site.clone(), token_label.to_owned(), key_label.to_owned());
    bounded(site, None, move || {
        let module = Module::load(&inside.module)?;
        match module.with(|calls, _| line::found(calls, &inside, &token, &label, is_there)) {
            Ok(key) => Ok(key),
            Err(Fault::Plain(why)) => Err(why),
            Err(Fault::Lost | Fault::Unclear) => Err(RootError::Unavailable),
        }
    })
    .await
}

#[async_trait]
impl Home for Hsm {
    fn code(&self) -> u8 {
        2
    }

    async fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, RootError> {
        let associated = self.inner.associated(place);
        let plaintext = Zeroizing::new(plaintext.to_vec());
        self.call(move |line| line.seal(&associated, &plaintext)).await
    }

    async fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Unsealed, RootError> {
        let associated = self.inner.associated(place);
        let sealed = sealed.to_vec();
        self.call(move |line| match line.open_sealed(&associated, &sealed) {
            Err(Fault::Unclear) if line.works() => Err(Fault::Plain(RootError::Unauthentic)),
            other => other,
        })
        .await
    }
}

impl Inner {
    /// The vault in front, because one key of a token may serve several.
    fn associated(&self, place: &Place<'_>) -> Vec<u8> {
        [self.vault.as_bytes().as_slice(), &place.context.associated_data(place.part, place.term)].concat()
    }

    /// Does the work on a session; if that was lost, once more on a new one, after a restart of the library if need be.
    fn run<T>(&self, work: &dyn Fn(&Line) -> Result<T, Fault>) -> Result<T, RootError> {
        let first = self.module.with(|calls, life| {
            let line = match self.take(life) {
                Some(line) => line,
                None => self.connect(calls, life)?,
            };
            self.on(line, work)
        });
        let seen = self.module.with(|_, life| life);
        let fault = match first {
            Ok(done) => return Ok(done),
            Err(fault @ (Fault::Lost | Fault::Unclear | Fault::Plain(RootError::NoKey))) => fault,
            Err(Fault::Plain(why)) => return Err(why),
        };
        self.forget();
        let again = || self.module.with(|calls, life| self.on(self.connect(calls, life)?, work));
        let second = if fault == Fault::Plain(RootError::NoKey) { Err(fault) } else { again() };
        let third = match second {
            Err(Fault::Lost | Fault::Unclear | Fault::Plain(RootError::NoKey)) => {
                self.forget();
                self.module.restart(seen, self.site.timeout / 2);
                again()
            }
            other => other,
        };
        third.map_err(|fault| match fault {
            Fault::Plain(why) => why,
            Fault::Lost | Fault::Unclear => RootError::Unavailable,
        })
    }

    fn on<T>(&self, line: Line, work: &dyn Fn(&Line) -> Result<T, Fault>) -> Result<T, Fault> {
        let done = work(&line);
        match done {
            Ok(_) | Err(Fault::Plain(_)) => self.lines().push(line),
            Err(Fault::Lost | Fault::Unclear) => line.close(),
        }
        done
    }

    fn connect(&self, calls: &cryptoki::context::Pkcs11, life: u64) -> Result<Line, Fault> {
        if self.pin_refused.load(Ordering::Relaxed) {
            return Err(Fault::Plain(RootError::PinRefused));
        }
        let line = Line::open(calls, life, &self.site, &self.key);
        if matches!(line, Err(Fault::Plain(RootError::PinRefused))) {
            self.pin_refused.store(true, Ordering::Relaxed);
        }
        line
    }

    fn take(&self, life: u64) -> Option<Line> {
        let mut idle = self.lines();
        // Sessions of an earlier life ended with it.
        idle.retain(|line| line.life == life);
        idle.pop()
    }

    /// Closes the sessions that are not in use.
    fn forget(&self) {
        let idle = std::mem::take(&mut *self.lines());
        self.module.with(|_, life| idle.into_iter().filter(|line| line.life == life).for_each(Line::close));
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    /// With the last session the login ends. On a thread of its own, because a token may hang.
    fn drop(&mut self) {
        let (idle, module) = (std::mem::take(&mut *self.lines()), Arc::clone(&self.module));
        let close =
            move || module.with(|_, life| idle.into_iter().filter(|line| line.life == life).for_each(Line::close));
        let _closing = std::thread::Builder::new().name("hsm".into()).spawn(close);
    }
}

/// Does the work on a thread of its own and waits no longer than the site allows. A call that hangs keeps the thread, not
/// the caller, and does not keep the process from ending.
async fn bounded<T: Send + 'static>(
    site: &HsmSite,
    leave: Option<tokio::sync::OwnedSemaphorePermit>,
    work: impl FnOnce() -> Result<T, RootError> + Send + 'static,
) -> Result<T, RootError> {
    let (answer, answered) = oneshot::channel();
    let call = move || {
        let _leave = leave;
        // Nobody waits any longer if this fails; what was opened is wiped.
        let _ = answer.send(work());
    };
    std::thread::Builder::new().name("hsm".into()).spawn(call).map_err(|_| RootError::Unavailable)?;
    timeout(site.timeout, answered).await.ok().and_then(Result::ok).ok_or(RootError::Unavailable)?
}

/// Calls to a token at a time.
const CALLS_MAX: usize = 8;
