//! Horizontal bars with intervals, grouped: the Shapley value of each modality by run.

use super::lines::y_label;
use super::{Ink, SCALE, figure, text};
use crate::Error;
use maud::Markup;
use mm_core::statistics::Interval;
use plotters::chart::ChartBuilder;
use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, ShapeStyle};

/// Height of a bar as shown.
const BAR: u32 = 9;
/// Room of a group beside its bars.
const GROUP: u32 = 12;

/// One bar.
pub struct Bar {
    /// Colour.
    pub ink: Ink,
    /// Length, with interval.
    pub value: Interval,
}

/// Bars under one name.
pub struct BarGroup {
    /// Its name.
    pub name: String,
    /// The bars, top to bottom.
    pub bars: Vec<Bar>,
}

/// Draws groups of bars, of shares in percentage points.
pub fn bars(title: &str, description: &str, axis: &str, percent: bool, groups: &[BarGroup]) -> Result<Markup, Error> {
    let values = || groups.iter().flat_map(|g| &g.bars).flat_map(|b| [b.value.low, b.value.high, b.value.estimate]);
    let (low, high) = (values().fold(0.0, f64::min), values().fold(1e-3, f64::max));
    let room = 0.04 * (high - low);
    let rows = |g: &BarGroup| g.bars.len() as u32 * BAR + GROUP;
    let body: u32 = groups.iter().map(rows).sum();
    let bottom = 40;
    figure(title, description, body + bottom + 8, |root| {
        let mut area = ChartBuilder::on(root)
            .margin_right(12 * SCALE)
            .margin_top(8 * SCALE)
            .x_label_area_size(bottom * SCALE)
            .y_label_area_size(92 * SCALE)
            .build_cartesian_2d(if low < 0.0 { low - room } else { 0.0 }..high + room, f64::from(body)..0.0)?;
        area.configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(Ink::Grid.color().mix(0.0))
            .bold_line_style(Ink::Grid.color().stroke_width(SCALE))
            .axis_style(Ink::Axis.color().stroke_width(SCALE))
            .label_style(text(13, Ink::Text))
            .axis_desc_style(text(13, Ink::Text))
            .x_desc(axis)
            .x_labels(6)
            .set_all_tick_mark_size(3 * SCALE)
            .x_label_formatter(&|x| y_label(*x, percent, high - low))
            .draw()?;
        let mut at = 0;
        for group in groups {
            let from = at + GROUP / 2;
            for (i, bar) in group.bars.iter().enumerate() {
                let top = f64::from(from + i as u32 * BAR) + 0.5;
                let bottom = top + f64::from(BAR) - 1.0;
                let middle = (top + bottom) / 2.0;
                let fill = ShapeStyle { color: bar.ink.color().mix(0.75), filled: true, stroke_width: 0 };
                let line = ShapeStyle { color: Ink::Text.color().to_rgba(), filled: true, stroke_width: SCALE };
                area.draw_series([Rectangle::new([(0.0, top), (bar.value.estimate, bottom)], fill)])?;
                area.draw_series([PathElement::new([(bar.value.low, middle), (bar.value.high, middle)], line)])?;
            }
            at += rows(group);
            let middle = from + group.bars.len() as u32 * BAR / 2;
            let style = text(13, Ink::Text).pos(Pos::new(HPos::Right, VPos::Center));
            let place = (86 * SCALE as i32, (8 + middle as i32) * SCALE as i32);
            root.draw(&Text::new(shortened(&group.name, 13), place, style))?;
        }
        Ok::<(), plotters::drawing::DrawingAreaErrorKind<_>>(())
    })
}

/// A name cut to so many characters.
fn shortened(name: &str, longest: usize) -> String {
    if name.chars().count() <= longest { name.to_string() } else { name.chars().take(longest - 1).chain(['…']).collect() }
}
