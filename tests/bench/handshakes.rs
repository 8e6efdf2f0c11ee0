//! Full handshakes: a new connection, both certificates and the same key exchange for each request.

use super::report::{Report, Row};
use super::run::Stage;
use crate::harness::Result;

/// Adds its figures to the report. The bench's own generator makes them, because others resume sessions.
///
/// # Errors
/// When a handshake fails.
pub(super) fn measure(stage: &mut Stage, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    tell("full handshakes");
    let (bare, vault) = ((stage.bare.at, stage.bare.process()), stage.release());
    let below = stage.client.handshakes(bare, LINES)?;
    let above = stage.client.handshakes(vault, LINES)?;
    let (figure, baseline) = (above.measured.per_second, below.measured.per_second);
    report.rows.push(Row::beside("full handshakes".to_owned(), figure, "1/s", baseline, RATIO));
    let name = "full handshakes, processor time of the server".to_owned();
    report.rows.push(Row::compared(name, above.server_us, "us", below.server_us));
    Ok(())
}

const LINES: usize = 16;
const RATIO: f64 = 0.95;
