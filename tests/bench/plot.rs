//! Plots as SVG: bars of a figure beside its baseline for each number of connections, in a small template of our own.

use std::fmt::Write as _;

/// Bars in groups.
pub(super) struct Bars<'a> {
    /// Over the plot.
    pub(super) title: &'a str,
    /// What the height means.
    pub(super) unit: &'a str,
    /// What each bar of a group is.
    pub(super) legend: &'a [&'a str],
    /// The groups: what stands below, and the heights.
    pub(super) groups: Vec<(String, Vec<f64>)>,
}

impl Bars<'_> {
    /// The picture. Every bar has its figure over it, so that nobody has to guess from a scale.
    pub(super) fn svg(&self) -> String {
        let highest = self.groups.iter().flat_map(|(_, heights)| heights).copied().fold(0.0, f64::max).max(1e-9);
        let bars = self.legend.len().max(1) as f64;
        let group = (WIDTH - 2.0 * EDGE) / self.groups.len().max(1) as f64;
        let bar = (group * 0.8 / bars).min(60.0);
        let floor = HEIGHT - 44.0;
        let tall = floor - 64.0;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\" role=\"img\">\n<title>{title}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             fill=\"#fff\"/>\n<text x=\"{EDGE}\" y=\"22\" font-size=\"15\">{title}, {unit}</text>\n",
            title = safe(self.title),
            unit = safe(self.unit),
        );
        for (place, name) in self.legend.iter().enumerate() {
            let x = EDGE + 150.0 * place as f64;
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"32\" width=\"11\" height=\"11\" fill=\"{}\"/><text x=\"{}\" y=\"42\">{}</text>",
                COLOURS[place % COLOURS.len()],
                x + 16.0,
                safe(name)
            );
        }
        for (number, (name, heights)) in self.groups.iter().enumerate() {
            let middle = EDGE + group * (number as f64 + 0.5);
            for (place, height) in heights.iter().enumerate() {
                let high = height / highest * tall;
                let x = middle + bar * (place as f64 - heights.len() as f64 / 2.0);
                let top = floor - high;
                let _ = writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{high:.1}\" fill=\"{}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"10\">{}</text>",
                    bar - 2.0,
                    COLOURS[place % COLOURS.len()],
                    x + bar / 2.0 - 1.0,
                    top - 4.0,
                    short(*height)
                );
            }
            let below = floor + 18.0;
            let _ =
                writeln!(out, "<text x=\"{middle:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{}</text>", safe(name));
        }
        let end = WIDTH - EDGE;
        let _ = writeln!(out, "<path d=\"M{EDGE} {floor}H{end}\" stroke=\"#333\"/>\n</svg>");
        out
    }
}

/// A figure in few signs.
fn short(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn safe(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const EDGE: f64 = 24.0;
const COLOURS: [&str; 4] = ["#9aa5b1", "#1f6f8b", "#c8553d", "#588157"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_and_name_is_in_the_picture() {
        let groups = vec![("1 & 2".to_owned(), vec![1.0, 20_000.0]), ("64".to_owned(), vec![150.0, 0.0])];
        let svg = Bars { title: "reveal", unit: "1/s", legend: &["bare", "vaultd"], groups }.svg();
        // The ground, two in the legend, four bars.
        assert_eq!(svg.matches("<rect").count(), 7);
        for text in ["1 &amp; 2", ">20k<", ">150<", ">1.00<", ">vaultd<", "</svg>"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn a_plot_of_nothing_is_a_picture_all_the_same() {
        let svg = Bars { title: "x", unit: "y", legend: &[], groups: Vec::new() }.svg();
        assert!(svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("inf"));
    }
}
