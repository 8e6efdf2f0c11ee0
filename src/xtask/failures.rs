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

/// Runs failed tests once more, each alone, and says which of them failed again.
///
/// A few tests live on a machine that keeps up, beside a hundred others. What fails twice, the second time with the machine for
/// itself, is a fault; what fails once is told as such and does not stop the others' work. Many failures are no accident of
/// time and are not tried again, nor is a program that ended without naming a test.
///
/// # Errors
/// When the command cannot be started or waited for.
pub(crate) fn second_try(first: &Seen, cargo: impl Fn() -> Command) -> Result<bool> {
    if first.crashed || first.failed.is_empty() || first.failed.len() > SECOND_TRIES_MAX || first.programs.is_empty() {
        return Ok(false);
    }
    let mut passed = Vec::new();
    for program in &first.programs {
        let mut again = cargo();
        again.args(["test", "--workspace"]).args(program.split(' ')).args([
            "--locked",
            "--",
            "--exact",
            "--test-threads",
            "1",
        ]);
        let (ended_well, seen) = watch(again.args(&first.failed))?;
        // A program that failed by another way than by one of these tests has none of them.
        if !ended_well || !first.failed.iter().any(|name| seen.passed.contains(name)) {
            return Ok(false);
        }
        passed.extend(seen.passed);
    }
    Ok(first.failed.iter().all(|name| passed.contains(name)))
}

/// What cargo says of a program that ended otherwise than by saying how its tests went.
const CRASHES: [&str; 2] = ["test exited abnormally", "process didn't exit successfully"];

/// Most failed tests that are tried again.
const SECOND_TRIES_MAX: usize = 3;

/// Lines kept of one failure: the place, the message and what follows them.
const LINES: usize = 24;

/// How long the last output may take to arrive once the command has ended.
const REST: Duration = Duration::from_secs(5);

/// Longest line that is said again, in characters.
const WIDTH: usize = 400;

/// What test programs said.
#[derive(Default)]
pub(crate) struct Seen {
    /// Whether a program ended in the middle of its tests.
    crashed: bool,
    /// Names of tests that failed.
    pub(crate) failed: Vec<String>,
    /// What failed tests said, cut to [`LINES`] lines each.
    reports: Vec<Vec<String>>,
    /// Whether the lines that go by belong to the last report.
    inside: bool,
    /// Names of tests that passed.
    passed: Vec<String>,
    /// Cargo's words for programs with failed tests, such as `--test faults`.
    programs: Vec<String>,
}

impl Seen {
    /// Looks at one line of a test program (`---- name stdout ----` begins what a failed test printed, the list of failed names
    /// or a list of calls ends it) or of cargo (`error:` and what it quotes: programs that failed).
    fn see(&mut self, line: &str) {
        if let Some((name, result)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            match result {
                "FAILED" => self.failed.push(name.to_owned()),
                "ok" => self.passed.push(name.to_owned()),
                _ => {}
            }
        }
        self.crashed |= CRASHES.iter().any(|words| line.contains(words));
        let quoted = line.trim().strip_prefix("`-p ").and_then(|rest| rest.strip_suffix('`'));
        // Without the package: with it alone the libraries would have other features and be built once more.
        let program = quoted.and_then(|rest| rest.split_once(' ')).map(|(_, program)| program.to_owned());
        self.programs.extend(program.filter(|program| !self.programs.contains(program)));
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
        assert_eq!((seen.failed, seen.programs), (vec!["b".to_owned(), "c::d".into()], vec!["--test y".to_owned()]));
    }

    #[test]
    fn a_failure_that_prints_without_end_is_cut() {
        let output = format!("---- b stdout ----\n{}", "x\n".repeat(10 * LINES));
        assert_eq!(seen(&output).reports().first().map(|report| report.lines().count()), Some(LINES));
    }

    /// A program in cargo's place that says what a second run would.
    fn says(lines: &'static str) -> impl Fn() -> Command {
        move || {
            let mut shell = Command::new("sh");
            shell.args(["-c", "printf '%b' \"$0\"", lines]);
            shell
        }
    }

    #[test]
    fn only_tests_that_all_pass_alone_are_forgiven_and_never_many() {
        let first = seen(OUTPUT);
        assert!(second_try(&first, says("test b ... ok\\ntest c::d ... ok\\n")).unwrap());
        assert!(!second_try(&first, says("test b ... ok\\ntest c::d ... FAILED\\n")).unwrap());
        assert!(!second_try(&first, says("test b ... ok\\n")).unwrap(), "a test that did not run did not pass");
        let crashed = seen(&format!("{OUTPUT}\n  process didn't exit successfully: `y` (signal: 6)"));
        assert!(!second_try(&crashed, says("test b ... ok\\ntest c::d ... ok\\n")).unwrap());
        let many: String = (0..=SECOND_TRIES_MAX).map(|at| format!("test t{at} ... FAILED\n")).collect();
        let many = seen(&format!("{many}error: 1 target failed:\n    `-p x --lib`"));
        assert!(
            !second_try(&many, says("test t0 ... ok\\ntest t1 ... ok\\ntest t2 ... ok\\ntest t3 ... ok\\n")).unwrap()
        );
        let nameless = seen("error: could not compile `x`");
        assert!(!second_try(&nameless, says("")).unwrap());
    }
}
