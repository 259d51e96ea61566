#!/bin/sh
# Runs one fuzz target for some seconds with the stable compiler: coverage through LLVM's own pass, no sanitizer (the code
# under test is safe Rust; a panic is the finding). Usage: tests/fuzz/run-stable.sh shard|index|labels [SECONDS] [CORPUS]
set -eu
target=$1 seconds=${2:-600}
cd "$(dirname "$0")"
corpus=${3:-corpus/$target}
mkdir -p "$corpus" "artifacts/$target"
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1" \
    cargo build --release --target "$(rustc -vV | sed -n 's/^host: //p')" --bin "$target"
exec target/*/release/"$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 \
    -artifact_prefix="artifacts/$target/" "$corpus"
