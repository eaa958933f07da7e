//! The result of a run: on the terminal, as JSON, as Markdown, and drawn.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::plot;
use super::tally::{COLUMN, Latencies};

/// What a run found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// When the run ended.
    pub(crate) at: String,
    /// The command line in full, tokens left out.
    pub(crate) settings: Vec<(String, String)>,
    /// The figures, the most important first.
    pub(crate) figures: Vec<Figure>,
    /// What the latencies are of, and what they are.
    pub(crate) latency: Option<Latency>,
    /// What the timeline counts, and the counts.
    pub(crate) timeline: Option<Timeline>,
    /// What must not happen and did; empty is good.
    pub(crate) problems: Vec<String>,
    /// What to know when reading the figures.
    pub(crate) remarks: Vec<String>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// Latencies in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) of: &'static str,
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    /// Percentile and milliseconds, denser towards 100.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// Counts over time.
#[derive(Debug, Serialize)]
pub(crate) struct Timeline {
    pub(crate) of: &'static str,
    pub(crate) column_ms: u64,
    pub(crate) counts: Vec<u64>,
}

impl Report {
    /// Adds a figure; one that is not a number (nothing was measured) is left out.
    pub(crate) fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        if value.is_finite() {
            self.figures.push(Figure { name, value, unit });
        }
    }

    /// Adds the latencies, if there are any.
    pub(crate) fn latencies(&mut self, of: &'static str, found: &Latencies) {
        if !found.is_empty() {
            self.latency = Some(Latency::of(of, found));
        }
    }

    /// Adds counts per tenth of a second.
    pub(crate) fn timeline(&mut self, of: &'static str, counts: Vec<u64>) {
        self.timeline = Some(Timeline { of, column_ms: COLUMN / 1_000_000, counts });
    }

    /// Adds a problem if there is one.
    pub(crate) fn problem(&mut self, there_is: bool, sentence: impl FnOnce() -> String) {
        if there_is {
            self.problems.push(sentence());
        }
    }

    /// Writes `report.json`, `report.md` and, if there is something to draw, `plot.svg`.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        let put = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        put("report.json", &serde_json::to_string_pretty(self)?)?;
        if self.is_drawn() {
            put("plot.svg", &plot::svg(self))?;
        }
        put("report.md", &self.markdown())
    }

    fn is_drawn(&self) -> bool {
        self.latency.is_some() || self.timeline.is_some()
    }

    /// The report as Markdown, with the drawing beside it.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n\n| figure | value |\n|---|---|\n", self.scenario, self.at);
        for figure in &self.figures {
            let _ = writeln!(text, "| {} | {} {} |", figure.name, rounded(figure.value), figure.unit);
        }
        if let Some(latency) = &self.latency {
            let _ = write!(
                text,
                "\n| {}, ms | p50 | p90 | p99 | p99.9 | max |\n|---|---|---|---|---|---|\n",
                latency.of
            );
            let cells = latency.cells().map(rounded);
            let _ = writeln!(text, "| {} | {} |", latency.count, cells.join(" | "));
        }
        for problem in &self.problems {
            let _ = write!(text, "\n**{problem}**\n");
        }
        for remark in &self.remarks {
            let _ = write!(text, "\n{remark}\n");
        }
        if self.is_drawn() {
            text.push_str("\n![latency and timeline](plot.svg)\n");
        }
        text.push_str("\n| setting | value |\n|---|---|\n");
        for (name, value) in &self.settings {
            let _ = writeln!(text, "| {name} | {value} |");
        }
        text
    }

    /// The report for the terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.scenario);
        for figure in &self.figures {
            let _ = writeln!(text, "  {:<34} {:>12} {}", figure.name, rounded(figure.value), figure.unit);
        }
        if let Some(latency) = &self.latency {
            let [p50, p90, p99, p999, max] = latency.cells().map(rounded);
            let _ = writeln!(
                text,
                "  {}: p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {max} ms ({} measured)",
                latency.of, latency.count
            );
        }
        for problem in &self.problems {
            let _ = writeln!(text, "  ! {problem}");
        }
        for remark in &self.remarks {
            let _ = writeln!(text, "  note: {remark}");
        }
        text
    }
}

impl Latency {
    fn of(of: &'static str, found: &Latencies) -> Self {
        let at = |percentile: f64| milliseconds(found.value_at_percentile(percentile));
        let curve = percentiles(found.len()).map(|percentile| (percentile, at(percentile))).collect();
        Self {
            of,
            count: found.len(),
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: milliseconds(found.max()),
            curve,
        }
    }

    fn cells(&self) -> [f64; 5] {
        [self.p50, self.p90, self.p99, self.p999, self.max]
    }
}

/// From 0 towards 100 in equal steps of nines, as far as `count` samples can tell.
fn percentiles(count: u64) -> impl Iterator<Item = f64> {
    let nines = (count as f64).log10().clamp(0.1, 6.0);
    (0..=100).map(move |step| 100.0 - 100.0 * 10_f64.powf(-nines * f64::from(step) / 100.0))
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000.0
}

/// Three digits that count, and whole numbers in full.
fn rounded(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.3}"),
        _ => format!("{value:.6}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::bench::tally::latencies;

    pub(crate) fn sample() -> Report {
        let mut found = latencies().unwrap();
        (1..=10_000).for_each(|value| found.record(value).unwrap());
        let mut report = Report { scenario: "fanout <&>".into(), at: "now".into(), ..Report::default() };
        report.figure("deliveries", 123_456.7, "a second");
        report.figure("nothing measured", f64::NAN, "s");
        report.latencies("delivery", &found);
        report.timeline("deliveries", vec![0, 5, 10, 7]);
        report.problem(true, || "3 deliveries were lost".into());
        report
    }

    #[test]
    fn percentiles_are_those_of_the_samples() {
        let latency = sample().latency.unwrap();
        assert!((latency.p50 - 5.0).abs() < 0.01 && (latency.p99 - 9.9).abs() < 0.01, "{latency:?}");
        assert!((latency.max - 10.0).abs() < 0.01);
        assert!(latency.curve.is_sorted() && latency.curve.len() == 101);
        assert_eq!(latency.curve[0].0, 0.0);
        assert!(latency.curve[100].0 < 100.0);
    }

    #[test]
    fn the_report_names_figures_percentiles_and_problems() {
        for text in [sample().markdown(), sample().text()] {
            assert!(text.contains("deliveries") && text.contains("123457"), "{text}");
            assert!(text.contains("3 deliveries were lost") && !text.contains("nothing measured"), "{text}");
            assert!(text.contains("9.90"), "{text}");
        }
    }

    #[test]
    fn figures_keep_three_digits_that_count() {
        let shown = [0.0, 5.0, 0.01234, 1.234, 12.34, 1_234.5].map(rounded);
        assert_eq!(shown, ["0", "5", "0.012", "1.23", "12.3", "1234"]);
    }
}
