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

#[tokio::test(start_paused = true)]
async fn energy_is_conserved_over_pods_that_come_and_go() {
    let node = node(0);
    let (search, rate) = (pod("search"), pod("rate"));
    node.start_pod(&search);
    node.start_pod(&rate);
    let meter = tokio::spawn(Arc::clone(&node).run());

    for round in 1..40 {
        let pod = if round % 3 == 0 { &rate } else { &search };
        let given_up = tokio::time::timeout(Duration::from_millis(7), node.work(&rate, Duration::from_secs(1)));
        let (_, _) = tokio::join!(node.work(pod, Duration::from_millis(13 * round)), given_up);
        if round == 20 {
            node.end_pod(&rate);
        }
    }

    meter.abort();
    let reading = node.read(Instant::now());
    let pods: f64 = reading.pods.values().map(|pod| pod.joules).sum();
    let seconds: f64 = reading.pods.values().map(|pod| pod.seconds).sum();
    assert!(close(pods, reading.active_joules), "{reading:?}");
    assert!(close(seconds, reading.busy_seconds), "{reading:?}");
    assert!(reading.active_joules < reading.joules);
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
