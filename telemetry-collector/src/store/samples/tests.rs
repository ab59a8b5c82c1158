//! What chunks, journal and memory hold together, over a store of its own.

use promql_parser::label::{MatchOp, Matcher};
use wattle_contract::{Labels, METRIC_NAME, Sample};

use super::*;
use crate::store::outcome::Reason;

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
    samples.append(times.into_iter().map(sample).collect::<Vec<_>>(), NOW).await.expect("journalled")
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
    assert_eq!(samples.let_go(NOW).await.expect("let go"), 1);
    samples.forget(Timestamp(1_000_000)).await.expect("dropped");
    assert_eq!(samples.series_count(), 1);
    assert!(times(&samples, "old", 0).await.is_empty());

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
    let all: Vec<i64> = (0..=crate::store::pack::LONGEST as i64).collect();
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

#[tokio::test]
async fn a_series_that_left_the_memory_is_found_where_a_query_reaches_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let samples = open(&store).await;
    append(&samples, "gone", (0..200).map(|at| at * 1_000)).await;
    append(&samples, "other", [5_000]).await;
    samples.cut(NOW, Due::All).await.expect("cut");
    assert_eq!(samples.let_go(NOW).await.expect("let go"), 2);
    append(&samples, "gone", [NOW.0]).await;
    assert_eq!(samples.series_count(), 1);

    let mut expected: Vec<i64> = (0..200).map(|at| at * 1_000).collect();
    assert_eq!(times(&samples, "other", 0).await, [5_000]);
    expected.push(NOW.0);
    assert_eq!(times(&samples, "gone", 0).await, expected, "both lives of it");
    assert_eq!(times(&samples, "gone", NOW.0 - 1).await, [NOW.0]);
    let again = open(&store).await;
    assert_eq!(again.series_count(), 1, "only what is active comes back");
    assert_eq!(times(&again, "gone", 0).await, expected);
}

#[tokio::test]
async fn small_blocks_are_joined_and_nothing_is_lost_by_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let samples = open(&store).await;
    for name in ["a", "b", "c"] {
        append(&samples, name, [NOW.0]).await;
    }

    samples.join_blocks().await.expect("joined");

    assert_eq!(store.live_blocks().await.expect("read").len(), 1);
    let again = open(&store).await;
    for name in ["a", "b", "c"] {
        assert_eq!(times(&again, name, 0).await, [NOW.0]);
    }
}

#[tokio::test]
async fn what_comes_at_once_is_committed_together() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let samples = open(&store).await;

    let all = (0..50).map(|at| {
        let samples = samples.clone();
        async move { append(&samples, "x", [at * 1_000]).await.accepted }
    });
    let accepted: usize = futures_util::future::join_all(all).await.into_iter().sum();

    assert_eq!(accepted, 50);
    assert_eq!(times(&samples, "x", 0).await, (0..50).map(|at| at * 1_000).collect::<Vec<_>>());
    assert!(store.stats().await.expect("counts").journal_rows < 50);
}

#[tokio::test]
async fn a_store_of_the_first_layout_is_taken_over_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let crate::store::Backend::Sqlite(pool) = &store.backend else { unreachable!("an SQLite file") };
    let points: Vec<(i64, f64)> = (0..300).map(|at| (at * 1_000, at as f64)).collect();
    let entries: Vec<_> =
        points[200..].iter().map(|&(time, value)| crate::store::journal::Entry { series: 7, time, value }).collect();
    let body = crate::store::journal::Encoder::new().expect("zstd").encode(&entries).expect("compresses");
    sqlx::query("insert into series (id, labels, cut_seq) values (7, '{\"__name__\":\"x\"}', 3)")
        .execute(pool)
        .await
        .expect("written");
    sqlx::query("insert into chunk (series_id, start_ms, end_ms, sample_count, body) values (7, 0, 199000, 200, $1)")
        .bind(crate::store::chunk::encode(&points[..200]))
        .execute(pool)
        .await
        .expect("written");
    sqlx::query("insert into journal (seq, body) values (4, $1)").bind(body).execute(pool).await.expect("written");

    assert_eq!(store.take_over().await.expect("taken over"), 1);
    assert_eq!(store.take_over().await.expect("once"), 0);

    let samples = open(&store).await;
    assert_eq!(times(&samples, "x", 0).await, points.iter().map(|point| point.0).collect::<Vec<_>>());
    assert_eq!(append(&samples, "x", [400_000]).await.accepted, 1);
    assert_eq!(times(&*open(&store).await, "x", 250_000).await.len(), 51);
}

#[tokio::test]
async fn a_metric_with_too_many_series_is_bounded_and_the_others_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let samples = open(&store(dir.path()).await).await;
    samples.limit(Limits { series: 4, of_metric: 2 });
    let write = async |metric: &'static str, pods: &[&str]| {
        let sample = |pod: &&str| Sample {
            labels: Labels::new([(METRIC_NAME, metric), ("pod", pod)]),
            timestamp: NOW,
            value: 1.0,
        };
        let batch: Vec<Sample> = pods.iter().map(sample).collect();
        let outcome = samples.append(batch, NOW).await.expect("journalled");
        (outcome.accepted, outcome.rejected)
    };

    assert_eq!(write("x", &["a", "b", "c"]).await, (2, vec![(Reason::TooManyOfMetric, 1)]));
    assert_eq!(write("x", &["a", "d"]).await, (1, vec![(Reason::TooManyOfMetric, 1)]));
    assert_eq!(write("y", &["a"]).await, (1, vec![]));
    assert_eq!(write("z", &["a", "b"]).await, (1, vec![(Reason::TooManySeries, 1)]));
}

#[tokio::test]
async fn a_whole_store_verifies_a_damaged_one_does_not_and_a_copy_answers_alike() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let samples = open(&store).await;
    append(&samples, "x", (0..300).map(|at| at * 1_000)).await;
    samples.cut(NOW, Due::All).await.expect("cut");
    append(&samples, "x", [400_000]).await;

    let whole = store.verify().await.expect("read");
    assert_eq!((whole.series, whole.samples, whole.journal_rows, whole.problems), (1, 300, 1, 0), "{whole:?}");
    let copy = dir.path().join("copy.db");
    store.backup(&copy).await.expect("copied");
    assert!(store.backup(&copy).await.is_err(), "nothing is overwritten");
    let copied = Arc::new(Store::open(&format!("sqlite://{}", copy.display())).await.expect("opens"));
    assert_eq!(times(&*open(&copied).await, "x", 0).await.len(), 301);

    let crate::store::Backend::Sqlite(pool) = &copied.backend else { unreachable!("an SQLite file") };
    sqlx::query("update sample_pack set body = x'00'").execute(pool).await.expect("damaged");
    assert_eq!(copied.verify().await.expect("read").problems, 1);
}

#[tokio::test]
async fn backfill_takes_samples_of_any_age() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", dir.path().join("wattle.db").display());
    let text =
        "# TYPE x counter\nx_total{a=\"1\"} 5 9000000\nx_total{a=\"1\"} 1 1000\nx_total{a=\"2\"} 1 1000\n# EOF\n";

    let done = crate::import(&url, text.as_bytes(), |_| ()).await.expect("imported");
    let again = crate::import(&url, text.as_bytes(), |_| ()).await.expect("imported");

    assert_eq!((done.samples, done.rejected, again.rejected), (3, 0, 0));
    let bad = crate::import(&url, "x 1\n".as_bytes(), |_| ()).await.expect_err("no time");
    assert_eq!(bad.to_string(), "line 1: a sample without a time");
    let samples = open(&Arc::new(Store::open(&url).await.expect("opens"))).await;
    assert_eq!(times(&samples, "x_total", 0).await, [1_000_000, 9_000_000_000, 1_000_000]);
}

#[tokio::test]
async fn a_clock_that_jumps_a_day_and_back_costs_nothing_that_was_stored() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let samples = open(&store).await;
    let at = |now: i64, name: &str, time: i64| {
        let sample = Sample { labels: Labels::new([(METRIC_NAME, name)]), timestamp: Timestamp(time), value: 1.0 };
        samples.append(vec![sample], Timestamp(now))
    };
    let (before, jumped) = (NOW.0, NOW.0 + 86_400_000);
    for second in 0..200 {
        at(before + second * 1_000, "x", before + second * 1_000).await.expect("journalled");
    }

    // Every minute's work under the wrong clock: all is old, all is idle.
    assert_eq!(at(jumped, "wrong", jumped).await.expect("journalled").accepted, 1);
    while samples.cut(Timestamp(jumped), Due::Full).await.expect("cut") > 0 {}
    samples.let_go(Timestamp(jumped)).await.expect("let go");
    // The clock is right again.
    let now = before + 300_000;
    assert_eq!(at(now, "x", now).await.expect("journalled").accepted, 1);
    assert_eq!(at(now, "new", now).await.expect("journalled").accepted, 1);
    let wrong = at(now, "wrong", now).await.expect("journalled");
    assert_eq!(wrong.rejected, [(Reason::TooOld, 1)], "the series that has a sample of tomorrow says so");
    while samples.cut(Timestamp(now), Due::All).await.expect("cut") > 0 {}

    for samples in [samples, open(&store).await] {
        let found = times(&samples, "x", 0).await;
        assert_eq!((found.len(), found.last()), (201, Some(&now)));
        assert_eq!(times(&samples, "wrong", 0).await, [jumped]);
    }
}

#[tokio::test]
async fn processes_that_come_and_go_for_hours_leave_no_more_in_memory_than_after_half_of_one() {
    const LIVE: i64 = 40;
    /// Samples of a process' life, as captured: one every 5 s.
    const LIFE: i64 = 32;
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path()).await;
    let samples = open(&store).await;
    let mut counts = Vec::new();

    // Two hours, everything 5 s; a process in turn ends and another begins.
    for step in 0..1_440_i64 {
        let now = Timestamp(NOW.0 + step * 5_000);
        let of = |process: i64| Sample {
            labels: Labels::new([(METRIC_NAME, "kepler_process_cpu_joules_total"), ("pid", &process.to_string())]),
            timestamp: now,
            value: step as f64,
        };
        let begun = step * LIVE / LIFE;
        let scrape: Vec<Sample> = (begun..begun + LIVE).map(of).collect();
        samples.append(scrape, now).await.expect("journalled");
        while samples.cut(now, Due::Full).await.expect("cut") > 0 {}
        if step % 12 == 0 {
            samples.let_go(now).await.expect("let go");
            samples.join_blocks().await.expect("joined");
            counts.push(samples.series_count());
        }
    }

    let (half_an_hour, two_hours) = (counts[30], counts[119]);
    assert!(two_hours <= half_an_hour * 21 / 20, "{half_an_hour} series after half an hour, {two_hours} after two");
    // The live ones, and those of the last twenty minutes.
    assert!(two_hours < 40 + 40 * 23 * 60 / 160, "{two_hours}");
    let all = samples.find_cold(&Matchers::new(Vec::new()), 0, i64::MAX).await.expect("found").len();
    assert_eq!(all + samples.series_count(), 1_439 * 40 / 32 + 40, "what left the memory is in the store");
}
