//! Lines with optional interval bands: training curves, severity curves, accuracy by number of sensors.

use super::{Ink, SCALE, figure, padded, text};
use crate::Error;
use maud::Markup;
use plotters::chart::ChartBuilder;
use plotters::element::{Circle, Polygon};
use plotters::series::LineSeries;
use plotters::style::{Color, ShapeStyle};

/// Above this many points a line is drawn without markers.
const MARKERS_UP_TO: usize = 20;

/// `(x, y, interval of y)`.
pub type Sample = (f64, f64, Option<(f64, f64)>);

/// One line.
pub struct Series {
    /// Colour.
    pub ink: Ink,
    /// Ascending in x.
    pub points: Vec<Sample>,
}

/// A line chart.
pub struct LineChart<'a> {
    /// Caption.
    pub title: &'a str,
    /// What it shows, for those who cannot see it.
    pub description: &'a str,
    /// Label of the x axis.
    pub x: &'a str,
    /// Label of the y axis.
    pub y: &'a str,
    /// Whether y is a share to be shown in percent.
    pub percent: bool,
    /// Whether x counts something.
    pub whole: bool,
    /// The lines; the last is drawn on top.
    pub series: Vec<Series>,
}

/// Draws it.
pub fn lines(chart: &LineChart) -> Result<Markup, Error> {
    let points = || chart.series.iter().flat_map(|s| &s.points);
    let (left, right) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, r), p| (l.min(p.0), r.max(p.0)));
    let (left, right) = if left < right { (left, right) } else { (left.min(1e9) - 0.5, right.max(-1e9) + 0.5) };
    let room = (right - left) * 0.02;
    let limits = if chart.percent { (0.0, 1.0) } else { (f64::NEG_INFINITY, f64::INFINITY) };
    let heights = points().flat_map(|p| [p.1, p.2.map_or(p.1, |i| i.0), p.2.map_or(p.1, |i| i.1)]);
    let (low, high) = padded(heights, limits);
    let whole_labels = (right - left).round() as usize + 1;
    figure(chart.title, chart.description, 280, |root| {
        let mut area = ChartBuilder::on(root)
            .margin_right(12 * SCALE)
            .margin_top(8 * SCALE)
            .x_label_area_size(40 * SCALE)
            .y_label_area_size(48 * SCALE)
            .build_cartesian_2d(left - room..right + room, low..high)?;
        area.configure_mesh()
            .disable_x_mesh()
            .light_line_style(Ink::Grid.color().mix(0.0))
            .bold_line_style(Ink::Grid.color().stroke_width(SCALE))
            .axis_style(Ink::Axis.color().stroke_width(SCALE))
            .label_style(text(13, Ink::Text))
            .axis_desc_style(text(13, Ink::Text))
            .x_desc(chart.x)
            .y_desc(chart.y)
            .x_labels(if chart.whole { whole_labels.min(9) } else { 6 })
            .y_labels(6)
            .set_all_tick_mark_size(3 * SCALE)
            .x_label_formatter(&|x| if x.fract().abs() < 1e-6 { format!("{x:.0}") } else { String::new() })
            .y_label_formatter(&|y| y_label(*y, chart.percent, high - low))
            .draw()?;
        for series in &chart.series {
            let band: Vec<(f64, f64)> = series.points.iter().filter_map(|p| p.2.map(|i| (p.0, i.0))).collect();
            let top = series.points.iter().rev().filter_map(|p| p.2.map(|i| (p.0, i.1)));
            if band.len() > 1 {
                let outline: Vec<(f64, f64)> = band.iter().copied().chain(top).collect();
                area.draw_series([Polygon::new(outline, series.ink.color().mix(0.08))])?;
            }
        }
        for series in &chart.series {
            let style = ShapeStyle { color: series.ink.color().to_rgba(), filled: true, stroke_width: 2 * SCALE };
            area.draw_series(LineSeries::new(series.points.iter().map(|p| (p.0, p.1)), style))?;
            if series.points.len() <= MARKERS_UP_TO {
                area.draw_series(series.points.iter().map(|p| Circle::new((p.0, p.1), 3 * SCALE, style)))?;
            }
        }
        Ok::<(), plotters::drawing::DrawingAreaErrorKind<_>>(())
    })
}

pub fn y_label(y: f64, percent: bool, range: f64) -> String {
    match (percent, range) {
        (true, range) if range < 0.05 => format!("{:.1}", 100.0 * y),
        (true, _) => format!("{:.0}", 100.0 * y),
        (false, range) if range < 0.01 && y != 0.0 => format!("{y:.1e}"),
        (false, range) if range < 1.0 => format!("{y:.2}"),
        (false, _) => format!("{y:.1}"),
    }
}
