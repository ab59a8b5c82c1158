use promql_parser::label::{MatchOp, Matcher};
use proptest::prelude::*;

use super::*;

fn exemplar(time: i64, value: f64, trace: &str) -> Exemplar {
    Exemplar { time, has_time: true, value, labels: Labels::new([("trace_id", trace)]) }
}

fn series(pod: &str) -> Labels {
    Labels::new([("__name__", "x"), ("pod", pod)])
}

fn all() -> [Matchers; 1] {
    [Matchers::new(vec![Matcher::new(MatchOp::Equal, "__name__", "x")])]
}

#[test]
fn a_series_keeps_its_newest_and_all_together_those_that_came_last() {
    let mut kept = Kept::new(OF_SERIES + 10);

    for at in 0..OF_SERIES as i64 + 5 {
        kept.add(series("a"), exemplar(at, 1.0, "t"));
    }
    let found = kept.select(&all(), i64::MIN, i64::MAX);
    assert_eq!((found[0].1.len(), found[0].1[0].time), (OF_SERIES, 5));
    assert!(!kept.is_new(&series("a"), &exemplar(4, 1.0, "late")), "older than all of a full series");

    for at in 0..20 {
        kept.add(series("b"), exemplar(at, 1.0, "t"));
    }
    let found = kept.select(&all(), i64::MIN, i64::MAX);
    assert_eq!((found[0].1.len(), found[1].1.len()), (OF_SERIES - 10, 20));
    assert_eq!(kept.len(), OF_SERIES + 10);
    kept.drop_before(15);
    assert_eq!(kept.select(&all(), i64::MIN, i64::MAX)[1].1.len(), 5);
    assert_eq!(kept.all().len(), kept.len());
}

#[test]
fn the_same_again_is_not_kept_twice_and_a_late_one_stands_in_its_place() {
    let mut kept = Kept::new(100);
    let untimed = |time| Exemplar { has_time: false, ..exemplar(time, 2.0, "u") };

    for one in [exemplar(10, 1.0, "a"), exemplar(10, 1.0, "a"), exemplar(5, 1.0, "a"), untimed(20), untimed(30)] {
        kept.add(series("a"), one);
    }

    let times: Vec<i64> = kept.select(&all(), 0, 100)[0].1.iter().map(|one| one.time).collect();
    assert_eq!(times, [5, 10, 20]);
    assert_eq!(kept.select(&all(), 6, 10)[0].1.len(), 1, "both ends are included");
    let mut none = Kept::new(0);
    none.add(series("a"), exemplar(1, 1.0, "a"));
    assert_eq!(none.len(), 0);
}

proptest! {
    #[test]
    fn rows_come_back(values in prop::collection::vec((any::<i64>(), any::<u64>(), ".{1,20}", any::<bool>()), 0..20)) {
        let batch: Vec<Of> = values.into_iter().map(|(time, bits, text, has_time)| {
            (series(&text), Exemplar { has_time, ..exemplar(time, f64::from_bits(bits), &text) })
        }).collect();

        let back = codec::decode(&codec::encode(&batch).expect("encodes")).expect("its own encoding");

        prop_assert_eq!(back.len(), batch.len());
        for ((one, a), (other, b)) in back.iter().zip(&batch) {
            prop_assert_eq!((one, a.time, a.has_time, a.value.to_bits(), &a.labels),
                            (other, b.time, b.has_time, b.value.to_bits(), &b.labels));
        }
    }

    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(codec::decode(&bytes).is_none());
    }
}
