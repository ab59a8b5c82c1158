//! Training data from files: readers in, windows out.
//!
//! A file has the same fate as a store: it becomes [`Window`]s, and from there on nothing knows where it came from.

mod footer;
mod kepler;
mod parquet;
mod table;

use std::io::{BufRead, Read};

use wattle_contract::Window;

use crate::Error;
use crate::csv::Csv;
use table::into_windows;

pub use kepler::windows_from_kepler_json;
pub use table::{OPTIONAL, REQUIRED};

/// Reads windows from a CSV file with a row a node and window; columns are [`REQUIRED`] and [`OPTIONAL`].
///
/// # Errors
/// [`Error::Read`] when reading fails, [`Error::Import`] for a missing or unknown column, a cell that is not what its
/// column holds, or a window that ends before it starts; each names the line.
pub fn windows_from_csv(name: &str, reader: impl BufRead) -> Result<Vec<Window>, Error> {
    table::windows(name, &Csv::read(name, reader)?)
}

/// Reads windows from a Parquet file with the same columns; a null is unknown, a time becomes milliseconds.
///
/// # Errors
/// As [`windows_from_csv`], and [`Error::Import`] for what is no Parquet file, or is damaged, or has nested columns.
pub fn windows_from_parquet(name: &str, mut reader: impl Read) -> Result<Vec<Window>, Error> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|source| Error::Read { name: name.to_owned(), source })?;
    table::windows(name, &parquet::table(name, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    const CSV: &str = "start_ms,end_ms,node,cpu_used_millicores,cpu_capacity_millicores,power_watts,class\n\
                       0,5000,a,1000,8000,90.5,small\n0,5000,b,,8000,70,\n5000,10000,a,2000,8000,,small\n";

    #[test]
    fn rows_become_windows_and_empty_cells_stay_unknown() {
        let windows = windows_from_csv("power.csv", CSV.as_bytes()).expect("windows");

        assert_eq!((windows.len(), windows[0].nodes.len()), (2, 2));
        assert_eq!(windows[0].nodes[1].cpu_used_millicores, None);
        assert_eq!(windows[1].nodes[0].power_watts, None);
        assert_eq!(windows[0].nodes[0].machine.class.as_deref(), Some("small"));
        let data = Dataset::from_windows(&windows);
        assert_eq!((data.power.len(), data.excluded.no_cpu, data.excluded.no_meter), (1, 1, 1));
    }

    #[test]
    fn a_row_of_a_service_carries_its_latency() {
        let csv = "start_ms,end_ms,node,service,cpu_used_millicores,cpu_capacity_millicores,requests_per_second,p95_ms,p95_low_ms,p95_high_ms\n\
                   0,5000,a,,1000,8000,20,,,\n0,5000,a,search,200,,20,12.5,10,25\n0,5000,a,user,,,3,900,500,\n";

        let windows = windows_from_csv("latency.csv", csv.as_bytes()).expect("windows");

        assert_eq!((windows.len(), windows[0].nodes.len(), windows[0].services.len()), (1, 1, 2));
        let bracket = windows[0].services[1].p95_ms.expect("measured");
        assert_eq!((bracket.estimate.get(), bracket.high), (900.0, None));
        assert_eq!(Dataset::from_windows(&windows).latency.len(), 2);
    }

    #[test]
    fn what_is_no_parquet_file_is_refused_by_name() {
        for bytes in [b"".as_slice(), b"PAR1", b"PAR1\xff\xff\xff\x7fPAR1", CSV.as_bytes()] {
            let refused = windows_from_parquet("x.parquet", bytes).expect_err("no Parquet");
            assert!(refused.to_string().starts_with("x.parquet, line 1: cannot be read as Parquet"), "{refused}");
        }
    }

    #[test]
    fn faults_name_their_line() {
        let unknown = windows_from_csv("x.csv", "start_ms,end_ms,node,cpu,cpu_capacity_millicores\n".as_bytes());
        let empty = windows_from_csv("x.csv", CSV.replace("0,5000,b", "5,5,b").as_bytes());

        assert!(unknown.is_err_and(|error| error.to_string().starts_with("x.csv, line 1: unknown column \"cpu\"")));
        assert!(empty.is_err_and(|error| error.to_string() == "x.csv, line 3: the window from 5 to 5 ms is empty"));
    }
}
