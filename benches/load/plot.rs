//! Plots, as the text of SVG files: latency by percentile, rate over time, and what grows with the number of connections.
//!
//! Each plot has a white background of its own, so that it can also be read on a dark page, and its legend is in
//! a strip above the plotting area, where it covers no data.

use std::error::Error;
use std::io;
use std::ops::Range;

use hdrhistogram::Histogram;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::comparison::{Below, Cell};
use super::figures::{median, microseconds, thousands};
use super::run::Point;

const WIDTH: u32 = 900;
/// Height of a plot with one panel, and of each panel of a plot with several.
const HEIGHT: u32 = 480;
const PANEL_HEIGHT: u32 = 300;

const FONT: &str = "sans-serif";
/// Font sizes as plotters counts them: 1.24 times the size in pixels.
const TITLE: u32 = 21;
const CAPTION: u32 = 18;
const LABEL: u32 = 16;

/// Width of the strip to the left of the plotting area: tick labels up to `1,000,000` and a rotated description.
const LEFT: u32 = 100;
/// Right margin: half of the last tick label of the x axis.
const RIGHT: u32 = 40;
const LEGEND_HEIGHT: u32 = 34;
const LEGEND_SLOT: u32 = 155;

/// Colours that people with any kind of colour vision tell apart (Okabe and Ito), one for each server that is drawn,
/// so that a server has the same colour in every plot.
const COLOURS: [(&str, RGBColor); 7] = [
    ("bare", RGBColor(0x55, 0x55, 0x55)),
    ("c", RGBColor(0x56, 0xb4, 0xe9)),
    ("hebra", RGBColor(0x00, 0x72, 0xb2)),
    ("hebra quiet", RGBColor(0x00, 0x9e, 0x73)),
    ("hebra polling", RGBColor(0xcc, 0x79, 0xa7)),
    ("tokio", RGBColor(0xd5, 0x5e, 0x00)),
    ("python", RGBColor(0xe6, 0x9f, 0x00)),
];

/// The servers in the plot of response times below saturation.
const BELOW: [&str; 4] = ["bare", "c", "hebra", "tokio"];

const GRID: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);

/// The rarest percentile of the latency plot: one message in a million is slower.
const RAREST: f64 = 1e6;

/// A name and its points.
pub(crate) type Curve<'a> = (&'a str, Vec<(f64, f64)>);

/// A quantity that depends on the number of connections, with a curve for each server.
pub(crate) struct Growth<'a> {
    /// The caption of its panel.
    pub(crate) name: &'a str,
    /// The description of its y axis, with the unit.
    pub(crate) axis: &'a str,
    pub(crate) scale: Scale,
    pub(crate) curves: Vec<Curve<'a>>,
}

/// The scale of a y axis.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    Logarithmic,
}

/// What is written around the plotting area of one panel.
struct Labels<'a> {
    caption: Option<&'a str>,
    x: &'a str,
    y: &'a str,
    /// Formats the tick labels of the x axis.
    x_ticks: fn(&f64) -> String,
    /// Marks each point, for curves with few of them.
    are_points_marked: bool,
}

type Drawn = Result<(), Box<dyn Error>>;
type Root<'a> = DrawingArea<SVGBackend<'a>, Shift>;

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

/// Draws quantities against the number of connections, one panel below the other.
pub(crate) fn growth(title: &str, quantities: &[Growth<'_>]) -> io::Result<String> {
    let legend = quantities.first().map_or(&[][..], |quantity| &quantity.curves);
    draw(PANEL_HEIGHT * quantities.len() as u32, title, legend, |area| {
        for (part, quantity) in area.split_evenly((quantities.len(), 1)).iter().zip(quantities) {
            let Growth { name, axis, scale, curves } = quantity;
            let labels = Labels {
                caption: Some(name),
                x: "connections",
                y: axis,
                x_ticks: |count| thousands(*count),
                are_points_marked: true,
            };
            // Up to a whole decade, whose tick label then stands at the right end.
            let connections = 1.0..10f64.powf(max_x(curves).log10().ceil()) * 1.001;
            match scale {
                Scale::Linear => panel(part, &labels, connections.log_scale(), linear(curves), curves)?,
                Scale::Logarithmic => {
                    panel(part, &labels, connections.log_scale(), logarithmic(curves).log_scale(), curves)?;
                }
            }
        }
        Ok(())
    })
}

/// Draws the 99th percentile and the processor time of a message by the share of the reference's rate, with a row of
/// panels for each number of connections.
pub(crate) fn below_saturation(all: &[Below<'_>]) -> io::Result<String> {
    fn curves<'a>(below: &Below<'a>, figures: fn(&Cell) -> &Vec<f64>) -> Vec<Curve<'a>> {
        let point = |(share, cell): &(f64, &Cell)| (*share, median(figures(cell)));
        let drawn = below.servers.iter().filter(|(name, _)| BELOW.contains(name));
        drawn.map(|(name, series)| (*name, series.iter().map(point).collect())).collect()
    }
    let panels: Vec<[(String, &str, Vec<Curve<'_>>); 2]> = all
        .iter()
        .map(|below| {
            let connections = thousands(below.connections as f64);
            [
                (format!("{connections} connections: 99th percentile"), "µs", curves(below, |cell| &cell.p99_us)),
                (
                    format!("{connections} connections: processor time"),
                    "µs a message",
                    curves(below, |cell| &cell.cpu_us),
                ),
            ]
        })
        .collect();
    // The panels of a column have one scale, so that they can be compared.
    let column = |number: usize| panels.iter().flat_map(|row| row[number].2.iter().cloned()).collect::<Vec<_>>();
    // Close to saturation a response time is hundreds of times as long.
    let (times, costs) = (logarithmic(&column(0)), linear(&column(1)));
    let legend = panels.first().map_or(&[][..], |row| &row[0].2);
    let title = "Below saturation: what a message costs (512 B, open loop)";
    draw(PANEL_HEIGHT * panels.len() as u32, title, legend, |area| {
        let parts = area.split_evenly((panels.len(), 2));
        for (index, (caption, axis, curves)) in panels.iter().flatten().enumerate() {
            let labels = Labels {
                caption: Some(caption),
                x: "rate, in percent of what the bare loop reaches",
                y: axis,
                x_ticks: |share| format!("{share:.0}"),
                are_points_marked: true,
            };
            match index % 2 {
                0 => panel(&parts[index], &labels, 0.0..100.0, times.clone().log_scale(), curves)?,
                _ => panel(&parts[index], &labels, 0.0..100.0, costs.clone(), curves)?,
            }
        }
        Ok(())
    })
}

/// Draws a background, a title, a legend of `curves`, and below them what `content` draws.
fn draw(
    height: u32,
    title: &str,
    curves: &[Curve<'_>],
    content: impl FnOnce(&Root<'_>) -> Drawn,
) -> io::Result<String> {
    let mut svg = String::new();
    let drawn = || {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let (_, below) = root.split_vertically(8);
        let (top, rest) = below.titled(title, (FONT, TITLE))?.split_vertically(LEGEND_HEIGHT);
        legend(&top, curves)?;
        content(&rest)?;
        root.present()?;
        Ok(())
    };
    drawn().map_err(|error: Box<dyn Error>| io::Error::other(error.to_string()))?;
    Ok(svg)
}

/// Draws the names in one row, which begins above the left end of the plotting area.
fn legend(area: &Root<'_>, curves: &[Curve<'_>]) -> Drawn {
    let middle = LEGEND_HEIGHT as i32 / 2;
    let text = (FONT, LABEL).into_text_style(area).pos(Pos::new(HPos::Left, VPos::Center));
    for (index, (name, _)) in curves.iter().enumerate() {
        let x = (LEFT + index as u32 * LEGEND_SLOT) as i32;
        let line = colour(index, name).stroke_width(3);
        area.draw(&PathElement::new([(x, middle), (x + 24, middle)], line))?;
        area.draw(&Text::new(*name, (x + 32, middle), text.clone()))?;
    }
    Ok(())
}

/// Draws one pair of axes and the curves between them.
fn panel<X, Y>(area: &Root<'_>, labels: &Labels<'_>, x: X, y: Y, curves: &[Curve<'_>]) -> Drawn
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area);
    chart.margin_top(6).margin_bottom(12).margin_left(10).margin_right(RIGHT);
    chart.x_label_area_size(52).y_label_area_size(LEFT - 10);
    if let Some(caption) = labels.caption {
        chart.caption(caption, (FONT, CAPTION));
    }
    let mut chart = chart.build_cartesian_2d(x, y)?;
    let y_ticks = |number: &f64| thousands(*number);
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(labels.x).y_desc(labels.y).axis_desc_style((FONT, LABEL)).label_style((FONT, LABEL));
    mesh.x_label_formatter(&labels.x_ticks).y_label_formatter(&y_ticks).x_labels(7).y_labels(7);
    mesh.bold_line_style(GRID).max_light_lines(0).draw()?;
    for (index, (name, points)) in curves.iter().enumerate() {
        let colour = colour(index, name);
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        if labels.are_points_marked {
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        }
    }
    Ok(())
}

/// Returns the colour of a server, or one by `index` for other names.
fn colour(index: usize, name: &str) -> RGBColor {
    let named = COLOURS.iter().find(|(known, _)| *known == name);
    named.unwrap_or(&COLOURS[(index + 1) % COLOURS.len()]).1
}

/// Returns the largest x of all points.
fn max_x(curves: &[Curve<'_>]) -> f64 {
    points(curves).map(|point| point.0).fold(0.1, f64::max)
}

/// Returns a range from zero to somewhat above all points.
fn linear(curves: &[Curve<'_>]) -> Range<f64> {
    0.0..points(curves).map(|point| point.1).fold(0.1, f64::max) * 1.1
}

/// Returns a range around all points that has at least two powers of ten.
fn logarithmic(curves: &[Curve<'_>]) -> Range<f64> {
    let top = points(curves).map(|point| point.1).fold(10.0, f64::max);
    let bottom = points(curves).map(|point| point.1).fold(top, f64::min).max(1.0);
    let (below, above) = (10f64.powf(bottom.log10().floor()), 10f64.powf(top.log10().ceil()));
    if above / below > 100.0 { bottom * 0.8..top * 1.25 } else { below..above * 1.001 }
}

fn points<'a>(curves: &'a [Curve<'_>]) -> impl Iterator<Item = &'a (f64, f64)> {
    curves.iter().flat_map(|(_, points)| points)
}
