//! Asks a collector everything that the crate `prometheus-http-query` can ask, and prints the answers as JSON.
//!
//! `http-query URL NOW`: times are in seconds. Any answer that the crate cannot read ends it with 1.

use std::error::Error;

use prometheus_http_query::{Client, RuleKind, Selector, TargetState};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (url, now) = (arguments.next().ok_or("which URL?")?, arguments.next().ok_or("what time?")?.parse::<i64>()?);
    let client: Client = url.parse()?;
    let requests = Selector::new().metric("http_requests_total");
    let by_pod = "sum by (pod) (rate(http_requests_total[5m]))";

    let instant = client.query(by_pod).at(now).timeout(5_000).get().await?;
    let posted = client.query(by_pod).at(now).post().await?;
    let scalar = client.query("1+1").at(4).post().await?;
    let range = client.query_range(by_pod, now - 300, now, 15.0).post().await?;
    let series = client.series([&requests])?.start(now - 900).end(now).get().await?;
    let wrong = client.query("sum(").at(now).get().await.err().map(|error| error.to_string());
    let told = json!({
        "instant": instant.data().as_vector().map(|vector| vector.len()),
        "posted": posted.data().as_vector().map(|vector| vector.len()),
        "scalar": scalar.data().as_scalar().map(|sample| (sample.timestamp(), sample.value())),
        "range": range.data().as_matrix().map(|matrix| matrix.iter().map(|one| one.samples().len()).sum::<usize>()),
        "series": series.len(),
        "label_names": client.label_names().start(now - 900).get().await?,
        "label_values": client.label_values("pod").selectors([&requests]).get().await?,
        "metadata": client.metric_metadata().limit(10).get().await?.len(),
        "target_metadata": client.target_metadata().get().await?.len(),
        "targets": client.targets(None).await?.active().len(),
        "dropped": client.targets(Some(TargetState::Dropped)).await?.dropped().len(),
        "rules": client.rules().kind(RuleKind::Alerting).group("energy").get().await?.len(),
        "alerts": client.alerts().await?.len(),
        "alertmanagers": client.alertmanagers().await?.active().len(),
        "flags": client.flags().await?.len(),
        "version": client.build_information().await?.version(),
        "retention": client.runtime_information().await?.storage_retention(),
        "head_series": client.tsdb_statistics().await?.head_stats().num_series(),
        "replayed": client.wal_replay_statistics().await?.current(),
        "healthy": client.is_server_healthy().await?,
        "ready": client.is_server_ready().await?,
        "wrong": wrong,
    });
    println!("{told}");
    Ok(())
}
