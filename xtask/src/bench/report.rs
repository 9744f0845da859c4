//! The report: a table for people and the same figures in JSON, in `bench/results`.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::Result;

use super::{Line, Plan};
use crate::{places, run};

/// Prints the table; that of a whole run is written too, with the figures beside it.
pub(crate) fn write(plan: &Plan, lines: &[Line]) -> Result<()> {
    let machine = machine();
    let mut page = format!(
        "# Benchmark of {}\n\nCommit {}; {machine}; {} rounds of {:.0} s a row, server and echo in \
         turn; 16 keep-alive connections unless a row says otherwise. CPU is user and system time \
         of the server's process from the kernel, a request.\n\n| Work | Target | Measured | |\n|---|---|---|---|\n",
        run::today(),
        run::commit(),
        plan.rounds,
        plan.slice.as_secs_f64()
    );
    for line in lines {
        let met = match line.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        writeln!(page, "| {} | {} | {} | {met} |", line.name, line.target, line.result)?;
    }
    if !plan.whole {
        println!("\n{page}\nnot written: only a whole run is kept");
        return Ok(());
    }
    let directory = places::root().join("bench/results");
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{}.md", run::today()));
    std::fs::write(&path, &page)?;
    std::fs::write(path.with_extension("json"), json(&machine, lines)?)?;
    println!("\n{page}\nwritten to {}", path.display());
    Ok(())
}

fn json(machine: &str, lines: &[Line]) -> Result<String> {
    let mut text = format!(
        "{{\n  \"commit\": {:?},\n  \"machine\": {machine:?},\n  \"rows\": [\n",
        run::commit()
    );
    for (number, line) in lines.iter().enumerate() {
        let mut figures = String::new();
        for (name, value) in &line.figures {
            write!(figures, ", {name:?}: {value:.3}")?;
        }
        let met = line.met.map_or("null".to_owned(), |met| met.to_string());
        let comma = if number + 1 < lines.len() { "," } else { "" };
        writeln!(text, "    {{\"name\": {:?}, \"met\": {met}{figures}}}{comma}", line.name)?;
    }
    text.push_str("  ]\n}\n");
    Ok(text)
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = run::output(Command::new("uname").arg("-r")).unwrap_or_default();
    format!("{cores} × {}, Linux {kernel}", model.unwrap_or("unknown processor"))
}
