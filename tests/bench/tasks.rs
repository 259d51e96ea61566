//! How long planning takes, and how long writing: the published size (4,440 clips, 6 tasks) and that of all of
//! Kinetics-700 (650,000 clips, 20 tasks, some ten million rows).

use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use incdec::clip::Split;
use incdec::parquet_file::Provenance;
use incdec::tasks::availability::TaskLists;
use incdec::tasks::{DealSettings, LabelledClip, Scenario, Source, write};
use incdec::taxonomy::Taxonomy;

/// Training clips (a tenth as many again for each of the other splits), tasks, subcategories.
const SIZES: [(usize, usize, usize); 3] = [(3_700, 6, 37), (54_200, 20, 70), (541_667, 20, 700)];

fn source(train: usize, subcategories: usize) -> Source {
    let pairs =
        (0..subcategories).map(|k| (format!("category {}", k % 5), format!("subcategory {k:03}")));
    let taxonomy = Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap();
    let clips = |letter: char, count: usize| {
        (0..count)
            .map(|i| LabelledClip {
                clip_id: format!("{letter}{i:010}_000000_000010"),
                group: None,
                class: i % subcategories % 5,
                subcategory: i % subcategories / 5,
                usable: true,
            })
            .collect()
    };
    Source {
        taxonomy,
        clips: [
            clips('a', train),
            clips('b', train / 10),
            clips('c', train / 10),
        ],
        files: Vec::new(),
    }
}

fn planning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(10);
    for (train, tasks, subcategories) in SIZES {
        let tables = source(train, subcategories).tables();
        let clips = tables.places.iter().map(Vec::len).sum::<usize>();
        for scenario in [Scenario::Substitution, Scenario::JointIncremental] {
            let settings = DealSettings::published(scenario, 0);
            group.throughput(Throughput::Elements((clips * tasks) as u64));
            let id = BenchmarkId::new(scenario.name(), format!("{clips} clips x {tasks} tasks"));
            group.bench_function(id, |b| {
                b.iter(|| {
                    let plan = TaskLists::new(&settings, &tables, tasks, None);
                    (0..tasks)
                        .flat_map(|t| Split::ALL.map(|s| plan.list(s, t).len()))
                        .sum::<usize>()
                });
            });
        }
    }
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100));
    for (train, tasks, subcategories) in SIZES {
        let source = source(train, subcategories);
        let settings = DealSettings::published(Scenario::JointIncremental, 0);
        let plan = TaskLists::new(&settings, &source.tables(), tasks, None);
        let rows: usize = (0..tasks)
            .flat_map(|t| Split::ALL.map(|s| plan.list(s, t).len()))
            .sum();
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("joint-incremental {rows} rows"), |b| {
            b.iter_batched(
                || tempfile::tempdir().unwrap(),
                |out| {
                    write(
                        &plan,
                        &source,
                        &settings,
                        &Provenance::default(),
                        out.path(),
                    )
                    .unwrap();
                    out
                },
                BatchSize::PerIteration,
            );
        });
    }
}

criterion_group!(benches, planning, writing);
criterion_main!(benches);
