//! Parallel lanes on the CPU. Each lane has its own thread pool, so that small kernels of one lane (norms, activations,
//! attention of one row) run in parallel with those of another; a single sequence of kernels would leave cores idle.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Error, Result};

/// Stack size of a thread in bytes; the tokenizer's regular expressions recurse deeply.
const STACK: usize = 16 << 20;

/// Number of cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Thread pools that share the cores, created once for each number of lanes.
fn pools(lanes: usize) -> Result<Arc<Vec<ThreadPool>>> {
    type Made = Mutex<Vec<(usize, Arc<Vec<ThreadPool>>)>>;
    static MADE: OnceLock<Made> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, pools)) = made.iter().find(|(n, _)| *n == lanes) {
        return Ok(Arc::clone(pools));
    }
    let threads = (cores() / lanes).max(1);
    let pool = |_| ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK).build();
    let pools = (0..lanes)
        .map(pool)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|e| Error::io("starting", "threads", e.to_string()))?;
    let pools = Arc::new(pools);
    made.push((lanes, Arc::clone(&pools)));
    Ok(pools)
}

/// Distributes items to `lanes` lanes; each lane takes the next item when it is free. `work` sends messages to the
/// caller's thread, where `on` receives them. When `on` returns `false`, no further item is started and `send` returns
/// `false`; messages already sent are still passed to `on`.
///
/// # Errors
/// [`Error::Io`] when threads cannot be started.
pub(crate) fn scatter<T: Send, M: Send>(
    lanes: usize,
    items: Vec<T>,
    work: impl Fn(T, &dyn Fn(M) -> bool) + Sync,
    mut on: impl FnMut(M) -> bool,
) -> Result<()> {
    let pools = pools(lanes.max(1))?;
    let queue = Mutex::new(items.into_iter());
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for pool in pools.iter() {
            let (sender, queue, stop, work) = (sender.clone(), &queue, &stop, &work);
            scope.spawn(move || {
                let send = |message| sender.send(message).is_ok() && !stop.load(Ordering::Relaxed);
                pool.install(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let Some(item) = queue.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
                        work(item, &send);
                    }
                });
            });
        }
        drop(sender);
        for message in receiver {
            if !on(message) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    Ok(())
}

/// Runs a future to completion, blocking this thread.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        for lanes in [1, 2, 5] {
            let mut got = Vec::new();
            scatter(
                lanes,
                (0..100).collect(),
                |i: u32, send| assert!(send(i * i)),
                |m| {
                    got.push(m);
                    true
                },
            )
            .unwrap();
            got.sort_unstable();
            assert_eq!(got, (0..100).map(|i| i * i).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_stop_reaches_the_lanes() {
        let mut got = 0;
        let started = std::sync::atomic::AtomicU32::new(0);
        let endless = |_: u32, send: &dyn Fn(u32) -> bool| {
            started.fetch_add(1, Ordering::Relaxed);
            while send(1) {}
        };
        scatter(2, vec![0, 1, 2, 3], endless, |_| {
            got += 1;
            got < 10
        })
        .unwrap();
        assert!(started.into_inner() <= 2, "an item was started after the stop");
    }
}
