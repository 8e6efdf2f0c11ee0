//! A real process: started, waited for, killed; its standard error is kept in a file that leak tests search.

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::{Fault, Result, because};

/// A running program. Dropping it kills it, so that no test leaves one behind.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; standard output and error are appended to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let open = || OpenOptions::new().create(true).append(true).open(log);
        let file: File = open().map_err(because(log.display()))?;
        let twin = file.try_clone().map_err(because(log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(twin)
            .stderr(file)
            // Ctrl-C at the terminal is for whoever started the harness, which stops its processes in order.
            .process_group(0)
            .spawn()
            .map_err(because(format!("{name} cannot be started")))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Waits until the program has written its ready file, and answers what it says.
    ///
    /// # Errors
    /// When the program ends before, or does not become ready in time; the fault shows the end of its log.
    pub async fn ready(&mut self, file: &Path) -> Result<String> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Ok(text) = fs::read_to_string(file)
                && !text.trim().is_empty()
            {
                return Ok(text);
            }
            if let Some(status) = self.ended()? {
                return Err(Fault::new(format!(
                    "{} ended with {status} before it was ready:\n{}",
                    self.name,
                    self.log_tail()
                )));
            }
            if Instant::now() > deadline {
                return Err(Fault::new(format!(
                    "{} is not ready after {READY_WITHIN:?}:\n{}",
                    self.name,
                    self.log_tail()
                )));
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(because(&self.name))
    }

    /// `kill -9`: no destructor, no flush, as a crash.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().map_err(because(&self.name))?;
        self.child.wait().map_err(because(&self.name))?;
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| Fault::new("a process id beyond i32"))?;
        kill_process(id, signal).map_err(because(&self.name))
    }

    /// From now on no file of the process may grow beyond so many bytes, as if the disk were full; `None` ends that.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn limit_file_size(&self, bytes: Option<u64>) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // The hard limit stays, so that the soft one can be raised again without a privilege.
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(id, Resource::Fsize, limit).map_err(because(&self.name))?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// When it does not stop in time or stops with a fault.
    pub async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + STOP_WITHIN;
        loop {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(Fault::new(format!("{} stopped with {status}:\n{}", self.name, self.log_tail())));
                }
                None if Instant::now() > deadline => {
                    return Err(Fault::new(format!("{} does not stop after {STOP_WITHIN:?}", self.name)));
                }
                None => tokio::time::sleep(STEP).await,
            }
        }
    }

    /// Where its standard error goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of the log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until a condition holds, for `within` or for a minute and a half, whichever is longer: how quick a
/// machine is decides no test.
///
/// # Errors
/// When it does not hold within `within`; the fault says what was waited for and the last fault met.
pub async fn eventually<T, F: Future<Output = Result<Option<T>>>>(
    what: &str,
    within: Duration,
    mut ask: impl FnMut() -> F,
) -> Result<T> {
    let within = within.max(PATIENCE);
    let deadline = Instant::now() + within;
    let mut last = String::new();
    loop {
        match ask().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(fault) => last = format!(" ({fault})"),
        }
        if Instant::now() > deadline {
            return Err(Fault::new(format!("waited {within:?} for {what} in vain{last}")));
        }
        tokio::time::sleep(STEP).await;
    }
}

/// A program to which a write beyond [`Process::limit_file_size`] is an error, as on a full disk, and not a signal that ends it.
pub(super) fn surviving(program: &Path) -> Command {
    // An ignored signal stays ignored in the program that takes the shell's place.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program);
    shell
}

const READY_WITHIN: Duration = Duration::from_secs(90);
const STOP_WITHIN: Duration = Duration::from_secs(90);
const PATIENCE: Duration = Duration::from_secs(90);
const STEP: Duration = Duration::from_millis(5);
const TAIL_LINES: usize = 20;
