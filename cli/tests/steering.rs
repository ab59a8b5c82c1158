//! Traffic follows the weights that a scheduler publishes to a proxy elsewhere.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;
use support::{Background, eventually, http, port_base};

const SERVICE: &str = "search.hotel.svc.cluster.local";

/// Serves one text for every request; the text may change.
fn server(text: &Arc<Mutex<String>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let text = Arc::clone(text);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let text = Arc::clone(&text);
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                // A head ends with an empty line; nobody sends a body here.
                while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line == "\r\n" {
                        let body = text.lock().clone();
                        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                    line.clear();
                }
            });
        }
    });
    port
}

fn said(text: &str) -> Arc<Mutex<String>> {
    Arc::new(Mutex::new(text.to_owned()))
}

fn weights(old: u32, new: u32) -> String {
    format!(r#"{{"version":{old},"services":{{"{SERVICE}":{{"old":{old},"new":{new}}}}}}}"#)
}

fn ask(proxy: &str) -> Option<String> {
    let mut stream = TcpStream::connect(proxy).ok()?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).ok()?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {SERVICE}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Share of two hundred requests that the old node answers, in percent.
fn share_of_old(proxy: &str) -> Option<usize> {
    let answers: Option<Vec<String>> = (0..200).map(|_| ask(proxy)).collect();
    let answers = answers?;
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{answers:?}");
    Some(answers.iter().filter(|answer| answer.ends_with("old")).count() / 2)
}

#[test]
fn requests_go_where_the_weights_say_and_everywhere_else_a_little() {
    let dir = tempfile::tempdir().expect("a folder");
    let (old, new) = (server(&said("old")), server(&said("new")));
    let told = Arc::new(Mutex::new(weights(100, 100)));
    let scheduler = server(&told);
    let slice = |node: &str, port: u16| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: search-{node}, namespace: hotel, \
             labels: {{kubernetes.io/service-name: search}}}}\naddressType: IPv4\nports: [{{name: http, port: {port}}}]\n\
             endpoints: [{{addresses: [127.0.0.1], nodeName: {node}}}]\n"
        )
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: search, namespace: hotel}\nspec: {ports: [{name: http, port: 80}]}\n";
    std::fs::write(
        dir.path().join("mesh.yaml"),
        [service.to_owned(), slice("old", old), slice("new", new)].join("---\n"),
    )
    .expect("written");
    let at = |offset: u16| format!("127.0.0.1:{}", port_base(2) + 20 + offset);
    let set = |key: &str, offset: u16| format!("{key}={}", at(offset));
    let follow = format!("proxy.steering=http://127.0.0.1:{scheduler}");
    let (listen, admin, metrics) = (at(0), at(1), at(2));
    let moved = [set("proxy.inbound", 3), set("proxy.health", 4), set("general.listen", 5), follow];
    let mut arguments =
        vec!["proxy", "--listen", &listen, "--admin", &admin, "--metrics", &metrics, "--mesh", "mesh.yaml"];
    arguments.extend(moved.iter().flat_map(|setting| ["--set", setting.as_str()]));
    let proxy = Background::start(dir.path(), "proxy", &arguments);
    assert!(
        eventually(30, || http(&at(5), "GET", "/readyz", &[], b"").filter(|a| a.0 == 200)).is_some(),
        "{}",
        proxy.log()
    );

    let even = share_of_old(&listen).expect("answers");
    assert!((30..=70).contains(&even), "{even} % at equal weights: {}", proxy.log());

    *told.lock() = weights(10, 100);
    let steered = eventually(30, || share_of_old(&listen).filter(|share| (1..=20).contains(share)));
    assert!(
        steered.is_some(),
        "{:?} % of the requests still go to the old node: {}",
        share_of_old(&listen),
        proxy.log()
    );
    proxy.interrupt();
}
