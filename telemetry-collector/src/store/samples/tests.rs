//! What chunks, journal and memory hold together, over a store of its own.

use promql_parser::label::{MatchOp, Matcher};
use wattle_contract::METRIC_NAME;

use super::*;

const NOW: Timestamp = Timestamp(10_000_000_000);

async fn store(dir: &std::path::Path) -> Arc<Store> {
    let url = format!("sqlite://{}", dir.join("wattle.db").display());
    Arc::new(Store::open(&url).await.expect("the store opens"))
}

async fn open(store: &Arc<Store>) -> Arc<Samples> {
    Arc::new(Samples::open(store.clone(), 15_000, NOW).await.expect("the journal is replayed"))
}

async fn append(samples: &Arc<Samples>, name: &str, times: impl IntoIterator<Item = i64>) -> Appended {
    let labels = Labels::new([(METRIC_NAME, name)]);
    let sample = |time| Sample { labels: labels.clone(), timestamp: Timestamp(time), value: 1.0 };
    samples.append(times.into_iter().map(sample).collect(), NOW).await.expect("journalled")
}

async fn times(samples: &Samples, name: &str, start: i64) -> Vec<i64> {
    let matchers = Matchers::new(vec![Matcher::new(MatchOp::Equal, METRIC_NAME, name)]);
    let found = samples.select(&matchers, start, i64::MAX, usize::MAX).await.expect("read").expect("no limit");
    found.into_iter().flat_map(|series| series.points).map(|point| point.0).collect()
}

#[tokio::test]
async fn a_late_sample_does_not_hide_the_chunk_before_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let samples = open(&store).await;
    append(&samples, "x", (100..300).map(|at| at * 1_000)).await;
    samples.cut(NOW, Due::All).await.expect("cut");

    append(&samples, "x", [99_500, 300_000]).await;
    samples.cut(NOW, Due::All).await.expect("cut");

    let expected: Vec<i64> = (200..=300).map(|at| at * 1_000).collect();
    assert_eq!(times(&samples, "x", 200_000).await, expected);
    assert_eq!(times(&*open(&store).await, "x", 200_000).await, expected, "nor after a start");
}

#[tokio::test]
async fn a_series_that_retention_dropped_does_not_stop_the_replay() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let samples = open(&store).await;
    append(&samples, "open", [NOW.0]).await;
    append(&samples, "old", (0..200).map(|at| at * 1_000)).await;
    samples.cut(NOW, Due::Full).await.expect("cut");
    samples.forget(Timestamp(1_000_000)).await.expect("dropped");
    assert_eq!(samples.series_count(), 1);

    let again = open(&store).await;
    append(&again, "new", [NOW.0]).await;

    for samples in [&again, &open(&store).await] {
        assert_eq!(times(samples, "open", 0).await, [NOW.0]);
        assert_eq!(times(samples, "new", 0).await, [NOW.0], "it has no samples of a series that had its id");
    }
}

#[tokio::test]
async fn more_samples_of_a_series_than_a_chunk_takes_come_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let samples = open(&store).await;
    let all: Vec<i64> = (0..=LONGEST_CHUNK as i64).collect();
    append(&samples, "x", all.iter().copied()).await;

    assert_eq!(samples.cut(NOW, Due::Full).await.expect("cut"), 2);

    assert_eq!(times(&samples, "x", 0).await, all);
    assert_eq!(times(&*open(&store).await, "x", 0).await, all);
}

#[tokio::test]
async fn the_earliest_time_there_is_is_a_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;

    let outcome = append(&open(&store).await, "x", [i64::MIN]).await;

    assert_eq!(outcome.accepted, 1);
    assert_eq!(times(&*open(&store).await, "x", i64::MIN).await, [i64::MIN]);
}
