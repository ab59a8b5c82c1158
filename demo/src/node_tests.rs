use proptest::collection;
use proptest::prelude::{Strategy, prop_assert, proptest};
use tokio::runtime::Builder;

use super::*;
use crate::machines::MACHINES;

fn node(index: usize) -> Arc<Node> {
    Arc::new(Node::simulated(&MACHINES[index], Instant::now()))
}

fn pod(name: &str) -> PodKey {
    PodKey::new("hotel", name)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

#[tokio::test(start_paused = true)]
async fn an_idle_machine_draws_its_published_idle_power() {
    let node = node(0);

    tokio::time::sleep(Duration::from_secs(100)).await;

    let reading = node.read(Instant::now());
    assert!(close(reading.joules, 7410.0), "{reading:?}");
    assert_eq!((reading.active_joules, reading.busy_seconds), (0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn four_of_eight_cores_draw_the_power_of_half_load() {
    let node = node(1);
    let search = pod("search");
    node.start_pod(&search);

    let work = (0..4).map(|_| node.work(&search, Duration::from_secs(10)));
    futures(work).await;

    let reading = node.read(Instant::now());
    assert!(close(reading.joules, 961.0), "{reading:?}");
    assert!(close(reading.active_joules, 480.5));
    assert!(close(reading.pods[&search].seconds, 40.0));
}

#[tokio::test(start_paused = true)]
async fn a_faster_core_is_held_for_less_time_and_the_ninth_request_waits() {
    let node = node(2);
    let search = pod("search");
    node.start_pod(&search);
    let start = Instant::now();

    let work = (0..9).map(|_| node.work(&search, Duration::from_secs(1)));
    futures(work).await;

    let twice = 2.0 / MACHINES[2].relative_speed();
    assert!((start.elapsed().as_secs_f64() - twice).abs() < 0.003, "{:?}", start.elapsed());
}

/// One request: which pod, when it comes, how long it works, when it is given up (all in milliseconds).
type Request = (usize, u64, u64, u64);

fn request() -> impl Strategy<Value = Request> {
    (0..3_usize, 0..3000_u64, 1..900_u64, 1..3000_u64)
}

proptest! {
    #[test]
    fn energy_is_conserved(
        machine in 0..MACHINES.len(),
        requests in collection::vec(request(), 0..60),
        reads in collection::vec(0..5000_u64, 0..10),
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let (reading, idle_watts) = runtime.block_on(run(machine, requests, reads));

        let pods: f64 = reading.pods.values().map(|pod| pod.joules).sum();
        let seconds: f64 = reading.pods.values().map(|pod| pod.seconds).sum();
        prop_assert!(close(pods, reading.active_joules), "{reading:?}");
        prop_assert!(close(seconds, reading.busy_seconds), "{reading:?}");
        prop_assert!(reading.active_joules <= reading.joules);
        prop_assert!(reading.joules >= idle_watts * 6.0 - 1e-6, "{reading:?}");
    }
}

/// Runs requests of three pods for 6 s while the node is read now and then.
async fn run(machine: usize, requests: Vec<Request>, reads: Vec<u64>) -> (Reading, f64) {
    let node = node(machine);
    let pods = ["search", "rate", "geo"].map(pod);
    for pod in &pods {
        node.start_pod(pod);
    }
    let meter = tokio::spawn(Arc::clone(&node).run());
    let start = Instant::now();
    let requests = requests.into_iter().map(|(which, at, work, patience)| {
        let (node, pod) = (Arc::clone(&node), pods[which].clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(at)).await;
            let work = node.work(&pod, Duration::from_millis(work));
            let _ = tokio::time::timeout(Duration::from_millis(patience), work).await;
        })
    });
    let requests: Vec<_> = requests.collect();
    for at in reads {
        tokio::time::sleep_until(start + Duration::from_millis(at)).await;
        let _ = node.read(Instant::now());
    }
    for request in requests {
        request.await.expect("a request ends");
    }
    tokio::time::sleep_until(start + Duration::from_secs(6)).await;
    meter.abort();
    (node.read(Instant::now()), MACHINES[machine].watts[0])
}

#[tokio::test(start_paused = true)]
async fn a_stopped_pod_is_forgotten_only_once_it_is_quiet() {
    let node = node(0);
    let search = pod("search");
    node.start_pod(&search);
    node.forget(&search);
    assert!(node.read(Instant::now()).pods.contains_key(&search), "still running");

    let late = tokio::spawn({
        let (node, search) = (Arc::clone(&node), search.clone());
        async move { node.work(&search, Duration::from_secs(1)).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    node.end_pod(&search);
    node.forget(&search);
    assert!(node.read(Instant::now()).pods[&search].ended);

    late.await.expect("the request ends");
    let _ = node.read(Instant::now());
    node.forget(&search);
    assert!(node.read(Instant::now()).pods.is_empty());
}

async fn futures(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
