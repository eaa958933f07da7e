//! The figures of each second of the last minutes, so that a chart has a past at once.

use std::collections::VecDeque;

use serde_json::{Value, json};

/// Seconds that are kept.
const POINTS: usize = 300;

/// The figures of a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) at_ms: u64,
    pub(crate) connections: usize,
    pub(crate) published: f64,
    pub(crate) delivered: f64,
    pub(crate) bytes: f64,
    /// Percentiles of the publications measured in this second.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) resident: u64,
    pub(crate) buffered: u64,
}

/// The last points, the oldest first; a point takes about a hundred bytes.
#[derive(Debug, Default)]
pub(crate) struct Points(VecDeque<Point>);

impl Points {
    /// Adds the newest; the oldest makes room.
    pub(crate) fn push(&mut self, point: Point) {
        if self.0.len() >= POINTS {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// The newest so many, the oldest of them first.
    pub(crate) fn newest(&self, seconds: usize) -> Vec<Point> {
        self.0.iter().skip(self.0.len().saturating_sub(seconds)).copied().collect()
    }

    /// As they are answered: what stands in each row, and the rows.
    pub(crate) fn shown(&self) -> Value {
        let row = |point: &Point| {
            let Point { at_ms, connections, published, delivered, bytes, .. } = point;
            let Point { p50_ms, p95_ms, p99_ms, resident, buffered, .. } = point;
            let tenth = |value: &f64| (value * 10.0).round() / 10.0;
            let (published, delivered, bytes) = (tenth(published), tenth(delivered), bytes.round());
            json!([
                at_ms,
                connections,
                published,
                delivered,
                bytes,
                p50_ms,
                p95_ms,
                p99_ms,
                resident,
                buffered
            ])
        };
        json!({
            "everyMs": 1_000,
            "fields": [
                "at", "connections", "published", "delivered", "bytes", "p50", "p95", "p99", "resident", "buffered"
            ],
            "points": self.0.iter().map(row).collect::<Vec<_>>(),
        })
    }
}
