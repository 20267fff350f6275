//! The plots of one run, as the text of SVG files: latency by percentile, and rate over time.

pub(crate) mod panel;

use std::io;

use hdrhistogram::Histogram;
use plotters::prelude::IntoLogRange;

use super::super::traffic::timeline::Point;
use super::figures::microseconds;
use panel::{Curve, Labels, draw, linear, logarithmic, max_x, panel};

const HEIGHT: u32 = 480;

/// The rarest percentile of the latency plot: one message in a million is slower.
const RAREST: f64 = 1e6;

/// Draws latency by percentile. Both axes are logarithmic: the x axis counts nines, so that the slowest hundredth of
/// the messages gets more than half of the width.
pub(crate) fn latency(title: &str, times: &[(&str, &Histogram<u64>)]) -> io::Result<String> {
    // A rarity of 10 is the 90th percentile: one message in ten is slower.
    let rarities = |count: u64| {
        let rarest = (count as f64).clamp(10.0, RAREST);
        (0..).map(|step| 10f64.powf(f64::from(step) / 20.0)).take_while(move |rarity| *rarity <= rarest)
    };
    let curve = |times: &Histogram<u64>| {
        rarities(times.len()).map(|rarity| (rarity, microseconds(times, 1.0 - 1.0 / rarity))).collect()
    };
    let curves: Vec<Curve<'_>> = times.iter().map(|(name, times)| (*name, curve(times))).collect();
    let labels = Labels {
        caption: None,
        x: "percentile of all messages (%)",
        y: "latency (µs)",
        x_ticks: |rarity| format!("{}", (1e6 * (1.0 - 1.0 / rarity)).round() / 1e4),
        are_points_marked: false,
    };
    draw(HEIGHT, title, &curves, |area| {
        panel(area, &labels, (1.0..max_x(&curves)).log_scale(), logarithmic(&curves).log_scale(), &curves)
    })
}

/// Draws answers per second over time, with a point for each tenth of a second.
pub(crate) fn rate(title: &str, runs: &[(&str, &[Point])]) -> io::Result<String> {
    let curve = |points: &[Point]| points.iter().map(|point| (point.at.as_secs_f64(), point.rate)).collect();
    let curves: Vec<Curve<'_>> = runs.iter().map(|(name, points)| (*name, curve(points))).collect();
    let labels = Labels {
        caption: None,
        x: "time since the load began (s)",
        y: "answers per second",
        x_ticks: |seconds| format!("{seconds:.1}"),
        are_points_marked: false,
    };
    draw(HEIGHT, title, &curves, |area| panel(area, &labels, 0.0..max_x(&curves), linear(&curves), &curves))
}
