//! Charts as inline SVG, drawn by `plotters`, coloured by the page's CSS variables, so that they follow light and dark.

mod bars;
mod front;
mod lines;

pub use bars::{Bar, BarGroup, bars};
pub use front::{Point, front};
pub use lines::{LineChart, Series, lines};

use super::Error;
use maud::{Markup, PreEscaped, html};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::{FontDesc, FontFamily, FontStyle, RGBColor, TextStyle};

/// Colours of runs before they repeat.
pub const SERIES: usize = 12;
/// Backends draw at whole pixels: charts are drawn this many times larger than they are shown.
const SCALE: u32 = 4;
/// Width as shown, before it is fitted to the page.
const WIDTH: u32 = 400;

/// A drawing area of a chart.
type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What a mark is for; the style sheet gives the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Runs by position; 0 is the reference.
    Series(usize),
    /// Text and emphasised marks.
    Text,
    /// Axes.
    Axis,
    /// Grid lines.
    Grid,
}

impl Ink {
    /// A colour that stands for the ink until the chart is finished.
    fn color(self) -> RGBColor {
        match self {
            Ink::Series(i) => RGBColor(0xFE, 0x00, (i % SERIES) as u8),
            Ink::Text => RGBColor(0xFD, 0x00, 0),
            Ink::Axis => RGBColor(0xFD, 0x00, 1),
            Ink::Grid => RGBColor(0xFD, 0x00, 2),
        }
    }

    /// The CSS variable.
    pub fn variable(self) -> String {
        match self {
            Ink::Series(i) => format!("var(--s{})", i % SERIES),
            Ink::Text => "var(--text)".into(),
            Ink::Axis => "var(--axis)".into(),
            Ink::Grid => "var(--grid)".into(),
        }
    }
}

/// Draws a chart: `<figure>` with a caption, an SVG with title and description.
fn figure<E: std::fmt::Display>(
    title: &str,
    description: &str,
    height: u32,
    draw: impl FnOnce(&Canvas) -> Result<(), E>,
) -> Result<Markup, Error> {
    let size = (WIDTH * SCALE, height * SCALE);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&root).map_err(|e| Error::Chart(e.to_string()))?;
        root.present().map_err(|e| Error::Chart(e.to_string()))?;
    }
    let inks = (0..SERIES).map(Ink::Series).chain([Ink::Text, Ink::Axis, Ink::Grid]);
    for ink in inks {
        let RGBColor(r, g, b) = ink.color();
        svg = svg.replace(&format!("\"#{r:02X}{g:02X}{b:02X}\""), &format!("\"{}\"", ink.variable()));
    }
    // The backend's own root element and defaults give way to ours.
    let body = svg.split_once('>').map_or("", |(_, rest)| rest).trim_end().trim_end_matches("</svg>");
    let body = body.replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "").replace(" font-family=\"sans-serif\"", "");
    Ok(html! {
        figure.chart {
            figcaption { (title) }
            svg viewBox={ "0 0 " (size.0) " " (size.1) } role="img" { title { (title) } desc { (description) } (PreEscaped(body)) }
        }
    })
}

/// Text of a size in shown pixels.
fn text(size: u32, ink: Ink) -> TextStyle<'static> {
    // The backend writes 1/1.24 of the size it is given.
    FontDesc::new(FontFamily::SansSerif, f64::from(size * SCALE) * 1.24, FontStyle::Normal).color(&ink.color())
}

/// A range with some room around the values, within limits; never empty.
fn padded(values: impl Iterator<Item = f64>, limits: (f64, f64)) -> (f64, f64) {
    let (low, high) = values.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let room = ((high - low) * 0.06).max(1e-3);
    ((low - room).max(limits.0), (high + room).min(limits.1).max(low + 1e-3))
}
