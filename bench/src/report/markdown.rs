//! The tables.

use crate::results::{Entry, Measure, Outcome, Results, RowResult};
use crate::rows::Task;
use crate::targets::{self, round_trips};

/// The whole page.
pub(crate) fn page(results: &Results) -> String {
    let mut page = String::from("# Results\n\n");
    page.push_str(&circumstances(results));
    page.push_str("\n## What was to be reached\n\n");
    page.push_str(&targets(results));
    page.push_str(
        "\n## Every row\n\nMedians of alternating runs. CPU is user and system time; the server's \
         is counted in hundredths of a second. Memory is that of the largest process. Ratios are \
         to the newest OpenSSH and to the best client that is not ours, below 1 is better.\n",
    );
    for row in &results.rows {
        page.push_str(&self::row(results, row));
    }
    page
}

fn circumstances(results: &Results) -> String {
    let it = &results.circumstances;
    let mut text = format!(
        "Commit {}, {}. {} ({} cores), Linux {}, {} runs.",
        it.commit, it.date, it.processor, it.cores, it.kernel, it.runs
    );
    if let Some(link) = &it.link {
        let [up, down] = link.rates.map(|rate| rate * 8.0 / 1e9);
        text.push_str(&format!(
            " The long link, measured: {:.1} ms, {up:.2} and {down:.2} Gbit/s.",
            link.round_trip.as_secs_f64() * 1000.0
        ));
    }
    text.push_str("\n\n| client | version |\n|---|---|\n");
    for peer in &results.peers {
        let kind = if peer.is_program() { "program" } else { "small client on the library" };
        text.push_str(&format!("| {} | {}; {kind} |\n", peer.name, cell(&peer.version)));
    }
    for missing in &results.missing {
        text.push_str(&format!("| {} | **missing**: {} |\n", missing.name, cell(&missing.why)));
    }
    text
}

pub(crate) fn targets(results: &Results) -> String {
    let mut text = String::from("| what | target | measured | |\n|---|---|---|---|\n");
    for target in targets::all(results) {
        let verdict = match target.reached {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "not measured",
        };
        let measured = target.measured.unwrap_or_else(|| "–".into());
        text.push_str(&format!(
            "| {} | {} | {measured} | {verdict} |\n",
            target.what, target.target
        ));
    }
    text
}

fn row(results: &Results, result: &RowResult) -> String {
    let measure = result.measure();
    let main = if measure == Measure::Figure { "resident MiB" } else { "wall s" };
    let mut text = format!(
        "\n### {}\n\n`{}`\n\n| client | {main} | to OpenSSH | to best | CPU s | to OpenSSH | to \
         best | server CPU s | peak MiB | runs |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        result.row.title, result.row.id
    );
    for entry in &result.entries {
        let Outcome::Ran(samples) = &entry.outcome else { continue };
        let columns = [
            main_figure(entry, measure),
            ratio(entry, measure, result.openssh(measure)),
            ratio(entry, measure, result.best_peer(measure).map(|best| best.1)),
            number(entry.median(Measure::ClientCpu), 2),
            ratio(entry, Measure::ClientCpu, result.openssh(Measure::ClientCpu)),
            ratio(entry, Measure::ClientCpu, result.best_peer(Measure::ClientCpu).map(|b| b.1)),
            number(entry.median(Measure::ServerCpu), 2),
            number(entry.median(Measure::Peak).map(|kib| kib / 1024.0), 1),
            samples.len().to_string(),
        ];
        let name =
            if entry.is_chiton() { format!("**{}**", entry.label) } else { entry.label.clone() };
        text.push_str(&format!("| {name} | {} |\n", columns.join(" | ")));
    }
    if result.row.task == Task::FirstByte && result.row.far {
        let counts: Vec<String> = result
            .entries
            .iter()
            .filter_map(|entry| {
                let trips = round_trips(results, |row| row.median(&entry.label, Measure::Wall))?;
                Some(format!("{} {trips:.1}", entry.label))
            })
            .collect();
        text.push_str(&format!("\nRound trips after TCP's own: {}.\n", counts.join(", ")));
    }
    let unable: Vec<String> = result
        .entries
        .iter()
        .filter_map(|entry| match &entry.outcome {
            Outcome::Unable(why) => Some(format!("{} ({})", entry.label, cell(why))),
            Outcome::Ran(_) => None,
        })
        .chain(
            results
                .missing
                .iter()
                .filter(|missing| result.row.admits(missing.name))
                .map(|missing| format!("{} (missing)", missing.name)),
        )
        .collect();
    if !unable.is_empty() {
        text.push_str(&format!("\nNot here: {}.\n", unable.join(", ")));
    }
    text
}

fn main_figure(entry: &Entry, measure: Measure) -> String {
    let median = entry.median(measure);
    if measure == Measure::Figure {
        return number(median.map(|kib| kib / 1024.0), 1);
    }
    number(median, 3)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}"))
}

fn ratio(entry: &Entry, measure: Measure, to: Option<f64>) -> String {
    let ratio = entry.median(measure).zip(to).filter(|(_, to)| *to > 0.0);
    number(ratio.map(|(is, to)| is / to), 2)
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "/").replace('\n', " ")
}
