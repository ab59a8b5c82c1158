//! What becomes of write requests of both versions.

use prost::Message;

use super::*;

#[derive(Clone, PartialEq, Message)]
struct Two {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<TwoSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TwoSeries {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Value>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Value {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

fn two(time: i64, value: f64, is_histogram: bool) -> Vec<u8> {
    let symbols = ["", "__name__", "up", "pod", "a"].map(str::to_owned).to_vec();
    let sample = vec![Value { value, timestamp: time }];
    let series = TwoSeries {
        labels: vec![1, 2, 3, 4],
        samples: sample.clone(),
        histograms: if is_histogram { sample } else { Vec::new() },
    };
    Two { symbols, series: vec![series] }.encode_to_vec()
}

fn headers(content_type: &'static str, encoding: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    headers
}

const TWO: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

async fn text(answer: Response) -> String {
    use http_body_util::BodyExt;
    let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_store_that_fails_is_told_as_503_and_when_to_come_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let intake = Intake::of_a_closed_store(dir.path()).await;
    let body = snap::raw::Encoder::new().compress_vec(&two(1, 1.0, false)).expect("snappy");

    let answer = write(State(intake), headers(TWO, "snappy"), body.into()).await;

    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[header::RETRY_AFTER], "5");
}

#[tokio::test]
async fn version_two_says_what_was_written_packed_either_way() {
    let dir = tempfile::tempdir().expect("a folder");
    let intake = Intake::of_a_new_store(dir.path()).await;
    let snappy = snap::raw::Encoder::new().compress_vec(&two(1_000, 1.0, false)).expect("snappy");
    let zstd = zstd::bulk::compress(&two(2_000, 2.0, false), 1).expect("zstd");

    for (encoding, body) in [("snappy", snappy), ("zstd", zstd)] {
        let answer = write(State(intake.clone()), headers(TWO, encoding), body.into()).await;

        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.headers()[&WRITTEN[0]], "1");
        assert_eq!(answer.headers()[&WRITTEN[1]], "0");
    }
    assert_eq!(intake.samples.series_count(), 1);
}

#[tokio::test]
async fn what_is_not_taken_is_named_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let intake = Intake::of_a_new_store(dir.path()).await;
    let packed = |plain: &[u8]| snap::raw::Encoder::new().compress_vec(plain).expect("snappy");
    let first = packed(&two(1_000, 1.0, false));
    assert!(write(State(intake.clone()), headers(TWO, "snappy"), first.into()).await.status().is_success());

    let conflict = write(State(intake.clone()), headers(TWO, "snappy"), packed(&two(1_000, 2.0, false)).into()).await;
    assert_eq!(conflict.status(), StatusCode::BAD_REQUEST);
    assert_eq!(conflict.headers()[&WRITTEN[0]], "0");
    assert!(text(conflict).await.contains(r#"up{pod="a"}: another value"#));

    let histogram = write(State(intake.clone()), headers(TWO, "snappy"), packed(&two(3_000, 2.0, true)).into()).await;
    assert_eq!(histogram.status(), StatusCode::BAD_REQUEST);
    assert_eq!(histogram.headers()[&WRITTEN[0]], "1");
    assert!(text(histogram).await.contains("native histogram"));
}

#[tokio::test]
async fn bombs_and_foreign_messages_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let intake = Intake::of_a_new_store(dir.path()).await;
    let bomb = zstd::bulk::compress(&vec![0; 200 << 20], 1).expect("zstd");
    let lie = [0xff, 0xff, 0xff, 0x1f, 0, 0].to_vec();
    for (content_type, encoding, body, status) in [
        (TWO, "zstd", bomb, StatusCode::BAD_REQUEST),
        (TWO, "snappy", lie, StatusCode::BAD_REQUEST),
        (TWO, "snappy", b"garbage".to_vec(), StatusCode::BAD_REQUEST),
        ("application/x-protobuf;proto=other", "snappy", Vec::new(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (TWO, "br", Vec::new(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let answer = write(State(intake.clone()), headers(content_type, encoding), body.into()).await;
        assert_eq!(answer.status(), status, "{content_type} {encoding}");
    }
}

#[tokio::test]
async fn a_series_that_left_the_memory_is_named_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let intake = Intake::of_a_new_store(dir.path()).await;
    let send = async |time| {
        let body = snap::raw::Encoder::new().compress_vec(&two(time, 1.0, false)).expect("snappy");
        write(State(intake.clone()), headers(TWO, "snappy"), body.into()).await.status()
    };
    assert_eq!(send(1_000).await, StatusCode::NO_CONTENT);
    let now = crate::receive::intake::now();
    intake.samples.cut(now, crate::store::samples::Due::All).await.expect("cut");
    assert_eq!(intake.samples.let_go(now).await.expect("let go"), 1);
    assert_eq!(intake.samples.series_count(), 0);

    assert_eq!(send(2_000).await, StatusCode::NO_CONTENT);

    assert_eq!(intake.samples.series_count(), 1);
}
