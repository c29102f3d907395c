//! What was measured, and what follows from it.

use serde_json::{Value, json};

use crate::measure::Sample;
use crate::peers::{CHITON, CHITON_LIBRARY, Missing, OPENSSH_10, Peer};
use crate::rows::{Row, Task};

/// What became of a client in a row.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Ran(Vec<Sample>),
    /// It failed, or cannot do this.
    Unable(String),
}

/// A line of a row.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) label: String,
    pub(crate) peer: &'static str,
    pub(crate) outcome: Outcome,
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct RowResult {
    pub(crate) row: Row,
    pub(crate) entries: Vec<Entry>,
}

/// The machine and the versions.
#[derive(Clone, Debug)]
pub(crate) struct Circumstances {
    pub(crate) commit: String,
    pub(crate) date: String,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) link: Option<crate::link::Measured>,
    pub(crate) runs: u32,
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    pub(crate) circumstances: Circumstances,
    pub(crate) peers: Vec<Peer>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) rows: Vec<RowResult>,
}

/// Something that a sample says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Wall,
    ClientCpu,
    ServerCpu,
    /// KiB
    Peak,
    /// KiB
    Figure,
}

impl Sample {
    pub(crate) const fn get(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Wall => Some(self.wall),
            Measure::ClientCpu => Some(self.client_cpu),
            Measure::ServerCpu => self.server_cpu,
            Measure::Peak => Some(self.peak),
            Measure::Figure => self.figure,
        }
    }
}

impl Entry {
    /// The median over all runs.
    pub(crate) fn median(&self, measure: Measure) -> Option<f64> {
        let Outcome::Ran(samples) = &self.outcome else { return None };
        let mut values: Vec<f64> =
            samples.iter().filter_map(|sample| sample.get(measure)).collect();
        values.sort_by(f64::total_cmp);
        let upper = values.get(values.len() / 2)?;
        let lower = values.get(values.len().saturating_sub(1) / 2)?;
        Some(f64::midpoint(*lower, *upper))
    }

    pub(crate) fn is_chiton(&self) -> bool {
        matches!(self.peer, CHITON | CHITON_LIBRARY)
    }
}

impl RowResult {
    /// What the row is about.
    pub(crate) const fn measure(&self) -> Measure {
        match self.row.task {
            Task::Idle => Measure::Figure,
            _ => Measure::Wall,
        }
    }

    pub(crate) fn entry(&self, label: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.label == label)
    }

    pub(crate) fn median(&self, label: &str, measure: Measure) -> Option<f64> {
        self.entry(label)?.median(measure)
    }

    /// The better of our program and our library.
    pub(crate) fn ours(&self, measure: Measure) -> Option<f64> {
        let ours = [CHITON, CHITON_LIBRARY];
        ours.into_iter().filter_map(|label| self.median(label, measure)).min_by(f64::total_cmp)
    }

    /// The best of the others, and who it is.
    pub(crate) fn best_peer(&self, measure: Measure) -> Option<(&str, f64)> {
        self.entries
            .iter()
            .filter(|entry| !entry.is_chiton())
            .filter_map(|entry| Some((entry.label.as_str(), entry.median(measure)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The newest OpenSSH there is, for ratios.
    pub(crate) fn openssh(&self, measure: Measure) -> Option<f64> {
        ["openssh-10.6", OPENSSH_10, "openssh-9.2"]
            .into_iter()
            .find_map(|label| self.median(label, measure))
    }
}

impl Results {
    pub(crate) fn row(&self, id: &str) -> Option<&RowResult> {
        self.rows.iter().find(|result| result.row.id == id)
    }

    pub(crate) fn json(&self) -> Value {
        let circumstances = &self.circumstances;
        let versions: serde_json::Map<String, Value> = self
            .peers
            .iter()
            .map(|peer| (peer.name.to_owned(), json!(peer.version)))
            .chain(
                self.missing
                    .iter()
                    .map(|missing| (missing.name.to_owned(), json!({ "missing": missing.why }))),
            )
            .collect();
        let rows: Vec<Value> = self.rows.iter().map(row_json).collect();
        let targets: Vec<Value> = crate::targets::all(self)
            .into_iter()
            .map(|target| {
                json!({
                    "what": target.what,
                    "target": target.target,
                    "measured": target.measured,
                    "reached": target.reached,
                })
            })
            .collect();
        json!({
            "commit": circumstances.commit,
            "date": circumstances.date,
            "kernel": circumstances.kernel,
            "processor": circumstances.processor,
            "cores": circumstances.cores,
            "runs": circumstances.runs,
            "link": circumstances.link.map(|link| json!({
                "round_trip_ms": link.round_trip.as_secs_f64() * 1000.0,
                "bytes_per_second": link.rates,
            })),
            "peers": versions,
            "rows": rows,
            "targets": targets,
        })
    }
}

fn row_json(result: &RowResult) -> Value {
    let entries: serde_json::Map<String, Value> = result
        .entries
        .iter()
        .map(|entry| {
            let value = match &entry.outcome {
                Outcome::Unable(why) => json!({ "unable": why }),
                Outcome::Ran(samples) => {
                    let list = |measure| -> Vec<Option<f64>> {
                        samples.iter().map(|sample| sample.get(measure)).collect()
                    };
                    json!({
                        "wall_s": list(Measure::Wall),
                        "client_cpu_s": list(Measure::ClientCpu),
                        "server_cpu_s": list(Measure::ServerCpu),
                        "peak_kib": list(Measure::Peak),
                        "resident_kib": list(Measure::Figure),
                    })
                }
            };
            (entry.label.clone(), value)
        })
        .collect();
    json!({ "id": result.row.id, "title": result.row.title, "clients": entries })
}
