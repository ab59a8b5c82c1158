//! `wattle train` and `evaluate` from files and from a Prometheus server, as a person would call them.

mod support;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};
use support::wattle;

/// Windows of two nodes; the second draws twice the first. With `flat` the newest quarter draws the same at any load.
fn csv(folder: &Path, name: &str, flat: bool) -> String {
    let mut text = String::from("start_ms,end_ms,node,cpu_used_millicores,cpu_capacity_millicores,power_watts\n");
    for at in 0..80_u32 {
        for node in 1..=2_u32 {
            let u = 0.5 + 0.4 * (f64::from(at) / 6.0 + f64::from(node)).sin();
            // What held out rows no longer do makes whatever learnt from load worse than the mean.
            let share = if flat && at >= 60 { 0.5 } else { u };
            let watts = f64::from(node) * (50.0 + 100.0 * share);
            let _ = writeln!(text, "{},{},n{node},{:.1},8000,{watts:.3}", at * 15_000, (at + 1) * 15_000, 8000.0 * u);
        }
    }
    std::fs::write(folder.join(name), text).expect("written");
    name.to_owned()
}

#[test]
fn two_trainings_write_the_same_bytes_and_any_rows_can_be_scored() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = csv(dir.path(), "rows.csv", false);
    let train =
        |out: &str| wattle(dir.path(), &["train", "--csv", &rows, "--out", out, "--seed", "7", "--report", "r.html"]);

    let (first, second) = (train("a.wattle"), train("b.wattle"));

    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{}", first.stderr);
    let read = |name: &str| std::fs::read(dir.path().join(name)).expect("written");
    assert!(read("a.wattle") == read("b.wattle"), "the same seed wrote other bytes");
    let page = String::from_utf8(read("r.html")).expect("text");
    assert!(page.contains("<svg") && !page.contains("http") && !page.contains("<script"), "the page loads something");
    let table = wattle(dir.path(), &["evaluate", "--model", "a.wattle", "--csv", &rows]);
    assert!(table.code == Some(0) && table.stdout.starts_with("TARGET"), "{}{}", table.stdout, table.stderr);
    let scores = wattle(dir.path(), &["evaluate", "--model", "a.wattle", "--csv", &rows, "--json"]);
    let scores: Value = serde_json::from_str(&scores.stdout).expect("JSON");
    assert!(scores["power_mape"].as_f64().is_some_and(|mape| mape < 2.0), "{scores}");
    let shown = wattle(dir.path(), &["model", "show", "a.wattle"]);
    assert!(shown.stdout.contains("utilisation") && shown.stdout.contains("n2"), "{}", shown.stdout);
}

#[test]
fn a_model_worse_than_its_baseline_is_not_written_unless_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = csv(dir.path(), "flat.csv", true);

    let refused = wattle(dir.path(), &["train", "--csv", &rows, "--out", "m.wattle"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("no better than by its baseline") && !dir.path().join("m.wattle").exists());

    let told = wattle(dir.path(), &["train", "--csv", &rows, "--out", "m.wattle", "--allow-worse"]);
    assert!(told.code == Some(0) && dir.path().join("m.wattle").exists(), "{}", told.stderr);
}

#[test]
fn what_is_no_model_or_no_rows_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = csv(dir.path(), "rows.csv", false);
    std::fs::write(dir.path().join("bad.parquet"), b"PAR1 not really PAR1").expect("written");
    std::fs::write(dir.path().join("bad.wattle"), b"WATTLEM\n\x01\x00").expect("written");

    let text = std::fs::read_to_string(dir.path().join(&rows)).expect("written");
    let edited = |name: &str, edit: &dyn Fn(usize, &str) -> Option<String>| {
        let lines: Vec<String> = text.lines().enumerate().filter_map(|(at, line)| edit(at, line)).collect();
        std::fs::write(dir.path().join(name), lines.join("\n")).expect("written");
    };
    let cell = |line: &str, at: usize, value: &str| {
        let mut cells: Vec<&str> = line.split(',').collect();
        cells[at] = value;
        Some(cells.join(","))
    };
    edited("nan.csv", &|at, line| if at == 9 { cell(line, 5, "inf") } else { Some(line.to_owned()) });
    edited("one.csv", &|at, line| (at < 2).then(|| line.to_owned()));
    edited("blank.csv", &|at, line| if at > 0 { cell(line, 3, "") } else { Some(line.to_owned()) });
    edited("hot.csv", &|at, line| if at > 0 { cell(line, 5, "40000") } else { Some(line.to_owned()) });
    edited("twice.csv", &|at, line| if at == 0 { cell(line, 5, "node") } else { Some(line.to_owned()) });

    let trained = wattle(dir.path(), &["train", "--csv", &rows, "--out", "good.wattle"]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let good = std::fs::read(dir.path().join("good.wattle")).expect("written");
    for (name, at) in [("tampered.wattle", good.len() / 2), ("newer.wattle", 8)] {
        let mut changed = good.clone();
        changed[at] ^= 8;
        std::fs::write(dir.path().join(name), changed).expect("written");
    }

    for (arguments, said) in [
        (vec!["train", "--parquet", "bad.parquet"], "cannot be read as Parquet"),
        (vec!["train", "--csv", "none.csv"], "cannot read none.csv"),
        (vec!["train", "--prometheus", "prom:9090"], "is not the address of a Prometheus server"),
        (vec!["train", "--prometheus", "http://127.0.0.1:9", "--since", "1m"], "nobody answers"),
        (vec!["evaluate", "--model", "bad.wattle", "--csv", &rows], "cut short"),
        (vec!["model", "show", "bad.wattle"], "cut short"),
        (vec!["evaluate", "--model", "tampered.wattle", "--csv", &rows], "is damaged: its checksum"),
        (vec!["model", "show", "newer.wattle"], "has format 9.0, this program reads up to 1.x"),
        (vec!["model", "show", "none.wattle"], "train one with `wattle train`"),
        (vec!["train", "--csv", "nan.csv"], "expected a finite number"),
        (vec!["train", "--csv", "one.csv"], "at least 8 windows are needed"),
        (vec!["train", "--csv", "blank.csv"], "160 without processor use"),
        (vec!["train", "--csv", "hot.csv"], "160 with impossible power"),
        (vec!["train", "--csv", "twice.csv", "--out", "/dev/null/m"], "is there twice"),
        (vec!["train", "--kepler", "rows.csv"], "rows.csv, line 1"),
    ] {
        let run = wattle(dir.path(), &arguments);
        assert!(run.code == Some(1) && run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{arguments:?}: {}", run.stderr);
    }
}

/// Answers as Prometheus does; with `steps_only` it refuses a selector with a range.
fn prometheus(steps_only: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
                let mut stream = stream;
                loop {
                    let mut head = String::new();
                    while reader.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
                    let Some(target) = head.split(' ').nth(1) else { return };
                    let is_range = target.starts_with("/api/v1/query_range");
                    let (status, body) = if steps_only && !is_range {
                        ("404 Not Found", "no such path".to_owned())
                    } else {
                        ("200 OK", answer(target, is_range).to_string())
                    };
                    let text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    if stream.write_all(text.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A node of 8 cores whose counters are functions of time, sampled every 5 s over what is asked for.
fn answer(target: &str, is_range: bool) -> Value {
    let value = |name: &str| -> f64 {
        let from = target.find(&format!("&{name}=")).expect("asked for") + name.len() + 2;
        target[from..].split('&').next().expect("a value").parse().expect("a number")
    };
    let (start, end) = if is_range {
        (value("start"), value("end"))
    } else {
        let length = target.split("%5B").nth(1).and_then(|l| l.split("ms").next()).expect("a range");
        (value("time") - length.parse::<f64>().expect("milliseconds") / 1000.0, value("time"))
    };
    let series = |metric: Value, at: &dyn Fn(f64) -> f64| {
        let times = (0..).map(|step| (start / 5.0).ceil() * 5.0 + 5.0 * f64::from(step)).take_while(|t| *t <= end);
        json!({"metric": metric, "values": times.map(|t| json!([t, at(t).to_string()])).collect::<Vec<_>>()})
    };
    // The integral of 100 W + 80 W * u and of u, u = (1 + sin(t / 60)) / 2.
    let load = |t: f64| (t - 60.0 * (t / 60.0).cos()) / 2.0;
    let kepler = |name: &str, more: Value| {
        let mut metric = json!({"__name__": name, "node_name": "n1"});
        metric.as_object_mut().expect("labels").extend(more.as_object().expect("labels").clone());
        metric
    };
    let cpus: Vec<Value> = (0..8)
        .map(|cpu| series(kepler("kepler_node_cpu_info", json!({"processor": cpu.to_string()})), &|_| 1.0))
        .collect();
    let mut result = vec![
        series(kepler("kepler_node_cpu_joules_total", json!({"zone": "package"})), &|t| 100.0 * t + 80.0 * load(t)),
        series(kepler("kepler_node_cpu_usage_ratio", json!({})), &|t| f64::midpoint(1.0, (t / 60.0).sin())),
    ];
    result.extend(cpus);
    json!({"status": "success", "data": {"resultType": "matrix", "result": result}})
}

#[test]
fn a_prometheus_server_is_learnt_from_in_either_form() {
    let dir = tempfile::tempdir().expect("a folder");
    for steps_only in [false, true] {
        let address = prometheus(steps_only);
        let train = ["train", "--prometheus", &address, "--since", "40m", "--out", "m.wattle", "--json"];
        let run = wattle(dir.path(), &train);

        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let scores: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert!(scores["power_mape"].as_f64().is_some_and(|mape| mape < 5.0), "{scores}");
        assert!(scores["rows"].as_u64().is_some_and(|rows| rows > 80), "{scores}");
    }
}

#[test]
fn parquet_of_another_program_is_the_same_rows_as_csv() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = csv(dir.path(), "rows.csv", false);
    // Those rows as pyarrow writes them for pandas: times in nanoseconds, nodes as a dictionary, zstd.
    let parquet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rows.parquet").display().to_string();

    let from_csv = wattle(dir.path(), &["train", "--csv", &rows, "--out", "csv.wattle"]);
    let from_parquet = wattle(dir.path(), &["train", "--parquet", &parquet, "--out", "parquet.wattle"]);

    assert_eq!((from_csv.code, from_parquet.code), (Some(0), Some(0)), "{}", from_parquet.stderr);
    let read = |name: &str| std::fs::read(dir.path().join(name)).expect("written");
    assert!(read("csv.wattle") == read("parquet.wattle"), "the same rows gave another model");
}

#[test]
fn kepler_model_server_files_are_learnt_from() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(
        dir.path().join("wattle.yaml"),
        "collector:\n  machines:\n  - {node: n1, cpu_capacity_millicores: 16000}\n",
    )
    .expect("written");
    // Counters of 100 W + 80 W * u on 16 cores, u = (1 + sin(t / 60)) / 2, every 3 s for half an hour.
    let counter = |rate: &dyn Fn(f64) -> f64| -> Value {
        let mut sum = 1000.0;
        let values = (0..600).map(|at| {
            let t = f64::from(at) * 3.0;
            sum += 3.0 * rate(t);
            json!([1_700_000_000.0 + t, format!("{sum:.3}")])
        });
        values.collect()
    };
    let u = |t: f64| f64::midpoint(1.0, (t / 60.0).sin());
    let series = |metric: Value, values: Value| json!([{"metric": metric, "values": values}]);
    let file = |time: &str, a_second: f64| {
        json!({
            "kepler_node_package_joules_total":
                series(json!({"instance": "n1", "mode": "dynamic"}), counter(&|t| 90.0 + 80.0 * u(t))),
            "kepler_node_dram_joules_total": series(json!({"instance": "n1", "mode": "dynamic"}), counter(&|_| 10.0)),
            time: series(json!({"instance": "n1", "pod_name": "a"}), counter(&|t| 16.0 * a_second * u(t))),
        })
    };
    for (name, time, a_second) in [
        ("new.json", "kepler_container_bpf_cpu_time_us_total", 1e6),
        ("old.json", "kepler_container_bpf_cpu_time_ms_total", 1e3),
    ] {
        std::fs::write(dir.path().join(name), file(time, a_second).to_string()).expect("written");

        let run = wattle(dir.path(), &["train", "--kepler", name, "--out", "k.wattle", "--json"]);

        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        let scores: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert!(scores["power_mape"].as_f64().is_some_and(|mape| mape < 1.0), "{name}: {scores}");
    }
    let no_capacity = wattle(dir.path(), &["train", "--kepler", "new.json", "--set", "collector.machines=[]"]);
    assert!(no_capacity.code == Some(1) && no_capacity.stderr.contains("without capacity"), "{}", no_capacity.stderr);
}

/// As [`csv`], with the last window ending now, so that spans back from now reach it.
fn recent_csv(folder: &Path, now_ms: i64) -> String {
    let name = csv(folder, "old.csv", false);
    let text = std::fs::read_to_string(folder.join(&name)).expect("written");
    let shifted = text.lines().enumerate().map(|(line, row)| {
        let mut cells: Vec<String> = row.split(',').map(str::to_owned).collect();
        for cell in cells.iter_mut().take(if line == 0 { 0 } else { 2 }) {
            *cell = (cell.parse::<i64>().expect("milliseconds") + now_ms - 80 * 15_000).to_string();
        }
        cells.join(",") + "\n"
    });
    std::fs::write(folder.join("recent.csv"), shifted.collect::<String>()).expect("written");
    "recent.csv".to_owned()
}

#[test]
fn since_and_until_leave_rows_out_and_the_split_is_by_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let rows = recent_csv(dir.path(), i64::try_from(now.as_millis()).expect("milliseconds"));
    let count = |more: &[&str]| {
        let all = [&["train", "--csv", &rows, "--out", "m.wattle", "--json"], more].concat();
        let run = wattle(dir.path(), &all);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let scores: Value = serde_json::from_str(&run.stdout).expect("JSON");
        (scores["rows"].as_u64().expect("rows"), scores["rows_held_out"].as_u64().expect("rows"))
    };

    assert_eq!(count(&[]), (120, 40), "the newest quarter of 80 windows of two nodes is held out");
    let (learnt, held_out) = count(&["--since", "10m"]);
    assert!((58..=60).contains(&learnt) && (18..=20).contains(&held_out), "of 40 windows: {learnt}, {held_out}");
    let (learnt, held_out) = count(&["--since", "15m", "--until", "5m"]);
    assert!((58..=62).contains(&learnt) && (18..=22).contains(&held_out), "of 40 windows: {learnt}, {held_out}");
    let none = wattle(dir.path(), &["train", "--csv", &rows, "--until", "1h"]);
    assert!(none.code == Some(1) && none.stderr.contains("at least 8 windows"), "{}", none.stderr);
}
