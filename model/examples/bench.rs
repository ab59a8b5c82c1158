//! What `bench/model/run` times: training on a given matrix, and look-ups of 5,000 nodes.
//!
//! `bench fit FILE ROWS COLUMNS` reads ROWS x COLUMNS, then ROWS little-endian doubles, trains on the first 100,000 rows and
//! prints the R2 of the rest.
#![allow(clippy::print_stdout, reason = "a program that prints its result")]

use std::io;
use std::path::Path;

use ndarray::ArrayView2;
use wattle_model::boost::{BoostOptions, Boosted, Targets};
use wattle_model::features::Monotone;
use wattle_model::{named, score};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["fit", file, rows, columns] => fit(file, rows.parse().unwrap_or(0), columns.parse().unwrap_or(0)),
        ["task", dataset, split, directory] => task(dataset, split, directory),
        _ => Err(io::Error::other("usage: bench fit FILE ROWS COLUMNS | bench task DATASET SPLIT DIRECTORY")),
    }
}

fn task(dataset: &str, split: &str, directory: &str) -> io::Result<()> {
    let score = named::bench_task(dataset, split, Path::new(directory)).map_err(io::Error::other)?;
    println!("{}", serde_json::to_string(&score)?);
    Ok(())
}

fn fit(file: &str, rows: usize, columns: usize) -> io::Result<()> {
    let bytes = std::fs::read(file)?;
    let values: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect();
    let (x, y) = values.split_at_checked(rows * columns).ok_or_else(|| io::Error::other("the file is too short"))?;
    let train = rows.min(100_000);
    let seen = ArrayView2::from_shape((train, columns), &x[..train * columns]).map_err(io::Error::other)?;
    let model =
        Boosted::fit(seen, &Targets::Exact(&y[..train]), &vec![Monotone::Free; columns], &BoostOptions::default())
            .map_err(io::Error::other)?;
    let unseen = x.chunks_exact(columns).zip(y).skip(train);
    let pairs: Vec<(f64, f64)> = unseen.map(|(row, y)| (*y, model.at(row))).collect();
    println!("{}", score::r2(&pairs).unwrap_or(f64::NAN));
    Ok(())
}
