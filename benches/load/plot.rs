//! Plots, as SVG: the latency by percentile, and the rate over time.

use std::error::Error;
use std::io;
use std::path::Path;

use hdrhistogram::Histogram;
use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

use super::report::microseconds;
use super::run::Point;

const SIZE: (u32, u32) = (900, 480);
const FONT: &str = "sans-serif";

/// How many of the slowest are told apart: one in a million.
const RAREST: f64 = 1e6;

/// A name and its points.
pub(crate) type Curve<'a> = (&'a str, Vec<(f64, f64)>);
type Drawn = Result<(), Box<dyn Error>>;

/// Latency by percentile, both on a logarithmic scale: the right half is the slowest hundredth.
pub(crate) fn latency(path: &Path, title: &str, times: &[(&str, &Histogram<u64>)]) -> io::Result<()> {
    // One in how many is slower: 10 is the 90th percentile.
    let rarities = |count: u64| {
        let rarest = (count as f64).clamp(10.0, RAREST);
        (0..).map(|step| 10f64.powf(f64::from(step) / 20.0)).take_while(move |rarity| *rarity <= rarest)
    };
    let curve = |times: &Histogram<u64>| {
        rarities(times.len()).map(|rarity| (rarity, microseconds(times, 1.0 - 1.0 / rarity))).collect()
    };
    let curves: Vec<Curve<'_>> = times.iter().map(|(name, times)| (*name, curve(times))).collect();
    draw(path, |root| {
        let (right, top) = furthest(&curves);
        let bottom =
            curves.iter().filter_map(|(_, points)| points.first()).map(|point| point.1).fold(top, f64::min);
        let axes = ((1.0..right).log_scale(), (bottom.max(1.0)..top.max(10.0)).log_scale());
        let mut chart = chart(root, title).build_cartesian_2d(axes.0, axes.1)?;
        let percentile = |rarity: &f64| format!("{} %", (1e6 * (1.0 - 1.0 / rarity)).round() / 1e4);
        chart.configure_mesh().y_desc("us").x_label_formatter(&percentile).max_light_lines(0).draw()?;
        add(&mut chart, &curves)
    })
}

/// Answers a second, from tenth to tenth of a second.
pub(crate) fn rate(path: &Path, title: &str, runs: &[(&str, &[Point])]) -> io::Result<()> {
    let curve = |points: &[Point]| points.iter().map(|point| (point.at.as_secs_f64(), point.rate)).collect();
    let curves: Vec<Curve<'_>> = runs.iter().map(|(name, points)| (*name, curve(points))).collect();
    draw(path, |root| {
        let (right, top) = furthest(&curves);
        let mut chart = chart(root, title).build_cartesian_2d(0.0..right, 0.0..top * 1.1)?;
        let thousands = |rate: &f64| format!("{}k", rate / 1000.0);
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("s").y_desc("answers/s").y_label_formatter(&thousands).max_light_lines(0).draw()?;
        add(&mut chart, &curves)
    })
}

/// A quantity that grows with the number of connections: what it is, and a curve for each server.
pub(crate) type Growth<'a> = (&'a str, Vec<Curve<'a>>);

/// How quantities grow with the number of connections, one below the other.
pub(crate) fn growth(path: &Path, quantities: &[Growth<'_>]) -> io::Result<()> {
    let size = (SIZE.0, SIZE.1 * quantities.len() as u32 * 2 / 3);
    draw_sized(path, size, |root| {
        for (part, (quantity, curves)) in root.split_evenly((quantities.len(), 1)).iter().zip(quantities) {
            let (right, top) = furthest(curves);
            let bottom = curves.iter().flat_map(|(_, points)| points).map(|point| point.1).fold(top, f64::min);
            let axes = ((1.0..right).log_scale(), (bottom * 0.8..top * 1.25).log_scale());
            let mut chart = chart(part, quantity).build_cartesian_2d(axes.0, axes.1)?;
            let number = |number: &f64| format!("{number}");
            let mut mesh = chart.configure_mesh();
            mesh.x_label_formatter(&number).y_label_formatter(&number).max_light_lines(4).draw()?;
            add(&mut chart, curves)?;
        }
        Ok(())
    })
}

type Root<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(path: &Path, content: impl FnOnce(&Root<'_>) -> Drawn) -> io::Result<()> {
    draw_sized(path, SIZE, content)
}

fn draw_sized(path: &Path, size: (u32, u32), content: impl FnOnce(&Root<'_>) -> Drawn) -> io::Result<()> {
    let root = SVGBackend::new(path, size).into_drawing_area();
    let drawn = root.fill(&WHITE).map_err(Into::into).and_then(|()| content(&root));
    let drawn = drawn.and_then(|()| root.present().map_err(Into::into));
    drawn.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

fn chart<'a, 'b>(root: &'a Root<'b>, title: &str) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(root);
    chart.caption(title, (FONT, 18)).margin(12).x_label_area_size(40).y_label_area_size(70);
    chart
}

fn add<'a, X, Y>(chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>, curves: &[Curve<'_>]) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for (index, (name, points)) in curves.iter().enumerate() {
        let style = Palette99::pick(index).stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    Ok(())
}

/// The largest of each coordinate.
fn furthest(curves: &[Curve<'_>]) -> (f64, f64) {
    let points = curves.iter().flat_map(|(_, points)| points);
    points.fold((0.1, 0.1), |(right, top), (x, y)| (right.max(*x), top.max(*y)))
}
