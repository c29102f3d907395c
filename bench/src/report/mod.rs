//! Tables, a chart and the raw numbers.

pub(crate) mod chart;
pub(crate) mod markdown;

use std::fs;
use std::path::Path;

use crate::failure::{Done, Failure};
use crate::results::Results;

/// Writes `results.md`, `results.json` and `chart.svg` into `folder`.
pub(crate) fn write(results: &Results, folder: &Path) -> Done {
    fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    let json = serde_json::to_string_pretty(&results.json())
        .map_err(|error| Failure::new(error.to_string()))?;
    for (name, text) in [
        ("results.md", markdown::page(results)),
        ("results.json", format!("{json}\n")),
        ("chart.svg", chart::svg(results)),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Failure::file(&path))?;
    }
    Ok(())
}
