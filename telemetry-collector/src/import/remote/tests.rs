use super::*;
use crate::query::prometheus_api::remote_read::wire::{Label, QueryResult, Sample, TimeSeries};

/// A server with one sample a minute that refuses more than `most` of them at once.
struct Server {
    most: i64,
    asked: Vec<(i64, i64)>,
}

impl Server {
    fn answer(&mut self, body: &[u8]) -> Result<bytes::Bytes, Unanswered> {
        let plain = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
        let request = ReadRequest::decode(plain.as_slice()).expect("a request");
        let (start, end) = (request.queries[0].start, request.queries[0].end);
        self.asked.push((start, end));
        let times: Vec<i64> = (0..=end / 60_000).map(|at| at * 60_000).filter(|time| *time >= start).collect();
        if times.len() as i64 > self.most {
            return Err(Unanswered { reason: "exceeded sample limit".to_owned(), is_too_much: true });
        }
        // A chunk reaches beyond what was asked for.
        let times = times.into_iter().chain([end + 1]);
        let samples = times.map(|timestamp| Sample { value: timestamp as f64, timestamp }).collect();
        let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        let labels = vec![label("__name__", "a"), label("job", "b")];
        let series = vec![TimeSeries { labels, samples, histograms: Vec::new() }];
        let plain = ReadResponse { results: vec![QueryResult { series }] }.encode_to_vec();
        Ok(snap::raw::Encoder::new().compress_vec(&plain).expect("packs").into())
    }
}

#[tokio::test]
async fn a_server_with_a_limit_is_asked_for_less_and_every_sample_comes_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", dir.path().join("new.db").display());
    let mut server = Server { most: 20, asked: Vec::new() };
    let asked = RemoteRead::new(&[], (Timestamp(0), Timestamp(7_200_000))).expect("no selector");
    let mut told = Vec::new();

    let imported = import_remote(&url, &asked, async |body| server.answer(&body), |at| told.push(at.0)).await;

    assert_eq!(imported.expect("it answers"), Imported { samples: 120, rejected: 0, first: None });
    assert_eq!(told.last(), Some(&7_200_000));
    assert!(told.is_sorted() && server.asked.len() > 6, "{told:?}");
}

#[tokio::test]
async fn a_server_that_answers_with_a_page_is_told_of_and_a_bad_selector_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", dir.path().join("new.db").display());
    let asked = RemoteRead::new(&["up".to_owned()], (Timestamp(0), Timestamp(1))).expect("a selector");

    let page = import_remote(&url, &asked, async |_| Ok("<html>not found</html>".into()), |_| {}).await;
    assert!(page.expect_err("a page").to_string().contains("is this the address of remote read?"));

    let bad = RemoteRead::new(&["sum(up)".to_owned()], (Timestamp(0), Timestamp(1)));
    assert!(bad.expect_err("no selector").to_string().contains("'sum(up)' selects no series"));
}
