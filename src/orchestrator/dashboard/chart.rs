//! Pictures of numbers, drawn here as SVG: shapes with classes alone, because no style may stand in a page.

use maud::{Markup, html};

use super::overview::Counts;
use crate::clock::rfc3339;

/// Payments of one part of the time.
pub(super) struct Bar(pub(super) Counts);

/// Bars of equal parts of a time that begins at `from_ms`, with approved below, declined above it and the rest on top.
pub(super) fn bars(bars: &[Bar], from_ms: i64, part_ms: i64) -> Markup {
    let total = |bar: &Bar| bar.0.approved + bar.0.declined + bar.0.other;
    let top = ceiling(bars.iter().map(total).max().unwrap_or(0));
    let count = u64::try_from(bars.len().max(1)).unwrap_or(1);
    let step = WIDTH / count;
    let height = |payments: u64| payments * HEIGHT / top.max(1);
    let all = Counts {
        approved: bars.iter().map(|bar| bar.0.approved).sum(),
        declined: bars.iter().map(|bar| bar.0.declined).sum(),
        other: bars.iter().map(|bar| bar.0.other).sum(),
    };
    let label_every = if part_ms > HOUR_MS { 4 } else { 3 };
    html! {
        div.scroll tabindex="0" role="group" aria-label="Chart" {
        svg.chart viewBox={ "0 0 " (WIDTH + LEFT) " " (HEIGHT + 40) } role="img" id="chart"
            aria-label={ "Bars: " (all.approved) " approved, " (all.declined) " declined, " (all.other) " open or given up" } {
            @for (line, value) in [(0, top), (1, top / 2), (2, 0)] {
                @let y = 10 + line * HEIGHT / 2;
                line.axis x1=(LEFT) x2=(WIDTH + LEFT) y1=(y) y2=(y) {}
                text x=(LEFT - 8) y=(y + 4) text-anchor="end" { (value) }
            }
            @for (place, bar) in (0u64..).zip(bars) {
                @let x = LEFT + place * step + 2;
                @let (good, bad, rest) = (height(bar.0.approved), height(bar.0.declined), height(bar.0.other));
                @let at_ms = from_ms + i64::try_from(place).unwrap_or(0) * part_ms;
                g {
                    title {
                        (label(at_ms, true)) " UTC: " (bar.0.approved) " approved, " (bar.0.declined) " declined, "
                        (bar.0.other) " open or given up"
                    }
                    (piece("approved", x, step - 4, 0, good))
                    (piece("declined", x, step - 4, good, bad))
                    (piece("other", x, step - 4, good + bad, rest))
                }
                @if place % label_every == 0 {
                    text x=(x) y=(HEIGHT + 28) { (label(at_ms, part_ms > HOUR_MS)) }
                }
            }
        }
        }
        ul.legend {
            @for (class, word, payments) in
                [("approved", "approved", all.approved), ("declined", "declined", all.declined), ("other", "open or given up", all.other)] {
                li {
                    svg width="10" height="10" aria-hidden="true" { rect class=(class) width="10" height="10" rx="2" {} }
                    (word) " " (payments)
                }
            }
        }
    }
}

/// A bar that is so many tenths of a percent full.
pub(super) fn meter(tenths: u64) -> Markup {
    html! {
        svg.meter viewBox="0 0 1000 66" preserveAspectRatio="none" aria-hidden="true" {
            rect.ground width="1000" height="66" rx="33" {}
            rect.level width=(tenths.min(1000)) height="66" rx="33" {}
        }
    }
}

fn piece(class: &str, x: u64, width: u64, below: u64, height: u64) -> Markup {
    html! {
        @if height > 0 {
            rect class=(class) x=(x) y=(10 + HEIGHT.saturating_sub(below + height)) width=(width) height=(height) {}
        }
    }
}

/// `13:00`, or `11-26 12:00`.
fn label(ms: i64, with_day: bool) -> String {
    let full = rfc3339(ms);
    full.get(if with_day { 5 } else { 11 }..16).unwrap_or_default().replace('T', " ")
}

/// A round number that is even and not below `payments`.
fn ceiling(payments: u64) -> u64 {
    let mut round = 1u64;
    loop {
        for factor in [2, 4, 10] {
            if payments <= factor * round {
                return factor * round;
            }
        }
        round = round.saturating_mul(10);
    }
}

const WIDTH: u64 = 1120;
const HEIGHT: u64 = 180;
const LEFT: u64 = 48;
const HOUR_MS: i64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_is_round_and_holds_the_highest_bar() {
        for (payments, expected) in [(0, 2), (2, 2), (3, 4), (5, 10), (11, 20), (999, 1000), (1001, 2000)] {
            assert_eq!(ceiling(payments), expected);
        }
    }

    #[test]
    fn picture_says_in_words_what_it_shows_and_has_no_style_of_its_own() {
        let all = [Bar(Counts { approved: 3, declined: 1, other: 0 }), Bar(Counts::default())];
        let svg = bars(&all, 1_700_000_000_000, HOUR_MS).into_string();
        assert!(svg.contains("Bars: 3 approved, 1 declined, 0 open or given up"), "{svg}");
        assert_eq!(svg.matches("<rect class=\"approved\" x=").count(), 1, "a bar without payments has no shape");
        assert!(!svg.contains("style="));
    }
}
