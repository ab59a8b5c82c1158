//! Endpoints that are taken out for their answers, and come back.

use std::sync::Arc;
use std::time::Duration;

use crate::kit::{Behaviour, Bench, Upstream};
use crate::table::{cluster, everything, outlier, table};

#[tokio::test(start_paused = true)]
async fn the_third_error_ejects_for_thirty_seconds_and_a_reload_does_not_forgive() {
    let (good, bad) = (Upstream::start(Behaviour::Answer(200)).await, Upstream::start(Behaviour::Answer(500)).await);
    let mut pair = cluster("pair", &[good.address, bad.address]);
    pair.outlier = Some(outlier(3, 50));
    let bench = Bench::start(table("1", vec![everything("pair")], vec![pair.clone()])).await;

    for _ in 0..60 {
        bench.get("/").await;
    }
    assert_eq!(bad.hits(), 3);

    let third = Upstream::start(Behaviour::Answer(200)).await;
    pair.endpoints.push(crate::table::endpoint(third.address));
    bench.table.send(Arc::new(table("2", vec![everything("pair")], vec![pair]))).unwrap();
    while third.hits() == 0 {
        assert_eq!(bench.get("/").await.status, 200);
    }
    assert_eq!(bad.hits(), 3);

    tokio::time::advance(Duration::from_secs(31)).await;
    while bad.hits() == 3 {
        bench.get("/").await;
    }
}
