use tempfile::TempDir;

use super::*;

/// A made-up machine: two sockets with dram, and the memory-mapped copy of one.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().expect("a folder"));
        for (folder, name) in [
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:1", "package-1"),
            ("intel-rapl:0:0", "dram"),
            ("intel-rapl-mmio:0", "package-0"),
        ] {
            host.write(&format!("powercap/{folder}/name"), name);
            host.write(&format!("powercap/{folder}/max_energy_range_uj"), "1000000000");
            host.energy(folder, 999_000_000);
        }
        host.write("powercap/intel-rapl/enabled", "1");
        host.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: A\n\nprocessor\t: 1\nmodel name\t: A\n\n");
        host.write("proc/sys/kernel/hostname", "box\n");
        host.stat(1000, 1000);
        host
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, text).expect("written");
    }

    fn energy(&self, folder: &str, microjoules: u64) {
        self.write(&format!("powercap/{folder}/energy_uj"), &format!("{microjoules}\n"));
    }

    fn stat(&self, busy: u64, idle: u64) {
        self.write("proc/stat", &format!("cpu  {busy} 0 0 {idle} 0 0 0 0 77 0\ncpu0 1 2 3\n"));
    }

    fn paths(&self) -> RaplPaths {
        RaplPaths { powercap: self.0.path().join("powercap"), proc: self.0.path().join("proc") }
    }
}

#[tokio::test(start_paused = true)]
async fn sockets_are_summed_over_wraps_and_split_by_processor_use() {
    let host = Host::new();
    let rapl = Rapl::open(host.paths(), Instant::now()).expect("readable counters");

    host.energy("intel-rapl:0", 5_000_000);
    host.energy("intel-rapl:1", 999_500_000);
    host.energy("intel-rapl:0:0", 999_000_000);
    host.stat(1025, 1075);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let text = rapl.scrape(Instant::now());

    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).expect("such a series").to_owned();
    assert!(text.contains("zone=\"dram\"} 0\n"), "{text}");
    assert!(text.contains("zone=\"package\"} 1.625\n"), "a quarter of 6.5 J is active: {text}");
    assert!(text.contains("zone=\"package\"} 6.5\n"), "1 + 5 J over the wrap, and 0.5 J: {text}");
    assert!(text.contains("zone=\"package\"} 3.25\n"), "6.5 J in 2 s: {text}");
    assert!(line("kepler_node_cpu_usage_ratio").ends_with(" 0.25"));
    assert_eq!(text.matches("kepler_node_cpu_info{").count(), 2);
    assert!(!text.contains("mmio") && !text.contains("kepler_pod_"));
    assert!((rapl.joules(Instant::now()) - 6.5).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_counter_of_unknown_range_that_fell_began_again() {
    let host = Host::new();
    for folder in ["intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"] {
        fs::remove_file(host.paths().powercap.join(folder).join("max_energy_range_uj")).expect("was there");
    }
    let rapl = Rapl::open(host.paths(), Instant::now()).expect("readable counters");

    host.energy("intel-rapl:0", 5_000_000);
    tokio::time::sleep(Duration::from_secs(2)).await;

    assert!((rapl.joules(Instant::now()) - 5.0).abs() < 1e-9);
}

#[test]
fn a_host_is_named_and_counted() {
    let host = Host::new();
    assert_eq!((host.paths().host().as_str(), host.paths().processors()), ("box", 2));
}

#[tokio::test(start_paused = true)]
async fn missing_and_unreadable_counters_are_told_apart() {
    let nowhere = RaplPaths::new(PathBuf::from("/nonexistent/powercap"));
    let error = Rapl::open(nowhere, Instant::now()).expect_err("nothing there").to_string();
    assert!(error.contains("/nonexistent/powercap") && error.contains("bare metal"), "{error}");

    let host = Host::new();
    for folder in ["intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"] {
        host.write(&format!("powercap/{folder}/energy_uj"), "not a number");
    }
    let error = Rapl::open(host.paths(), Instant::now()).expect_err("unreadable").to_string();
    assert!(error.contains("energy_uj") && error.contains("root"), "{error}");
}
