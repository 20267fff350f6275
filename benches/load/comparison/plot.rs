//! The plots of comparisons, as the text of SVG files: what grows with the number of connections, and what a message
//! costs below saturation.

use std::io;

use plotters::prelude::IntoLogRange;

use super::super::results::figures::thousands;
use super::super::results::plot::panel::{Curve, Labels, draw, linear, logarithmic, max_x, panel};
use super::rounds::median;
use super::suite_results::{Below, Cell};

/// Height of each panel.
const PANEL_HEIGHT: u32 = 300;

/// The servers in the plot of response times below saturation.
const BELOW: [&str; 4] = ["bare", "c", "hebra", "tokio"];

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
