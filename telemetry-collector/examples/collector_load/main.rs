//! Sends samples by remote write, as one Prometheus or several would: the load of `bench/collector/run`.
//!
//! `collector_load URL SERIES STEPS START_MS CONNECTIONS [BATCH]` sends a step of 15 s after the other, each connection
//! its own part of the series, and waits for every answer. What is sent has the proportions of Istio's and Kepler's
//! metrics. Prints samples, bytes sent, requests and seconds as JSON; fails with the first answer that is no success.

#![expect(clippy::print_stdout, reason = "the figures are the product of this program")]

mod series;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use series::Series;
use tokio::time::Instant;

/// Time between two samples of a series.
const STEP_MS: i64 = 15_000;
/// Samples of one request: what Prometheus sends at most (`max_samples_per_send`).
const BATCH: usize = 2_000;

struct Sent {
    samples: usize,
    bytes: usize,
    requests: usize,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, series, steps, start, connections, ..] = arguments.as_slice() else {
        return Err("usage: collector_load URL SERIES STEPS START_MS CONNECTIONS [BATCH]".into());
    };
    let (series, steps, start): (usize, i64, i64) = (series.parse()?, steps.parse()?, start.parse()?);
    let connections: usize = connections.parse()?;
    let batch = arguments.get(5).map_or(Ok(BATCH), |batch| batch.parse())?;
    let rest = url.strip_prefix("http://").ok_or("the address must begin with http://")?;
    let (host, path) = rest.split_once('/').ok_or("the address has no path")?;
    let started = Instant::now();
    let sent: Vec<Result<Sent, Box<dyn Error + Send + Sync>>> = std::thread::scope(|scope| {
        let part = series.div_ceil(connections);
        let threads: Vec<_> = (0..connections)
            .map(|at| (at * part)..((at + 1) * part).min(series))
            .map(|range| scope.spawn(move || send(host, path, range, series, steps, start, batch)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a sender failed".into()))).collect()
    });
    let mut total = Sent { samples: 0, bytes: 0, requests: 0 };
    for sent in sent {
        let sent = sent?;
        total.samples += sent.samples;
        total.bytes += sent.bytes;
        total.requests += sent.requests;
    }
    println!(
        "{{\"samples\": {}, \"bytes\": {}, \"requests\": {}, \"seconds\": {:.3}}}",
        total.samples,
        total.bytes,
        total.requests,
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn send(
    host: &str,
    path: &str,
    range: std::ops::Range<usize>,
    all: usize,
    steps: i64,
    start: i64,
    batch: usize,
) -> Result<Sent, Box<dyn Error + Send + Sync>> {
    let mut series: Vec<Series> = range.map(|number| Series::new(number, all)).collect();
    let mut stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut sent = Sent { samples: 0, bytes: 0, requests: 0 };
    let mut plain = Vec::new();
    let mut snappy = snap::raw::Encoder::new();
    for step in 0..steps {
        for part in series.chunks_mut(batch) {
            plain.clear();
            for series in part.iter_mut() {
                series.write(&mut plain, step, start + step * STEP_MS);
            }
            let body = snappy.compress_vec(&plain)?;
            write!(
                stream,
                "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: \
                 snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            stream.write_all(&body)?;
            answer(&mut answers)?;
            sent.samples += part.len();
            sent.bytes += body.len();
            sent.requests += 1;
        }
    }
    Ok(sent)
}

/// Reads an answer, which must be a success.
fn answer(answers: &mut BufReader<TcpStream>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut status = String::new();
    answers.read_line(&mut status)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            return Err("the connection ended".into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    answers.read_exact(&mut body)?;
    if !status.contains(" 20") {
        return Err(format!("{}: {}", status.trim_end(), String::from_utf8_lossy(&body)).into());
    }
    Ok(())
}
