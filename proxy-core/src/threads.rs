//! One thread for each core, each with its own runtime: a connection stays on the thread that accepted it.
//!
//! What is counted or pooled is kept once for each thread, so that no cache line wanders between cores; who wants to know
//! the sum adds up. A proxy without threads of its own runs on the runtime it was started in, as slot 0.

use std::cell::Cell;
use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

thread_local! {
    static SLOT: Cell<usize> = const { Cell::new(0) };
}

/// Something that each thread has one of.
#[derive(Debug)]
pub(crate) struct PerThread<T>(Box<[T]>);

impl<T: Default> PerThread<T> {
    pub(crate) fn new(threads: usize) -> Self {
        Self((0..threads.max(1)).map(|_| T::default()).collect())
    }
}

impl<T> PerThread<T> {
    /// Gives this thread's one.
    pub(crate) fn mine(&self) -> &T {
        &self.0[SLOT.get() % self.0.len()]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

/// The threads of a proxy.
#[derive(Debug)]
pub(crate) struct Threads {
    handles: Vec<Handle>,
    running: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Threads {
    /// Starts threads; none means that the caller's runtime does the work.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let (mut handles, mut running, stop) = (Vec::new(), Vec::new(), CancellationToken::new());
        for slot in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let stop = stop.clone();
            let work = move || {
                SLOT.set(slot);
                runtime.block_on(stop.cancelled());
            };
            running.push(std::thread::Builder::new().name(format!("proxy-{slot}")).spawn(work)?);
        }
        Ok(Self { handles, running, stop })
    }

    /// Gives the runtimes that carry traffic, at least one.
    pub(crate) fn handles(&self) -> Vec<Handle> {
        if self.handles.is_empty() { vec![Handle::current()] } else { self.handles.clone() }
    }

    /// Ends the threads.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.cancel();
        // What they carry was drained before; a thread that hangs must not hold up the end.
        self.running.clear();
    }
}
