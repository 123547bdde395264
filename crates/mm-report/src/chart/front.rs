//! Accuracy against the number of sensors, with the Pareto front.

use super::lines::y_label;
use super::{Ink, SCALE, figure, padded, text};
use crate::Error;
use maud::Markup;
use plotters::chart::ChartBuilder;
use plotters::element::{Circle, Text};
use plotters::series::LineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, ShapeStyle};

/// One set of sensors.
pub struct Point {
    /// How many sensors.
    pub sensors: usize,
    /// Accuracy.
    pub accuracy: f64,
    /// Its name, written beside it, if it is on the front.
    pub front: Option<String>,
}

/// Draws the sets and the front in one colour.
pub fn front(title: &str, description: &str, y: &str, percent: bool, ink: Ink, points: &[Point]) -> Result<Markup, Error> {
    let (low, high) = padded(points.iter().map(|p| p.accuracy), if percent { (0.0, 1.0) } else { (f64::NEG_INFINITY, f64::INFINITY) });
    let largest = points.iter().map(|p| p.sensors).max().unwrap_or(1);
    let place = |p: &Point| (p.sensors as f64, p.accuracy);
    let mut on_front: Vec<&Point> = points.iter().filter(|p| p.front.is_some()).collect();
    on_front.sort_by_key(|p| p.sensors);
    figure(title, description, 280, |root| {
        let mut area = ChartBuilder::on(root)
            .margin_right(12 * SCALE)
            .margin_top(8 * SCALE)
            .x_label_area_size(40 * SCALE)
            .y_label_area_size(48 * SCALE)
            .build_cartesian_2d(0.6..largest as f64 + 0.6, low..(high + 0.08 * (high - low)))?;
        area.configure_mesh()
            .disable_x_mesh()
            .light_line_style(Ink::Grid.color().mix(0.0))
            .bold_line_style(Ink::Grid.color().stroke_width(SCALE))
            .axis_style(Ink::Axis.color().stroke_width(SCALE))
            .label_style(text(13, Ink::Text))
            .axis_desc_style(text(13, Ink::Text))
            .x_desc("number of sensors")
            .y_desc(y)
            .x_labels(largest.min(9))
            .y_labels(6)
            .set_all_tick_mark_size(3 * SCALE)
            .x_label_formatter(&|x| if x.fract().abs() < 1e-6 { format!("{x:.0}") } else { String::new() })
            .y_label_formatter(&|y| if percent && *y > 1.0005 { String::new() } else { y_label(*y, percent, high - low) })
            .draw()?;
        let style = |alpha: f64, stroke_width| ShapeStyle { color: ink.color().mix(alpha), filled: true, stroke_width };
        let rest = points.iter().filter(|p| p.front.is_none());
        area.draw_series(rest.map(|p| Circle::new(place(p), 3 * SCALE, style(0.4, 0))))?;
        area.draw_series(LineSeries::new(on_front.iter().map(|p| place(p)), style(1.0, 2 * SCALE)))?;
        area.draw_series(on_front.iter().map(|p| Circle::new(place(p), 5 * SCALE, style(1.0, 0))))?;
        // Few names fit: those of the first sets of the front, above and below it in turn; the table has them all.
        let short = on_front.iter().filter_map(|p| Some((*p, p.front.as_ref()?))).filter(|(_, name)| name.chars().count() <= 14);
        let names = short.enumerate().map(|(i, (p, name))| {
            let (x, y) = area.backend_coord(&place(p));
            let (anchor, distance) = if i % 2 == 0 { (VPos::Bottom, -7) } else { (VPos::Top, 9) };
            Text::new(name.clone(), (x, y + distance * SCALE as i32), text(12, Ink::Text).pos(Pos::new(HPos::Center, anchor)))
        });
        for name in names.collect::<Vec<_>>() {
            root.draw(&name)?;
        }
        Ok::<(), plotters::drawing::DrawingAreaErrorKind<_>>(())
    })
}
