//! The drawing: latency by percentile, and what happened over time.

use std::fmt::Write as _;

use super::report::{Latency, Report, Timeline};

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 620.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 790.0;
const LINE: &str = "#2563eb";

/// A panel's place and what its axes run over.
struct Panel {
    top: f64,
    bottom: f64,
    across: (f64, f64),
    up: (f64, f64),
}

impl Panel {
    fn x(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * share(value, self.across)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * share(value, self.up)
    }
}

fn share(value: f64, (from, to): (f64, f64)) -> f64 {
    if to > from { ((value - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 }
}

/// Draws both panels as one SVG.
pub(crate) fn svg(report: &Report) -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    label(&mut text, LEFT, 24.0, "start", &format!("{} — {}", report.scenario, report.at));
    if let Some(latency) = &report.latency {
        draw_latency(&mut text, latency);
    }
    if let Some(timeline) = &report.timeline {
        draw_timeline(&mut text, timeline);
    }
    text.push_str("</svg>\n");
    text
}

/// Both axes are logarithmic: each nine of the percentile and each tenfold time has the same room.
fn draw_latency(text: &mut String, latency: &Latency) {
    let points: Vec<(f64, f64)> =
        latency.curve.iter().map(|(percentile, ms)| (nines(*percentile), ms.max(0.001).log10())).collect();
    let last = points.last().map_or(1.0, |point| point.0).max(1.0);
    let lowest = points.first().map_or(0.0, |point| point.1).floor();
    let highest = points.last().map_or(1.0, |point| point.1).ceil().max(lowest + 1.0);
    let panel = Panel { top: 60.0, bottom: 290.0, across: (0.0, last), up: (lowest, highest) };
    label(text, LEFT, 48.0, "start", &format!("{} in ms by percentile", latency.of));
    let mut power = lowest;
    while power <= highest {
        rule(text, &panel, power, &tidy(10_f64.powf(power)));
        power += 1.0;
    }
    for percentile in [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999] {
        if nines(percentile) <= last {
            tick(text, &panel, nines(percentile), &format!("{percentile}"));
        }
    }
    line(text, &panel, &points);
}

fn draw_timeline(text: &mut String, timeline: &Timeline) {
    let column = timeline.column_ms as f64 / 1_000.0;
    let rate = |count: u64| count as f64 / column;
    let points: Vec<(f64, f64)> = timeline
        .counts
        .iter()
        .enumerate()
        .map(|(index, count)| (index as f64 * column, rate(*count)))
        .collect();
    let end = points.last().map_or(column, |point| point.0).max(column);
    let highest = points.iter().map(|point| point.1).fold(1.0, f64::max);
    let panel = Panel { top: 350.0, bottom: 580.0, across: (0.0, end), up: (0.0, highest) };
    label(text, LEFT, 338.0, "start", &format!("{} a second, over seconds", timeline.of));
    for quarter in 0..=4 {
        let value = highest * f64::from(quarter) / 4.0;
        rule(text, &panel, value, &tidy(value));
    }
    for part in 0..=10 {
        let second = end * f64::from(part) / 10.0;
        tick(text, &panel, second, &format!("{second:.1}"));
    }
    line(text, &panel, &points);
}

/// 0 for 0 %, 1 for 90 %, 2 for 99 %.
fn nines(percentile: f64) -> f64 {
    -(1.0 - percentile.min(99.999_99) / 100.0).log10()
}

fn rule(text: &mut String, panel: &Panel, value: f64, name: &str) {
    let y = panel.y(value);
    let _ = writeln!(text, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#d4d4d8\" fill=\"none\"/>");
    label(text, LEFT - 8.0, y + 4.0, "end", name);
}

fn tick(text: &mut String, panel: &Panel, value: f64, name: &str) {
    let (x, bottom) = (panel.x(value), panel.bottom);
    let _ = writeln!(text, "<path d=\"M{x:.1} {bottom}v5\" stroke=\"#71717a\" fill=\"none\"/>");
    label(text, x, bottom + 18.0, "middle", name);
}

fn line(text: &mut String, panel: &Panel, points: &[(f64, f64)]) {
    let drawn: Vec<String> =
        points.iter().map(|(x, y)| format!("{:.1},{:.1}", panel.x(*x), panel.y(*y))).collect();
    let _ = writeln!(
        text,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{LINE}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>",
        drawn.join(" ")
    );
}

fn label(text: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let escaped = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        text,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#27272a\">{escaped}</text>"
    );
}

fn tidy(value: f64) -> String {
    match value {
        value if value >= 1_000_000.0 => format!("{:.1}M", value / 1_000_000.0),
        value if value >= 10_000.0 => format!("{:.0}k", value / 1_000.0),
        value if value >= 1.0 || value == 0.0 => format!("{value:.0}"),
        value => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn both_panels_are_drawn_inside_the_frame_and_text_is_escaped() {
        let drawn = svg(&sample());
        assert_eq!(drawn.matches("<polyline").count(), 2);
        assert_eq!(drawn.matches("<text").count(), drawn.matches("</text>").count());
        assert!(
            drawn.contains("fanout &lt;&amp;&gt;") && !drawn.contains("NaN") && !drawn.contains("inf"),
            "{drawn}"
        );
        let lists = drawn.split("points=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for point in lists.flat_map(str::split_whitespace) {
            let inside = point.split_once(',').is_some_and(|(x, y)| {
                let within = |text: &str, most: f64| {
                    text.parse().is_ok_and(|value: f64| (0.0..=most).contains(&value))
                };
                within(x, WIDTH) && within(y, HEIGHT)
            });
            assert!(inside, "{point}");
        }
    }

    #[test]
    fn a_report_without_samples_is_an_empty_drawing() {
        let drawn = svg(&Report::default());
        assert!(drawn.starts_with("<svg") && drawn.ends_with("</svg>\n") && !drawn.contains("polyline"));
        let mut empty = Report::default();
        empty.timeline("deliveries", Vec::new());
        assert!(!svg(&empty).contains("NaN"));
    }
}
