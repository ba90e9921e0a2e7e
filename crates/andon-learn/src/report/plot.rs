//! Drawings of a report, as elements of SVG whose colours are the page's.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::TextStyle;

use crate::evaluate::{Bin, Point};

const SIZE: (u32, u32) = (480, 360);

/// Colours that stand for those of the page, which differ by light and dark.
const INK: RGBColor = RGBColor(1, 1, 1);
const RULE: RGBColor = RGBColor(2, 2, 2);
const ACCENT: RGBColor = RGBColor(3, 3, 3);
const WARN: RGBColor = RGBColor(4, 4, 4);
const PAGE: [(&str, &str); 4] = [
    ("\"#010101\"", "\"var(--ink)\""),
    ("\"#020202\"", "\"var(--rule)\""),
    ("\"#030303\"", "\"var(--accent)\""),
    ("\"#040404\"", "\"var(--warn)\""),
];

/// Drawing into a text fails only where the code asks for what cannot be drawn.
type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// Accuracy by confidence, with the diagonal.
pub(super) fn reliability(bins: &[Bin], word: &str) -> String {
    let most = bins.iter().map(|bin| bin.n).max().unwrap_or(1) as f64;
    draw(|area| {
        let mut chart = chart(area, word, "accuracy", 1.0)?;
        chart.draw_series(LineSeries::new(
            [(0.0, 0.0), (1.0, 1.0)],
            RULE.stroke_width(2),
        ))?;
        for bin in bins {
            let (x, accuracy) = (bin.confidence, bin.accuracy);
            let ends = [(x, accuracy.low), (x, accuracy.high)];
            chart.draw_series(LineSeries::new(ends, ACCENT.stroke_width(2)))?;
            let radius = 3.0 + 5.0 * (bin.n as f64 / most).sqrt();
            let point = Circle::new((x, accuracy.value), radius as i32, ACCENT.filled());
            chart.draw_series([point])?;
        }
        Ok(())
    })
}

/// The share of wrong answers by coverage, and where the threshold in use is.
pub(super) fn risk_coverage(points: &[Point], here: Option<(f64, f64)>) -> String {
    let highest = points.iter().map(|point| point.error).fold(0.0, f64::max);
    let highest = here.map_or(highest, |(_, error)| error.max(highest));
    let top = ((highest * 1.1 * 20.0).ceil() / 20.0).clamp(0.05, 1.0);
    draw(|area| {
        let mut chart = chart(area, "coverage", "wrong among the accepted", top)?;
        let line = points.iter().map(|point| (point.coverage, point.error));
        chart.draw_series(LineSeries::new(line, ACCENT.stroke_width(2)))?;
        if let Some((coverage, error)) = here {
            let cross = Cross::new((coverage, error), 7, WARN.stroke_width(3));
            chart.draw_series([cross])?;
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn chart<'a>(area: &Area<'a>, x: &str, y: &str, top: f64) -> Drawn<Chart<'a>> {
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..1.0, 0.0..top)?;
    let text = |size: u32| TextStyle::from(("sans-serif", size)).color(&INK);
    let percent = |value: &f64| format!("{:.0} %", 100.0 * value);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RULE.mix(0.5))
        .axis_style(RULE)
        .x_desc(x)
        .y_desc(y)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&percent)
        .y_label_formatter(&percent)
        .label_style(text(16))
        .axis_desc_style(text(17))
        .draw()?;
    Ok(chart)
}

fn draw(onto: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let drawn = onto(&area).and_then(|()| area.present());
        debug_assert!(drawn.is_ok(), "{drawn:?}");
    }
    let mut svg = svg.replacen("<svg width=\"480\" height=\"360\"", "<svg role=\"img\"", 1);
    for (stand_in, colour) in PAGE {
        svg = svg.replace(stand_in, colour);
    }
    svg
}
