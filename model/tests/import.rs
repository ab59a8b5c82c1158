//! Parquet as other programs write it: what a table with the same values is, it is.

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use wattle_contract::Window;
use wattle_model::import::{windows_from_csv, windows_from_parquet};

/// Time, node, use, capacity, and a power that may be unknown.
const ROWS: [(i64, &str, f64, i32, Option<f32>); 3] =
    [(0, "a", 1000.5, 8000, Some(90.5)), (5000, "a", 2000.0, 8000, None), (5000, "b", 0.0, 16_000, Some(f32::NAN))];

fn csv() -> Vec<Window> {
    let text = "start_ms,end_ms,node,cpu_used_millicores,cpu_capacity_millicores,power_watts\n\
                0,5000,a,1000.5,8000,90.5\n5000,10000,a,2000,8000,\n5000,10000,b,0,16000,\n";
    windows_from_csv("rows.csv", text.as_bytes()).expect("windows")
}

/// Writes the rows; `a_ms` is how many units of time a millisecond is.
fn file(time: &str, a_ms: i64, compression: Compression) -> Vec<u8> {
    let schema = format!(
        "message rows {{ required int64 start_ms {time}; required int64 end_ms {time}; required binary node (UTF8);
           required double cpu_used_millicores; required int32 cpu_capacity_millicores; optional float power_watts; }}"
    );
    let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let mut number = 0;
    while let Some(mut column) = group.next_column().expect("a column") {
        let written = match column.untyped() {
            ColumnWriter::Int64ColumnWriter(c) => {
                let times = ROWS.map(|row| (row.0 + if number == 1 { 5000 } else { 0 }) * a_ms);
                c.write_batch(&times, None, None)
            }
            ColumnWriter::ByteArrayColumnWriter(c) => {
                c.write_batch(&ROWS.map(|row| ByteArray::from(row.1)), None, None)
            }
            ColumnWriter::DoubleColumnWriter(c) => c.write_batch(&ROWS.map(|row| row.2), None, None),
            ColumnWriter::Int32ColumnWriter(c) => c.write_batch(&ROWS.map(|row| row.3), None, None),
            ColumnWriter::FloatColumnWriter(c) => {
                let known: Vec<f32> = ROWS.iter().filter_map(|row| row.4).collect();
                c.write_batch(&known, Some(&ROWS.map(|row| i16::from(row.4.is_some()))), None)
            }
            _ => panic!("no such column"),
        };
        assert!(written.is_ok(), "{written:?}");
        column.close().expect("closed");
        number += 1;
    }
    group.close().expect("closed");
    writer.into_inner().expect("a file")
}

#[test]
fn numbers_and_times_of_any_unit_are_what_a_table_says() {
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
        for (time, a_ms) in [
            ("", 1),
            ("(TIMESTAMP(MILLIS,true))", 1),
            ("(TIMESTAMP(MICROS,true))", 1000),
            ("(TIMESTAMP(NANOS,false))", 1_000_000),
        ] {
            let bytes = file(time, a_ms, compression);

            let windows = windows_from_parquet("rows.parquet", bytes.as_slice()).expect("windows");

            assert_eq!(windows, csv(), "{time} {compression:?}");
        }
    }
}

#[test]
fn a_cut_or_changed_file_is_refused_or_read_and_never_a_panic() {
    let bytes = file("", 1, Compression::SNAPPY);
    for end in 0..bytes.len() {
        assert!(windows_from_parquet("cut.parquet", &bytes[..end]).is_err(), "cut after {end} bytes");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        let _ = windows_from_parquet("changed.parquet", changed.as_slice());
    }
}

#[test]
fn a_footer_whose_list_says_it_is_endless_is_refused_at_once() {
    // Found by fuzzing: the reader counted to two to the power of 32 for it.
    let mut bytes = vec![0xb9; 121];
    bytes.extend_from_slice(
        b"\x5b\xff\xff\xff\xff\x02\x11\x00\x00\x00\x00\x00\x00\x00\x02\x02\x02\x02\x02\x2b\x00\x00\x00\x00\x30\x00\x00\x00\x50\x41\x52\x31",
    );

    let refused = windows_from_parquet("endless.parquet", bytes.as_slice()).expect_err("it is no table");

    assert!(refused.to_string().contains("its footer is damaged"), "{refused}");
}
