//! Times of the planners: MiniMalloc's problems to their capacity, and 10,000 buffers by the portfolio.
//!
//! `LARUN_CORPUS=... cargo bench -p larun-arena`; a name after `--` (`A` to `K`, `10000`) chooses problems, `hill-climb` and `best` add
//! that planner, and a second of search for less than the capacity.

use core::time::Duration;
use std::time::Instant;

use larun_arena::{Budget, Buffer, Exact, HillClimb, Planner, Portfolio, Problem, check, csv};

const CAPACITY: u32 = 1 << 20;

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    let wants = |name: &str| wanted.iter().any(|w| w == name);
    let all = !wanted.iter().any(|w| w.len() == 1 || w == "10000");
    println!(
        "{:12} {:>9} {:>9} {:>9} {:>9}",
        "problem", "planner", "peak", "bound", "ms"
    );
    if let Some(corpus) = std::env::var_os("LARUN_CORPUS") {
        let mut total = Duration::ZERO;
        for name in ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K"] {
            if all || wants(name) {
                let path = std::path::Path::new(&corpus).join(format!("arena/{name}.1048576.csv"));
                let text = std::fs::read_to_string(path).expect("the corpus has the problem");
                let table = csv::read(&text).expect("the corpus has a table");
                if wants("hill-climb") {
                    time(name, &HillClimb::default(), &table, 1);
                }
                let to_capacity = Exact {
                    goal: CAPACITY,
                    budget: Budget::steps(1 << 30),
                };
                total += time(name, &to_capacity, &table, 1);
                if !wants("best") {
                    continue;
                }
                let end = Instant::now() + Duration::from_secs(1);
                let late = || Instant::now() > end;
                let best = Exact {
                    goal: 0,
                    budget: Budget::steps(1 << 30).or_when(&late),
                };
                time(name, &best, &table, 1);
            }
        }
        println!(
            "all to a capacity of {CAPACITY}: {:.3} s",
            total.as_secs_f64()
        );
    } else {
        println!("skipped: MiniMalloc's problems: LARUN_CORPUS is not set");
    }
    if all || wants("10000") {
        time("10,000", &Portfolio, &network(10_000), 16);
    }
}

fn time(name: &str, planner: &dyn Planner, problem: &dyn Problem, alignment: u32) -> Duration {
    let start = Instant::now();
    let plan = planner
        .plan(problem, alignment)
        .expect("the problem can be planned");
    let time = start.elapsed();
    assert_eq!(check(problem, &plan.offsets, alignment), Ok(plan.peak));
    let (planner, ms) = (planner.name(), time.as_secs_f64() * 1e3);
    println!(
        "{name:12} {planner:>9} {:>9} {:>9} {ms:>9.1}",
        plan.peak, plan.lower_bound
    );
    time
}

/// Buffers as a deep network has them: most live for a few steps, some for hundreds.
fn network(count: u32) -> Vec<Buffer> {
    let mut random = 1u64;
    let mut below = |n: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((random >> 33) % n) as u32
    };
    (0..count)
        .map(|step| {
            let length = if below(20) == 0 { below(500) } else { below(8) };
            Buffer::new(64 + 16 * below(4096), step, step + 1 + length)
        })
        .collect()
}
