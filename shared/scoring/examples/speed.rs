//! The measured half of `cargo xtask bench scoring`: `speed MODEL.json ROWS.f64 MARGINS.f64`.
//!
//! Imports an XGBoost model, checks all margins to the bit, then answers each line of standard input
//! with the seconds that one row took (`batch`, `one`, `explain`, `explain one`, `batch on two
//! threads`) or that loading took (`load`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::io::BufRead;
use std::time::{Duration, Instant};
use vereda_scoring::bundle::{self, Calibration, Golden, Kind};
use vereda_scoring::import::{Options, xgboost};
use vereda_scoring::{Bundle, Inputs, Model, Value};

/// Counts what is allocated, to see what a loaded bundle takes.
mod memory {
    // An allocator cannot be written without unsafe; this one hands everything to the system's.
    #![allow(unsafe_code)]
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    pub static NOW: AtomicUsize = AtomicUsize::new(0);
    pub static PEAK: AtomicUsize = AtomicUsize::new(0);

    struct Counting;

    // SAFETY: every call goes to `System` with the arguments it came with.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
            unsafe { System.alloc(layout) }
        }
        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            NOW.fetch_sub(layout.size(), Relaxed);
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    #[global_allocator]
    static COUNTING: Counting = Counting;
}

fn numbers(path: &str) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap();
    bytes.as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect()
}

/// A bundle with golden vectors from the library's margins.
fn bundle(model: &str, rows: &[f64], margins: &[f64]) -> Bundle {
    let imported = xgboost::read(&std::fs::read(model).unwrap(), &Options::default()).unwrap();
    let mut bundle = imported.draft(imported.schema(), &imported.placements()).unwrap();
    assert_eq!(bundle.calibration, Calibration::None);
    let model = Model::draft(bundle.clone()).unwrap();
    let width = model.width();
    for (row, &margin) in rows.chunks_exact(width).zip(margins).take(20) {
        let inputs: Inputs = std::iter::zip(&bundle.schema.features, row)
            .map(|(feature, &x)| {
                let value = match feature.kind {
                    _ if x.is_nan() => Value::Missing,
                    Kind::Boolean => Value::Boolean(x == 1.0),
                    _ => Value::Number(x),
                };
                (feature.name.clone(), value)
            })
            .collect();
        let probability = model.probability(margin);
        let margin_bits = format!("{:016x}", margin.to_bits());
        bundle.golden.push(Golden { inputs, margin_bits, probability, group: model.group(probability) });
    }
    bundle
}

/// Median seconds of a call, over about a third of a second.
fn seconds(mut call: impl FnMut()) -> f64 {
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 5 || begin.elapsed() < Duration::from_millis(300) {
        let start = Instant::now();
        call();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, rows, margins] = arguments.as_slice() else { panic!("speed MODEL ROWS MARGINS") };
    let (rows, margins) = (numbers(rows), numbers(margins));
    let bytes = bundle::seal(&bundle(model, &rows, &margins)).unwrap();
    std::fs::write(format!("{model}.bundle"), &bytes).unwrap();

    let before = memory::NOW.load(std::sync::atomic::Ordering::Relaxed);
    memory::PEAK.store(before, std::sync::atomic::Ordering::Relaxed);
    let model = Model::load(&bytes).unwrap();
    let kept = memory::NOW.load(std::sync::atomic::Ordering::Relaxed) - before;
    let peak = memory::PEAK.load(std::sync::atomic::Ordering::Relaxed) - before;

    let width = model.width();
    let count = rows.len() / width;
    for (i, (ours, theirs)) in model.margins(&rows).unwrap().iter().zip(&margins).enumerate() {
        assert_eq!(ours.to_bits(), theirs.to_bits(), "row {i}: {ours} {theirs}");
        let alone = model.margins(&rows[i * width..(i + 1) * width]).unwrap();
        assert_eq!(alone[0].to_bits(), ours.to_bits(), "row {i} alone");
    }
    let bundle::Estimator::TreeEnsemble(ensemble) = &model.bundle().estimator else { panic!("no trees") };
    println!(
        "{{\"bytes\": {}, \"kept\": {kept}, \"peak\": {peak}, \"nodes\": {}}}",
        bytes.len(),
        ensemble.node_count()
    );

    let mut out = Vec::new();
    let mut next = (0..count).cycle();
    for line in std::io::stdin().lock().lines() {
        let answer = match line.unwrap().as_str() {
            "batch" => {
                seconds(|| {
                    out.clear();
                    model.margins_into(black_box(&rows), &mut out).unwrap();
                }) / count as f64
            }
            "batch on two threads" => {
                // As many rows as make the start of a thread, and the last block, count for little.
                let many = rows.repeat(8);
                let half = (8 * count).div_ceil(512) * 256 * width;
                seconds(|| {
                    std::thread::scope(|scope| {
                        for part in many.chunks(half) {
                            scope.spawn(|| model.margins(black_box(part)).unwrap());
                        }
                    });
                }) / (8 * count) as f64
            }
            "one" => {
                // Some at a time, so that the clock does not count; few, so that another program seldom does.
                seconds(|| {
                    for _ in 0..20 {
                        let at = next.next().unwrap() * width;
                        out.clear();
                        model.margins_into(black_box(&rows[at..at + width]), &mut out).unwrap();
                        black_box(&out);
                    }
                }) / 20.0
            }
            "explain" => {
                seconds(|| {
                    black_box(model.contributions(black_box(&rows[..200 * width])).unwrap());
                }) / 200.0
            }
            "explain one" => seconds(|| {
                let at = next.next().unwrap() * width;
                black_box(model.contributions(black_box(&rows[at..at + width])).unwrap());
            }),
            "load" => seconds(|| {
                black_box(Model::load(black_box(&bytes)).unwrap());
            }),
            other => panic!("{other}"),
        };
        println!("{answer:e}");
    }
}
