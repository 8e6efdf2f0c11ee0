//! What failed among many tests, kept while their output goes by, so that it can be said again where people look: at the end.
#![expect(clippy::print_stdout, reason = "people read these lines while they wait")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use strongroom_tests::harness::{Fault, Result, because};

/// Runs a test command and shows its output as it comes.
///
/// # Returns
/// Whether it succeeded, and what its test programs said.
///
/// # Errors
/// When the command cannot be started or waited for.
pub(crate) fn watch(command: &mut Command) -> Result<(bool, Seen)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(because("the tests"))?;
    let kept = Arc::new(Mutex::new(Seen::default()));
    let readers = [reader(child.stdout.take(), &kept), reader(child.stderr.take(), &kept)];
    let passed = wait(&mut child)?;
    // A program that a test left behind may hold the pipe open; nothing that it still says is waited for.
    let until = Instant::now() + REST;
    while readers.iter().flatten().any(|reader| !reader.is_finished()) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((passed, kept))
}

/// Lines kept of one failure: the place, the message and what follows them.
const LINES: usize = 24;

/// How long the last output may take to arrive once the command has ended.
const REST: Duration = Duration::from_secs(5);

/// Longest line that is said again, in characters.
const WIDTH: usize = 400;

/// What test programs said.
#[derive(Default)]
pub(crate) struct Seen {
    /// What failed tests said, cut to [`LINES`] lines each.
    reports: Vec<Vec<String>>,
    /// Whether the lines that go by belong to the last report.
    inside: bool,
}

impl Seen {
    /// Looks at one line of a test program (`---- name stdout ----` begins what a failed test printed, the list of failed names
    /// or a list of calls ends it) or of cargo (`error:` and what it quotes: programs that failed).
    fn see(&mut self, line: &str) {
        let ends = ["failures:", "test result:", "stack backtrace:"];
        if line.starts_with("---- ") && line.ends_with(" ----") || line.starts_with("error") {
            self.reports.push(Vec::new());
            self.inside = true;
        } else if ends.iter().any(|end| line.starts_with(end)) || line.trim_start().starts_with("Running ") {
            self.inside = false;
        }
        if let Some(report) = self.reports.last_mut().filter(|_| self.inside)
            && report.len() < LINES
            && !line.trim().is_empty()
        {
            report.push(line.chars().take(WIDTH).collect());
        }
    }

    /// What failed tests said, a text each.
    pub(crate) fn reports(&self) -> Vec<String> {
        self.reports.iter().map(|report| report.join("\n")).collect()
    }
}

fn reader(from: Option<impl Read + Send + 'static>, kept: &Arc<Mutex<Seen>>) -> Option<std::thread::JoinHandle<()>> {
    let kept = Arc::clone(kept);
    from.map(|from| {
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(std::io::Result::ok) {
                let line = String::from_utf8_lossy(&line);
                // Shown under the lock, so that a line of one stream never lands in the middle of the other's.
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                println!("{line}");
                kept.see(&line);
            }
        })
    })
}

fn wait(child: &mut Child) -> Result<bool> {
    child.wait().map(|status| status.success()).map_err(|error| Fault::new(format!("the tests: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(output: &str) -> Seen {
        let mut seen = Seen::default();
        output.lines().for_each(|line| seen.see(line));
        seen
    }

    const OUTPUT: &str = "test a ... ok\ntest b ... FAILED\ntest c::d ... FAILED\n\nfailures:\n\n---- b stdout ----\n\n\
        thread 'b' panicked at b.rs:1:2:\nleft: 1\nstack backtrace:\n   0: f\n\n---- c::d stdout ----\nError: late\n\n\
        failures:\n    b\n    c::d\n\ntest result: FAILED. 1 passed; 2 failed\ntest e ... ok\nerror: 1 target failed:\n    \
        `-p x --test y`";

    #[test]
    fn each_failed_test_is_said_again_with_its_message_and_nothing_of_those_that_passed() {
        let seen = seen(OUTPUT);
        assert_eq!(
            seen.reports(),
            [
                "---- b stdout ----\nthread 'b' panicked at b.rs:1:2:\nleft: 1",
                "---- c::d stdout ----\nError: late",
                "error: 1 target failed:\n    `-p x --test y`"
            ]
        );
    }

    #[test]
    fn a_failure_that_prints_without_end_is_cut() {
        let output = format!("---- b stdout ----\n{}", "x\n".repeat(10 * LINES));
        assert_eq!(seen(&output).reports().first().map(|report| report.lines().count()), Some(LINES));
    }
}
