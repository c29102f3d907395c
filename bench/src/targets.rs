//! The speed that the project set out to reach, and whether it is.

use crate::peers::{CHITON, OPENSSH_10};
use crate::results::{Measure, Results, RowResult};

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) target: String,
    /// `None`: not measured this time.
    pub(crate) measured: Option<String>,
    pub(crate) reached: Option<bool>,
}

/// How the figures are compared with what was measured.
struct List<'a> {
    results: &'a Results,
    targets: Vec<Target>,
}

impl List<'_> {
    fn add(&mut self, what: &str, target: String, value: Option<(String, bool)>) {
        let (measured, reached) = value.unzip();
        self.targets.push(Target { what: what.into(), target, measured, reached });
    }

    /// Ours, as a part of the best peer's.
    fn of_best(&mut self, id: &str, what: &str, measure: Measure, most: f64) {
        let value = self.results.row(id).and_then(|row| {
            let (best, theirs) = row.best_peer(measure)?;
            let ratio = row.ours(measure)? / theirs;
            Some((format!("{ratio:.2} of {best}"), ratio <= most))
        });
        self.add(what, format!("at most {most:.2} of the best peer"), value);
    }

    /// Ours, in units of the measure.
    fn at_most(&mut self, id: &str, what: &str, measure: Measure, most: f64, unit: (&str, f64)) {
        let (unit, divisor) = unit;
        let value = self.results.row(id).and_then(|row| {
            let ours = row.ours(measure)? / divisor;
            Some((format!("{ours:.2} {unit}"), ours <= most))
        });
        self.add(what, format!("at most {most} {unit}"), value);
    }

    /// Two numbers of the results, put together.
    fn compared(
        &mut self,
        what: &str,
        target: &str,
        value: impl FnOnce(&Results) -> Option<(String, bool)>,
    ) {
        let value = value(self.results);
        self.add(what, target.into(), value);
    }
}

const SECONDS: (&str, f64) = ("s", 1.0);
const MIB: (&str, f64) = ("MiB", 1024.0);

/// All figures of the list.
pub(crate) fn all(results: &Results) -> Vec<Target> {
    let mut list = List { results, targets: Vec::new() };
    bulk(&mut list);
    far(&mut list);
    list.of_best("put-many", "2,000 files put, wall", Measure::Wall, 1.0);
    list.of_best("get-many", "2,000 files get, wall", Measure::Wall, 0.5);
    list.of_best("fresh", "fresh connections, wall", Measure::Wall, 0.7);
    list.of_best("sequential", "1,000 commands one by one, wall", Measure::Wall, 1.0);
    list.of_best("at-once", "200 commands at once, wall", Measure::Wall, 1.0);
    list.at_most("get-aes128-gcm", "memory of a get", Measure::Peak, 16.0, MIB);
    list.at_most("put-aes128-gcm", "memory of a put", Measure::Peak, 16.0, MIB);
    list.at_most("idle", "memory of 500 idle connections", Measure::Figure, 20.0, MIB);
    for (id, what) in [("itself-get", "get"), ("itself-put", "put")] {
        let what = format!("throughput against its own server, {what}");
        list.compared(&what, "at least 1.5 of OpenSSH against itself", |results| {
            let row = results.row(id)?;
            let (best, theirs) = row.best_peer(Measure::Wall)?;
            let times = theirs / row.ours(Measure::Wall)?;
            Some((format!("{times:.2} of {best}"), times >= 1.5))
        });
    }
    list.compared("keys renewed each 64 MiB", "costs less than 3 %", |results| {
        let row = results.row("rekey")?;
        let with = row.median(&format!("{CHITON}, rekeying"), Measure::Wall)?;
        let cost = (with / row.median(CHITON, Measure::Wall)? - 1.0) * 100.0;
        Some((format!("{cost:+.1} %"), cost < 3.0))
    });
    list.targets
}

fn bulk(list: &mut List<'_>) {
    list.of_best("get-aes128-gcm", "get aes128-gcm, client CPU", Measure::ClientCpu, 0.6);
    list.of_best("get-aes128-gcm", "get aes128-gcm, wall", Measure::Wall, 0.8);
    list.of_best("put-aes128-gcm", "put aes128-gcm, client CPU", Measure::ClientCpu, 0.7);
    list.of_best("put-aes128-gcm", "put aes128-gcm, wall", Measure::Wall, 1.0);
    for cipher in ["chacha20-poly1305", "aes256-ctr-etm"] {
        for direction in ["get", "put"] {
            let what = format!("{direction} {cipher}, client CPU");
            list.of_best(&format!("{direction}-{cipher}"), &what, Measure::ClientCpu, 1.0);
        }
    }
    for (id, what) in [("exec-out", "exec output"), ("exec-in", "exec input")] {
        let of_openssh = |row: &RowResult| {
            let (name, theirs) = ["openssh-10.6", OPENSSH_10]
                .into_iter()
                .filter_map(|name| Some((name, row.median(name, Measure::ClientCpu)?)))
                .min_by(|a, b| a.1.total_cmp(&b.1))?;
            let ratio = row.ours(Measure::ClientCpu)? / theirs;
            Some((format!("{ratio:.2} of {name}"), ratio <= 1.0))
        };
        list.compared(&format!("{what}, client CPU"), "no more than OpenSSH 10", |results| {
            results.row(id).and_then(of_openssh)
        });
    }
}

fn far(list: &mut List<'_>) {
    list.at_most("far-get", "64 MiB get at 100 ms", Measure::Wall, 1.4, SECONDS);
    list.at_most("far-put", "64 MiB put at 100 ms", Measure::Wall, 1.8, SECONDS);
    list.at_most("far-get-many", "200 files get at 100 ms", Measure::Wall, 2.5, SECONDS);
    list.at_most("far-put-many", "200 files put at 100 ms", Measure::Wall, 2.5, SECONDS);
    list.compared(
        "first byte of a fresh connection",
        "at most 5 round trips after TCP's",
        |results| {
            let trips = round_trips(results, |row| row.ours(Measure::Wall))?;
            // The rest is what waking up costs; a round trip more would be a whole one.
            Some((format!("{trips:.2} round trips"), trips < 5.1))
        },
    );
}

/// How many round trips the first byte took: what the link adds, in round trips of the link.
pub(crate) fn round_trips(
    results: &Results,
    wall: impl Fn(&RowResult) -> Option<f64>,
) -> Option<f64> {
    let near = wall(results.row("first-byte")?)?;
    let far = wall(results.row("far-first-byte")?)?;
    let round_trip = results.circumstances.link?.round_trip.as_secs_f64();
    Some((far - near) / round_trip)
}
