//! One chart of the report: a figure with a legend above the curves, and a table of the values below them.
//!
//! The curves are stretched to the width of the page; texts and lines are not. The script reads positions and texts
//! from the table, so what it shows is what the table says.

use std::fmt::{Result, Write};

use super::axis::Axis;
use super::escape;

/// Width of the curves in units of their own.
const WIDTH: f64 = 1000.0;

/// A chart with all that is written at it.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// What the title does not say, such as the unit.
    pub(super) about: &'a str,
    /// What the rows are, as the head of their column.
    pub(super) rows: &'a str,
    /// Charts with the same name have the same x axis, and their cursors move together.
    pub(super) group: &'a str,
    /// Height of the plotting area in pixels.
    pub(super) height: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// For each row its place on the x axis and its label.
    pub(super) at: Vec<(f64, String)>,
    pub(super) curves: Vec<Curve<'a>>,
    /// A horizontal line with its name.
    pub(super) line: Option<(f64, String)>,
    /// Up to here on the x axis it was the warm-up.
    pub(super) warmup: f64,
    /// Formats a value in the table.
    pub(super) format: fn(f64) -> String,
}

/// A name, and a value for each row.
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    pub(super) values: Vec<Option<f64>>,
}

impl Chart<'_> {
    /// Appends the figure.
    pub(super) fn write(&self, html: &mut String) -> Result {
        let Self { title, about, group, height, .. } = self;
        let title = escape(title);
        writeln!(
            html,
            "<figure data-group=\"{group}\">\n<figcaption><h2>{title} <span>{}</span></h2>",
            escape(about)
        )?;
        write!(html, "<p class=\"legend\">")?;
        for (index, curve) in self.curves.iter().enumerate() {
            write!(html, "<span class=\"key c{index}\"><i></i>{} <b></b></span> ", escape(curve.name))?;
        }
        if let Some((_, name)) = &self.line {
            write!(html, "<span class=\"key asked\"><i></i>{}</span> ", escape(name))?;
        }
        writeln!(html, "<span class=\"at\"></span></p></figcaption>")?;
        writeln!(
            html,
            "<div class=\"plot\" tabindex=\"0\" role=\"group\" aria-label=\"{title}: a table of the values follows\">"
        )?;
        writeln!(html, "<svg width=\"100%\" height=\"{height}\" aria-hidden=\"true\">")?;
        self.write_frame(html)?;
        self.write_curves(html)?;
        write!(html, "<g class=\"cursor\"><line y2=\"{height}\"/>")?;
        for index in 0..self.curves.len() {
            write!(html, "<circle class=\"c{index}\" r=\"4\"/>")?;
        }
        writeln!(html, "</g>\n</svg>\n</div>")?;
        self.write_table(html)?;
        writeln!(html, "</figure>")
    }

    /// Appends the grid, the labels of both axes, and what is behind the curves.
    fn write_frame(&self, html: &mut String) -> Result {
        let (height, percent) = (self.height, |value| 100.0 * self.x.share(value));
        if self.warmup > 0.0 {
            let end = percent(self.warmup);
            writeln!(html, "<rect class=\"warmup\" width=\"{end:.2}%\" height=\"{height}\"/>")?;
            writeln!(html, "<text class=\"quiet\" x=\"4\" y=\"13\">warm-up</text>")?;
        }
        for (value, label) in &self.y.ticks {
            let y = self.y(*value);
            writeln!(html, "<line class=\"grid\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
            writeln!(html, "<text class=\"y\" x=\"-8\" y=\"{:.1}\">{}</text>", y + 4.0, escape(label))?;
        }
        for (value, label) in &self.x.ticks {
            let x = percent(*value);
            writeln!(
                html,
                "<line class=\"tick\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"{height}\" y2=\"{}\"/>",
                height + 5.0
            )?;
            writeln!(html, "<text class=\"x\" x=\"{x:.2}%\" y=\"{}\">{}</text>", height + 19.0, escape(label))?;
        }
        if let Some((value, _)) = self.line {
            let y = self.y(value);
            writeln!(html, "<line class=\"asked\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
        }
        Ok(())
    }

    fn write_curves(&self, html: &mut String) -> Result {
        let height = self.height;
        writeln!(
            html,
            "<svg width=\"100%\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" preserveAspectRatio=\"none\">"
        )?;
        for (index, curve) in self.curves.iter().enumerate() {
            write!(html, "<path class=\"c{index}\" d=\"")?;
            let mut is_begun = false;
            for ((x, _), value) in self.at.iter().zip(&curve.values) {
                let Some(value) = value else {
                    is_begun = false;
                    continue;
                };
                let (x, y) = (WIDTH * self.x.share(*x), self.y(*value));
                // A value alone between two gaps is a dot, which is a line of no length with round ends.
                let command = if is_begun { format!("L{x:.1} {y:.1}") } else { format!("M{x:.1} {y:.1}h0") };
                html.push_str(&command);
                is_begun = true;
            }
            writeln!(html, "\"/>")?;
        }
        writeln!(html, "</svg>")
    }

    fn write_table(&self, html: &mut String) -> Result {
        write!(
            html,
            "<details><summary>Values as a table</summary>\n<table><thead><tr><th>{}</th>",
            escape(self.rows)
        )?;
        for curve in &self.curves {
            write!(html, "<th>{}</th>", escape(curve.name))?;
        }
        writeln!(html, "</tr></thead><tbody>")?;
        for (row, (x, label)) in self.at.iter().enumerate() {
            write!(html, "<tr data-x=\"{:.2}\"><th>{}</th>", 100.0 * self.x.share(*x), escape(label))?;
            for curve in &self.curves {
                match curve.values.get(row).copied().flatten() {
                    Some(value) => {
                        let text = (self.format)(value);
                        write!(html, "<td data-y=\"{:.1}\">{}</td>", self.y(value), escape(&text))?;
                    }
                    None => write!(html, "<td>-</td>")?,
                }
            }
            writeln!(html, "</tr>")?;
        }
        writeln!(html, "</tbody></table></details>")
    }

    /// Returns where a value stands, in pixels from the top.
    fn y(&self, value: f64) -> f64 {
        self.height * (1.0 - self.y.share(value))
    }
}
