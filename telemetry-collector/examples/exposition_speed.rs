//! How fast expositions are read, up to the store: `exposition_speed FILE…` prints MB a second of one core.
//!
//! Every file is a target that is scraped again and again; the first scrape, which reads every label, counts too.

#![expect(clippy::print_stdout, reason = "the figure is the product of this program")]

use tokio::time::Instant;
use wattle_collector::probe::Expositions;

/// Long enough that a shared machine's other work evens out.
const SECONDS: f64 = 3.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let bodies: Vec<(String, bool)> = files
        .iter()
        .map(|file| Ok((std::fs::read_to_string(file)?, file.ends_with("openmetrics"))))
        .collect::<std::io::Result<_>>()?;
    let mut targets: Vec<Expositions> = bodies.iter().map(|_| Expositions::default()).collect();
    let (mut bytes, mut samples) = (0, 0);
    let (started, before) = (Instant::now(), cpu_seconds()?);
    while started.elapsed().as_secs_f64() < SECONDS {
        for (target, (body, is_openmetrics)) in targets.iter_mut().zip(&bodies) {
            samples += target.read(body, *is_openmetrics)?;
            bytes += body.len();
        }
    }
    let seconds = cpu_seconds()? - before;
    println!("{:.1}", bytes as f64 / 1e6 / seconds);
    assert!(samples > 0, "nothing was read");
    Ok(())
}

/// Gives the processor time of this process.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // A tick is a hundredth of a second on Linux (`getconf CLK_TCK`).
    Ok(ticks as f64 / 100.0)
}
