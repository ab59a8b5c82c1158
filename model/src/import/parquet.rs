//! Parquet files as tables: flat columns of numbers, text and times.
//!
//! A null, and a NaN (which some writers mean by it), is unknown. A time becomes milliseconds since 1970.

use bytes::Bytes;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::footer;
use crate::Error;
use crate::csv::Csv;

/// Most rows that a file may say it has: a year of 15 s windows of a hundred nodes has four times fewer.
const MOST_ROWS: i64 = 1_000_000_000;
/// Most bytes that its columns may say to unpack to.
const MOST_BYTES: i64 = 16 << 30;

/// Reads a file whole.
///
/// # Errors
/// [`Error::Import`] when it is no Parquet file, is damaged, is too large, or has a column that is none of those.
pub(super) fn table(name: &str, bytes: Vec<u8>) -> Result<Csv, Error> {
    // The reader is known to panic on some damaged files; what is damaged is to be refused, not to end the program.
    let read = std::panic::catch_unwind(|| read(Bytes::from(bytes)));
    let (columns, rows) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(fault)) => return Err(refused(name, fault)),
        Err(_) => return Err(refused(name, Fault::at(0, "it is damaged".to_owned()))),
    };
    Csv::from_rows(name, columns, rows)
}

/// What is wrong, and in which row (counted from one; zero where it is the file).
struct Fault {
    row: u64,
    reason: String,
}

impl Fault {
    const fn at(row: u64, reason: String) -> Self {
        Self { row, reason }
    }
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        let error = error.to_string();
        let hint = if error.contains("Disabled feature") { " (write it with snappy, gzip, zstd or none)" } else { "" };
        Self::at(0, format!("cannot be read as Parquet: {error}{hint}"))
    }
}

fn refused(name: &str, fault: Fault) -> Error {
    Error::Import { name: name.to_owned(), line: fault.row + 1, reason: fault.reason }
}

type Rows = (Vec<String>, Vec<Vec<String>>);

fn read(bytes: Bytes) -> Result<Rows, Fault> {
    if !footer::fits(&bytes) {
        return Err(Fault::at(0, "cannot be read as Parquet: its footer is damaged".to_owned()));
    }
    let reader = SerializedFileReader::new(bytes)?;
    let about = reader.metadata();
    let rows = about.file_metadata().num_rows();
    let unpacked = about.row_groups().iter().fold(0_i64, |sum, group| sum.saturating_add(group.total_byte_size()));
    if !(0..=MOST_ROWS).contains(&rows) || !(0..=MOST_BYTES).contains(&unpacked) {
        return Err(Fault::at(0, format!("{rows} rows of {unpacked} bytes are too many to be read")));
    }
    let fields = about.file_metadata().schema_descr().root_schema().get_fields();
    let columns: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
    let in_nanoseconds: Vec<bool> = fields.iter().map(|field| is_in_nanoseconds(field)).collect();
    let mut table = Vec::new();
    for (number, row) in (1_u64..).zip(reader.get_row_iter(None)?) {
        let mut cells = Vec::with_capacity(columns.len());
        for ((column, field), is_in_nanoseconds) in row?.get_column_iter().zip(&in_nanoseconds) {
            let cell = match field {
                Field::Long(time) if *is_in_nanoseconds => Some(time.div_euclid(1_000_000).to_string()),
                field => cell(field),
            };
            cells.push(
                cell.ok_or_else(|| Fault::at(number, format!("{column} is {field}, expected a number, text or time")))?,
            );
        }
        table.push(cells);
    }
    Ok((columns, table))
}

/// Tells a time in nanoseconds, as pandas writes; the reader gives it as a plain number.
fn is_in_nanoseconds(field: &Type) -> bool {
    let kind = field.get_basic_info().logical_type_ref();
    matches!(kind, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
}

/// Writes a value as a cell; `None` for a group, list or other value that is none of those.
fn cell(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float16(value) => number(f64::from(*value)),
        Field::Float(value) => number(f64::from(*value)),
        Field::Double(value) => number(*value),
        Field::Str(value) => value.clone(),
        Field::TimestampMillis(value) => value.to_string(),
        Field::TimestampMicros(value) => value.div_euclid(1000).to_string(),
        _ => return None,
    })
}

fn number(value: f64) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}
