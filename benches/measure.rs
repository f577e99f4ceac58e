//! What the benches share: a clock of CPU time, medians of interleaved rounds,
//! and a table with targets.
//!
//! Ratios of things measured side by side in one run are what counts. Absolute
//! figures move by a factor of two on a shared machine.
#![allow(dead_code, reason = "each bench uses its part")]
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What a piece of work took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU time of the whole process, in user and kernel.
    pub(crate) cpu: Duration,
    /// Time on the wall.
    pub(crate) wall: Duration,
}

/// The CPU time of this process so far, in user and kernel, of all its threads.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("CPU time is not negative");
    let nanos = u32::try_from(time.tv_nsec).expect("nanoseconds are below a second");
    Duration::new(seconds, nanos)
}

/// Measures a piece of work.
pub(crate) fn measure(work: impl FnOnce()) -> Cost {
    let (cpu, wall) = (cpu_time(), Instant::now());
    work();
    Cost { cpu: cpu_time() - cpu, wall: wall.elapsed() }
}

/// Runs each subject once in each of so many rounds, one after the other, so
/// that what else goes on in the machine hits all alike. Gives the median of
/// each, in their order. A first round, to warm up, is not counted.
pub(crate) fn interleaved<const N: usize>(
    rounds: usize,
    mut subjects: [&mut dyn FnMut() -> Cost; N],
) -> [Cost; N] {
    let mut costs: [Vec<Cost>; N] = std::array::from_fn(|_| Vec::with_capacity(rounds));
    for round in 0..=rounds {
        for (subject, costs) in subjects.iter_mut().zip(&mut costs) {
            let cost = subject();
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    costs.map(|costs| Cost {
        cpu: median(costs.iter().map(|cost| cost.cpu.as_secs_f64())),
        wall: median(costs.iter().map(|cost| cost.wall.as_secs_f64())),
    })
}

/// The middle one of some times.
pub(crate) fn median(seconds: impl Iterator<Item = f64>) -> Duration {
    let mut seconds: Vec<f64> = seconds.collect();
    seconds.sort_by(f64::total_cmp);
    Duration::from_secs_f64(seconds[seconds.len() / 2])
}

impl Cost {
    /// Microseconds of CPU for each of so many.
    pub(crate) fn cpu_micros_each(self, count: usize) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / count as f64
    }

    /// How many in a second on the wall.
    pub(crate) fn per_second(self, count: usize) -> f64 {
        count as f64 / self.wall.as_secs_f64()
    }
}

/// Where a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// The figure is there for information.
    None,
    /// At most.
    AtMost(f64),
    /// At least.
    AtLeast(f64),
}

/// Prints the heading of a table.
pub(crate) fn heading(title: &str) {
    println!("\n{title}");
    println!("{:<58} {:>14}  {:>8}", "", "measured", "target");
}

/// Prints a row of a table: what was measured, the figure with its unit, and
/// whether it is where it should be.
pub(crate) fn row(what: &str, figure: f64, unit: &str, target: Target) {
    let (target, verdict) = match target {
        Target::None => (String::new(), ""),
        Target::AtMost(bound) => (format!("≤ {bound}"), verdict(figure <= bound)),
        Target::AtLeast(bound) => (format!("≥ {bound}"), verdict(figure >= bound)),
    };
    println!("{what:<58} {:>14}  {target:>8}  {verdict}", format!("{figure:.2} {unit}"));
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
