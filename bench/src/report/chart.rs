//! A chart of the rows: for each client a bar of time and, in it, one of its CPU time.
//!
//! Colours are of middling lightness, so that it can be read on white and on black.

use crate::results::{Entry, Measure, Results, RowResult};

const COLUMNS: usize = 2;
const WIDTH: f64 = 470.0;
const BAR: f64 = 13.0;
const PITCH: f64 = 17.0;
/// Where the bars begin.
const LEFT: f64 = 134.0;
/// The length of the longest bar.
const LONGEST: f64 = 250.0;
const OURS: &str = "#e8590c";
const THEIRS: &str = "#8c96a3";
const CPU: &str = "#3b4252";
const TEXT: &str = "#7a828e";

/// The chart.
pub(crate) fn svg(results: &Results) -> String {
    let mut bottoms = [64.0; COLUMNS];
    let mut body = String::new();
    for row in &results.rows {
        // Each panel goes below the shorter column.
        let column = if bottoms[0] <= bottoms[1] { 0 } else { 1 };
        let x = if column == 0 { 12.0 } else { 12.0 + WIDTH };
        body.push_str(&panel(row, x, bottoms[column]));
        bottoms[column] += height(row);
    }
    let tall = bottoms[0].max(bottoms[1]) + 8.0;
    let wide = WIDTH * 2.0 + 24.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {tall}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"{TEXT}\">\n\
         <text x=\"12\" y=\"24\" font-size=\"16\" font-weight=\"600\">chiton and others, shorter is \
         better</text>\n\
         <rect x=\"12\" y=\"36\" width=\"18\" height=\"9\" rx=\"2\" fill=\"{OURS}\"/>\
         <text x=\"35\" y=\"45\">chiton</text>\
         <rect x=\"85\" y=\"36\" width=\"18\" height=\"9\" rx=\"2\" fill=\"{THEIRS}\"/>\
         <text x=\"108\" y=\"45\">others</text>\
         <rect x=\"158\" y=\"38.5\" width=\"18\" height=\"4\" fill=\"{CPU}\"/>\
         <text x=\"181\" y=\"45\">of it, CPU time of the client</text>\n{body}</svg>\n"
    )
}

/// The entries with a number, the best first.
fn shown(row: &RowResult) -> Vec<(&Entry, f64)> {
    let measure = row.measure();
    let mut shown: Vec<_> =
        row.entries.iter().filter_map(|entry| Some((entry, entry.median(measure)?))).collect();
    shown.sort_by(|a, b| a.1.total_cmp(&b.1));
    shown
}

fn height(row: &RowResult) -> f64 {
    let bars = u32::try_from(shown(row).len()).unwrap_or(0);
    PITCH.mul_add(f64::from(bars), 40.0)
}

fn panel(row: &RowResult, x: f64, top: f64) -> String {
    let shown = shown(row);
    let measure = row.measure();
    let (unit, divisor) = if measure == Measure::Figure { ("MiB", 1024.0) } else { ("s", 1.0) };
    // One that takes far longer would leave the others no length to compare.
    let best = shown.first().map_or(1.0, |first| first.1);
    let longest = shown.last().map_or(1.0, |last| last.1).min(best * 6.0);
    let mut text = format!(
        "<text x=\"{x}\" y=\"{:.1}\" font-weight=\"600\">{}</text>\n",
        top + 20.0,
        escaped(&row.row.title)
    );
    for (index, (entry, value)) in shown.iter().enumerate() {
        let y = PITCH.mul_add(f64::from(u32::try_from(index).unwrap_or(0)), top + 27.0);
        let length = (value / longest).min(1.0) * LONGEST;
        let colour = if entry.is_chiton() { OURS } else { THEIRS };
        let cut = if *value > longest { " …" } else { "" };
        let base = y + 10.0;
        text.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" \
             fill=\"{colour}\"/>",
            x + LEFT - 6.0,
            escaped(&entry.label),
            x + LEFT,
        ));
        let cpu = entry.median(Measure::ClientCpu).filter(|_| measure == Measure::Wall);
        let mut end = length;
        if let Some(cpu) = cpu {
            let length = (cpu / longest).min(1.0) * LONGEST;
            end = end.max(length);
            text.push_str(&format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"4\" fill=\"{CPU}\"/>",
                x + LEFT,
                y + 4.5,
            ));
        }
        text.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{base:.1}\">{}{cut}</text>\n",
            x + LEFT + end + 5.0,
            figure(value / divisor, unit),
        ));
    }
    text
}

fn figure(value: f64, unit: &str) -> String {
    match value {
        value if value >= 10.0 => format!("{value:.1} {unit}"),
        value if value >= 0.1 || unit != "s" => format!("{value:.2} {unit}"),
        value => format!("{:.0} ms", value * 1000.0),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
