//! The samples as an SVG: memory above, times of each kind below, over the same minutes.

use std::fmt::Write as _;

use super::sample::{Kind, Sample};

/// One curve: its name, its colour, its points as second and figure.
struct Curve {
    name: String,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

/// Draws all samples.
pub(super) fn svg(samples: &[Sample]) -> String {
    let of = |name: &str, colour, figure: fn(&Sample) -> f64| Curve {
        name: name.to_owned(),
        colour,
        points: samples.iter().map(|sample| (sample.second, figure(sample))).collect(),
    };
    let memory = [
        of("vaultd", COLOURS[0], |sample| sample.vault_mib),
        of("orchestratord", COLOURS[1], |sample| sample.orchestrator_mib),
        of("write-ahead logs", COLOURS[2], |sample| sample.logs_mib),
    ];
    let times = |pick: fn(&(f64, f64, usize)) -> f64| {
        let curve = |(kind, colour): (Kind, &'static str)| Curve {
            name: format!("{kind:?}"),
            colour,
            points: samples.iter().filter_map(|sample| Some((sample.second, pick(sample.times.get(&kind)?)))).collect(),
        };
        Kind::ALL.into_iter().zip(COLOURS).map(curve).collect::<Vec<_>>()
    };
    let mut out = String::new();
    let height = 3 * (PANEL + GAP) + GAP;
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    );
    panel(&mut out, 0, "memory, MiB", &memory);
    panel(&mut out, 1, "median time, ms", &times(|times| times.0));
    panel(&mut out, 2, "p99 of the time, ms", &times(|times| times.1));
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, nth: u32, title: &str, curves: &[Curve]) {
    let top = f64::from(GAP + nth * (PANEL + GAP));
    let (left, width, panel) = (f64::from(LEFT), f64::from(WIDTH - LEFT - 20), f64::from(PANEL));
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let _ = writeln!(out, "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top - 8.0);
    for part in 0..=4 {
        let part = f64::from(part) / 4.0;
        let (x, y) = (left + width * part, top + panel * (1.0 - part));
        let _ = writeln!(
            out,
            "<path d=\"M{left:.0} {y:.1}h{width:.0}\" stroke=\"#ddd\"/>\n\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}</text>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.1} min</text>",
            left - 6.0,
            y + 4.0,
            most * part,
            top + panel + 16.0,
            last * part / 60.0
        );
    }
    for (nth, curve) in (0u32..).zip(curves) {
        let line: String = curve
            .points
            .iter()
            .map(|(second, figure)| {
                format!("{:.1},{:.1} ", left + width * second / last, top + panel * (1.0 - figure / most))
            })
            .collect();
        let (colour, name) = (curve.colour, &curve.name);
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" fill=\"{colour}\">{name}</text>",
            line.trim_end(),
            left + 140.0 + 150.0 * f64::from(nth),
            top - 8.0
        );
    }
}

const COLOURS: [&str; 4] = ["#0b6e99", "#d9730d", "#6b8e23", "#8e44ad"];
const WIDTH: u32 = 900;
const LEFT: u32 = 60;
const PANEL: u32 = 180;
const GAP: u32 = 44;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_a_point_of_every_curve() {
        let sample = |second: f64| Sample {
            second,
            vault_mib: 50.0,
            orchestrator_mib: 20.0,
            vault_files: None,
            logs_mib: 4.0,
            times: Kind::ALL.iter().map(|kind| (*kind, (1.0, 2.0, 3))).collect(),
        };
        let drawn = svg(&[sample(1.0), sample(2.0), sample(3.0)]);
        let curves: Vec<&str> = drawn.lines().filter(|line| line.starts_with("<polyline")).collect();
        assert_eq!(curves.len(), 3 + 2 * Kind::ALL.len());
        assert!(curves.iter().all(|curve| curve.matches(',').count() == 3), "{drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
    }
}
