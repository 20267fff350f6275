//! What all plots have in common: the frame with its legend, and panels with axes and curves.
//!
//! Each plot has a white background of its own, so that it can also be read on a dark page, and its legend is in
//! a strip above the plotting area, where it covers no data.

use std::error::Error;
use std::io;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::figures::thousands;

const WIDTH: u32 = 900;

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

const GRID: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);

/// A name and its points.
pub(crate) type Curve<'a> = (&'a str, Vec<(f64, f64)>);

/// What is written around the plotting area of one panel.
pub(crate) struct Labels<'a> {
    pub(crate) caption: Option<&'a str>,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// Formats the tick labels of the x axis.
    pub(crate) x_ticks: fn(&f64) -> String,
    /// Marks each point, for curves with few of them.
    pub(crate) are_points_marked: bool,
}

pub(crate) type Drawn = Result<(), Box<dyn Error>>;
pub(crate) type Root<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a background, a title, a legend of `curves`, and below them what `content` draws.
pub(crate) fn draw(
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
pub(crate) fn panel<X, Y>(area: &Root<'_>, labels: &Labels<'_>, x: X, y: Y, curves: &[Curve<'_>]) -> Drawn
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

/// Colours of other curves: those that stand out most from white and from each other.
const OTHER: [usize; 3] = [2, 5, 4];

/// Returns the colour of a server, or one by `index` for other names.
fn colour(index: usize, name: &str) -> RGBColor {
    let named = COLOURS.iter().find(|(known, _)| *known == name);
    named.unwrap_or(&COLOURS[OTHER[index % OTHER.len()]]).1
}

/// Returns the largest x of all points.
pub(crate) fn max_x(curves: &[Curve<'_>]) -> f64 {
    points(curves).map(|point| point.0).fold(0.1, f64::max)
}

/// Returns a range from zero to somewhat above all points.
pub(crate) fn linear(curves: &[Curve<'_>]) -> Range<f64> {
    0.0..points(curves).map(|point| point.1).fold(0.1, f64::max) * 1.1
}

/// Returns a range around all points that has at least two powers of ten.
pub(crate) fn logarithmic(curves: &[Curve<'_>]) -> Range<f64> {
    let top = points(curves).map(|point| point.1).fold(10.0, f64::max);
    let bottom = points(curves).map(|point| point.1).fold(top, f64::min).max(1.0);
    let (below, above) = (10f64.powf(bottom.log10().floor()), 10f64.powf(top.log10().ceil()));
    if above / below > 100.0 { bottom * 0.8..top * 1.25 } else { below..above * 1.001 }
}

fn points<'a>(curves: &'a [Curve<'_>]) -> impl Iterator<Item = &'a (f64, f64)> {
    curves.iter().flat_map(|(_, points)| points)
}
