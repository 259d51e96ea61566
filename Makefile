# The pipeline. Each stage is a target; the file that stands for it is the last one the stage publishes, so a stage runs
# when what it reads, or a setting that it takes, is newer. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

# ---- what may be set: make report DATA=build/clips SCENARIO=decremental ... ----------------------------------------
# The data folder; everything that a stage makes lies below it.
DATA ?= Kinetics
# The label tables, and the clips as <subcategory>/<id>_<start>_<end>.mp4. A RAW of your own is never downloaded into.
LABELS ?= $(DATA)/Info
RAW ?= $(DATA)/raw
# Where to download from: empty for the official archives, else a URL or a folder of the same layout.
SOURCE ?=
# Clips that exist only as the seed's frame folders (id_<clip>/jpgs); empty for none.
FRAME_FOLDERS ?=
# Jobs of a stage, and the share of labelled clips that may fail before decoding counts as failed.
JOBS ?= $(shell nproc)
MAX_FAILED ?= 0.01
FPS ?= 5
FRAME_SIZE ?= 200x200
CODEC ?= jpeg
QUALITY ?= 90
# Which clips come and go, and when.
SCENARIO ?= substitution
SEED ?= 0
TASKS ?=
SCHEDULE ?= $(SCHEDULE_OF_SCENARIO)
# How the model is updated.
APPROACH ?= finetune
DEVICE ?= auto
RUN ?= $(SCENARIO)-$(APPROACH)-seed-$(SEED)
RUNS ?= $(DATA)/runs
# Any other flags of a stage, as its --help lists them.
DOWNLOAD_FLAGS ?=
DECODE_FLAGS ?=
TASKS_FLAGS ?=
TRAIN_FLAGS ?=

# The scenarios that exchange or withdraw subcategories follow a schedule; the other two have none.
SCHEDULE_OF_SCENARIO = $(if $(filter decremental,$(SCENARIO)),$(LABELS)/subcategories_to_remove.csv,$(if \
    $(filter incremental-decremental,$(SCENARIO)),$(LABELS)/subcategories_to_substitute.csv))

BIN := target/release
DOWNLOADED := $(DATA)/downloads.parquet
SHARDS := $(DATA)/shards
INDEX := $(SHARDS)/index.parquet
MANIFEST := $(DATA)/manifests/clips.parquet
TASK_DIR := $(DATA)/tasks/$(SCENARIO)/seed-$(SEED)
AVAILABILITY := $(TASK_DIR)/availability.parquet
RUN_DIR := $(RUNS)/$(RUN)
FINISHED := $(RUN_DIR)/run.json
REPORT := $(RUN_DIR)/report.html

.PHONY: help setup setup-peers doctor build labels download decode manifest tasks train report demo-data demo kinetics reproduce \
    reproduce-toy test test-goldens test-pytorch bench bench-gpu check-gpu lint \
    clean-download clean-decode clean-manifest clean-tasks clean-train clean-report clean-demo clean FORCE
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | awk -F '\t' '{ printf "  %-18s %s\n", $$1, $$2 }'
	@echo "Settings, with what they are now: DATA=$(DATA) SCENARIO=$(SCENARIO) APPROACH=$(APPROACH) SEED=$(SEED) DEVICE=$(DEVICE)"

# ---- installing and building -----------------------------------------------------------------------------------------
# Here DEVICE chooses the wheel: `make setup DEVICE=cuda` installs the full one.
setup: ## install what is missing (DEVICE=cuda for a GPU's libtorch)
	@.ci/setup $(if $(filter cuda%,$(DEVICE)),cuda,cpu)

doctor: ## say what is there, what is missing and how to get it
	@.ci/doctor

SOURCES := Cargo.toml Cargo.lock build.rs $(shell find src -name '*.rs' -o -name '*.cpp' -o -name '*.h')
BUILT := $(BIN)/.built
INSTALLED := .libtorch/.finished

$(INSTALLED) .venv/.finished:
	@.ci/setup

$(BUILT): $(SOURCES) $(INSTALLED)
	cargo build --release --locked --bins
	@touch $@

build: $(BUILT) ## build the release binaries into target/release

# ---- the stages ------------------------------------------------------------------------------------------------------
# A stamp holds a stage's settings and changes only with them. The binaries come after the bar: a code edit alone does not
# run a stage again; where it changes what a file holds, the file's format version makes the readers ask for it.
STAMPS := $(DATA)/.settings
define stamp
@mkdir -p $(@D)
@printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' >$@
endef

DOWNLOAD_COMMAND = $(BIN)/incdec-download --labels $(LABELS) --out $(RAW) --ledger $(DOWNLOADED) $(if $(SOURCE),--source $(SOURCE)) \
    $(if $(FRAME_FOLDERS),--frame-folders $(FRAME_FOLDERS)) $(DOWNLOAD_FLAGS)
DECODE_SETTINGS = --fps $(FPS) --frame-size $(FRAME_SIZE) --codec $(CODEC) --quality $(QUALITY) --max-failed $(MAX_FAILED) \
    $(if $(FRAME_FOLDERS),--frame-folders $(FRAME_FOLDERS)) $(DECODE_FLAGS)
TASKS_SETTINGS = --scenario $(SCENARIO) --seed $(SEED) $(if $(TASKS),--tasks $(TASKS)) $(if $(SCHEDULE),--schedule $(SCHEDULE)) $(TASKS_FLAGS)
TRAIN_SETTINGS = --approach $(APPROACH) --seed $(SEED) --device $(DEVICE) $(TRAIN_FLAGS)

$(STAMPS)/download: FORCE
	$(call stamp,$(RAW) $(LABELS) $(SOURCE) $(FRAME_FOLDERS) $(DOWNLOAD_FLAGS))
$(STAMPS)/decode: FORCE
	$(call stamp,$(RAW) $(LABELS) $(DECODE_SETTINGS))
$(STAMPS)/manifest: FORCE
	$(call stamp,$(LABELS))
$(STAMPS)/tasks-$(SCENARIO)-$(SEED): FORCE
	$(call stamp,$(TASKS_SETTINGS))
$(STAMPS)/train-$(RUN): FORCE
	$(call stamp,$(TASK_DIR) $(TRAIN_SETTINGS))

LABEL_TABLES := $(addprefix $(LABELS)/,classes.csv train.csv validation.csv test.csv)

labels: | $(BUILT) ## fetch the published subset's label tables into LABELS
	$(BIN)/incdec-download labels --out $(LABELS)

$(LABEL_TABLES):
	@echo "$@ is missing" >&2
	echo "hint: make labels fetches the published tables into LABELS ($(LABELS)); LABELS=folder names tables of your own" >&2
	exit 1

download: $(DOWNLOADED) ## fetch the clips that the labels name
$(DOWNLOADED): $(LABEL_TABLES) $(STAMPS)/download | $(BUILT)
	$(DOWNLOAD_COMMAND)

decode: $(INDEX) ## decode the clips into frame shards
# Clips that lie elsewhere are the user's own: nothing is downloaded for them.
$(INDEX): $(if $(filter $(DATA)/raw,$(RAW)),$(DOWNLOADED)) $(LABEL_TABLES) $(STAMPS)/decode | $(BUILT)
	$(BIN)/incdec-decode --clips '$(RAW)' --labels $(LABELS) --out $(SHARDS) --jobs $(JOBS) $(DECODE_SETTINGS)

manifest: $(MANIFEST) ## join labels and shards into clips.parquet, and audit them
$(MANIFEST): $(INDEX) $(LABEL_TABLES) $(STAMPS)/manifest | $(BUILT)
	$(BIN)/incdec-manifest --labels $(LABELS) --shards $(SHARDS) --out $@

tasks: $(AVAILABILITY) ## deal the clips out to the tasks of SCENARIO
$(AVAILABILITY): $(MANIFEST) $(SCHEDULE) $(STAMPS)/tasks-$(SCENARIO)-$(SEED) | $(BUILT)
	$(BIN)/incdec-tasks --manifest $(MANIFEST) --out $(TASK_DIR) $(TASKS_SETTINGS)

train: $(FINISHED) ## train task after task by APPROACH
$(FINISHED): $(AVAILABILITY) $(INDEX) $(STAMPS)/train-$(RUN) | $(BUILT)
	$(BIN)/incdec-train --availability $(TASK_DIR) --shards $(SHARDS) --out $(RUN_DIR) $(TRAIN_SETTINGS)

report: $(REPORT) ## one HTML page of the run
$(REPORT): $(FINISHED) | $(BUILT)
	$(BIN)/incdec-report --out $@ $(RUN_DIR)

# ---- the demo --------------------------------------------------------------------------------------------------------
# A toy source is written, served on loopback, and goes through every stage as the real one would, under two scenarios.
DEMO_PORT ?= 8713
DEMO_SOURCE := demo/source
DEMO_TOY ?= --train 8 --validation 2 --test 3
DEMO_SCENARIOS := substitution decremental
DEMO_RUNS := $(DEMO_SCENARIOS:%=demo/runs/%-finetune-seed-0)
DEMO_TRAIN := --frames 8 --resize 72 --size 64 --epochs 6 --batch-size 8 --lr-first-task 1e-3 --lr-first-task-head 1e-3 \
    --lr-backbone 5e-4 --lr-head 5e-4
DEMO_MAKE = $(MAKE) --no-print-directory DATA=demo LABELS=$(DEMO_SOURCE)/Info SOURCE=http://127.0.0.1:$(DEMO_PORT) \
    FRAME_SIZE=72x72 DEVICE=cpu TRAIN_FLAGS='$(DEMO_TRAIN)'

demo-data: $(BUILT) # the toy source's clips, decoded
	$(BIN)/incdec-toy write --out $(DEMO_SOURCE) $(DEMO_TOY)
	$(BIN)/incdec-toy serve $(DEMO_SOURCE) --port $(DEMO_PORT) >demo/server.txt & server=$$!
	trap 'kill $$server' EXIT
	until [ -s demo/server.txt ] || ! kill -0 $$server 2>/dev/null; do sleep 0.1; done
	$(DEMO_MAKE) download
	kill $$server && trap - EXIT
	$(DEMO_MAKE) manifest

demo: demo-data ## the whole pipeline on a toy data set, up to demo/report.html
	@before=$$(stat -c %Y demo/report.html 2>/dev/null || true)
	for scenario in $(DEMO_SCENARIOS); do $(DEMO_MAKE) train SCENARIO=$$scenario; done
	$(DEMO_MAKE) demo/report.html
	[ "$$before" != "$$(stat -c %Y demo/report.html)" ] || echo "demo: everything was there already; nothing was done"
	echo "demo/report.html: $$(tail -n 1 demo/summary.txt)"

demo/report.html: $(DEMO_RUNS:%=%/run.json)
	$(BIN)/incdec-report --out $@ $(DEMO_RUNS) | tee demo/summary.txt

# ---- the real data ---------------------------------------------------------------------------------------------------
kinetics: ## the published subset of Kinetics-700-2020: 32 GB to read, 7 GB on disk, an hour or two at 100 Mbit/s
	@$(MAKE) --no-print-directory labels LABELS=$(LABELS)
	@$(MAKE) --no-print-directory manifest DATA=$(DATA) LABELS=$(LABELS)

# ---- the seed's experiments ------------------------------------------------------------------------------------------
# Every cell of the published table, scenario x (finetune, feature extraction, EWC, LwF, FD) x seed, is a run and a target of
# its own: what is done is skipped, what was stopped goes on, `make -k` passes over a cell that fails, `make -j2` trains two at
# a time, and SCENARIOS, METHODS and SEEDS choose a part. `make reproduce DEVICE=cuda:0 PRETRAINED=file.pt GEOMETRY=tf`.
SCENARIOS ?= substitution decremental incremental-decremental joint-incremental
METHODS ?= finetune feature-extraction ewc lwf fd
SEEDS ?= 0 1 2
PRETRAINED ?=
GEOMETRY ?= seed
REPRODUCE_TRAIN ?= --compat twyn2024 --variant A0 --geometry $(GEOMETRY) --sampler imbalanced --batch-size 4 --accumulation 4 \
    --weight-decay 5e-4 --scheduler fixed --epochs 100 --early-stop 10 $(if $(PRETRAINED),--pretrained $(PRETRAINED))
# $(call each,X) is X<scenario>-<method>-seed-<seed> for every cell.
each = $(foreach scenario,$(SCENARIOS),$(foreach method,$(METHODS),$(foreach seed,$(SEEDS),$(1)$(scenario)-$(method)-seed-$(seed))))
CELLS := $(call each,cell-)
.PHONY: reproduce-tasks $(CELLS)

# The methods share the tasks of a scenario and seed, so these are dealt before any cell begins.
reproduce-tasks: $(BUILT)
	@for scenario in $(SCENARIOS); do for seed in $(SEEDS); do
	    $(MAKE) --no-print-directory tasks SCENARIO=$$scenario SEED=$$seed
	done; done

# The scenario, method and seed of a cell.
define cell
cell-$(1)-$(2)-seed-$(3): | reproduce-tasks
	@$$(MAKE) --no-print-directory train SCENARIO=$(1) SEED=$(3) APPROACH=$(subst feature-extraction,finetune,$(2)) \
	    RUN=$(1)-$(2)-seed-$(3) TRAIN_FLAGS='$$(REPRODUCE_TRAIN) $(if $(filter feature-extraction,$(2)),--preset feature-extraction)'
endef
$(foreach scenario,$(SCENARIOS),$(foreach method,$(METHODS),$(foreach seed,$(SEEDS),$(eval $(call cell,$(scenario),$(method),$(seed))))))

reproduce: $(CELLS) ## the seed's whole table of experiments (days on a GPU), one page and one Parquet file
	$(BIN)/incdec-report --out $(RUNS)/reproduction.html --table $(RUNS)/reproduction.parquet $(call each,$(RUNS)/)

# The demo's clips, fewer and smaller frames and one epoch a task: the same cells in minutes, one for each core at a time.
TOY_TRAIN := --compat twyn2024 --sampler imbalanced --batch-size 4 --accumulation 1 --frames 4 --resize 36 --size 32 --geometry tf \
    --epochs 1 --early-stop 10 --lr-first-task 1e-3 --lr-first-task-head 1e-3 --lr-backbone 1e-3 --lr-head 1e-3 --threads 1 --workers 1 \
    $(if $(PRETRAINED),--pretrained $(PRETRAINED))
reproduce-toy: demo-data ## the same table on the toy data, in minutes, under demo/reproduction
	@$(DEMO_MAKE) -j$(JOBS) reproduce RUNS=demo/reproduction REPRODUCE_TRAIN='$(TOY_TRAIN)'

# ---- tests -----------------------------------------------------------------------------------------------------------
test: $(INSTALLED) .venv/.finished ## install what is missing and run the tests
	OMP_NUM_THREADS=1 cargo test --locked

test-goldens: $(INSTALLED) .venv/.finished ## only the tests against the seed's own answers (also those in the folder INCDEC_GOLDENS)
	OMP_NUM_THREADS=1 cargo test --locked --test it -- metrics:: tasks:: model:: train::goldens

# A python with PyTorch and the other programs that ours is held against; `make setup-peers` makes one.
PYTHON ?= $(if $(wildcard .venv-peers/.finished),.venv-peers/bin/python,python3)

setup-peers: ## install the programs that ours is compared with (about 6 GB, into .venv-peers)
	@.ci/setup peers

test-pytorch: $(INSTALLED) ## load our checkpoints in PyTorch, strictly, and compare logits (after make setup-peers)
	INCDEC_PYTORCH=$$(command -v $(PYTHON)) OMP_NUM_THREADS=1 cargo test --locked --test it -- --ignored --nocapture checkpoints::pytorch

# Ours and other programs in turn on the same work. Without CLIPS the toy's videos serve; a peer that PYTHON lacks is named
# in the table. Criterion's benchmarks of single functions are `cargo bench`.
CLIPS ?= $(BENCH)/clips
CLIP_LABELS ?=
UNPACK_BYTES ?= 3e8
BENCH := build/bench
TOY_VIDEOS := --train 1 --validation 0 --test 0 --seconds 5 --size 256 --fps 20

bench: $(BUILT) ## ours beside other programs: tables, and JSON under build/bench (CLIPS=folder of videos, after make setup-peers)
	$(BIN)/incdec-toy write --out $(BENCH)/toy $(TOY_VIDEOS)
	$(if $(filter $(BENCH)/clips,$(CLIPS)),mkdir -p $(CLIPS) && cat $(BENCH)/toy/train/*.tar.gz | tar xzif - -C $(CLIPS))
	python3 tests/bench/decode.py --python $(PYTHON) --bin $(BIN) --peers tests/peers/decode.py --clips $(CLIPS) --json $(BENCH)/decode.json
	python3 tests/bench/load_peers.py --python $(PYTHON) --bin $(BIN) --work $(BENCH)/load --json $(BENCH)/load.json \
	    $(if $(CLIP_LABELS),--clips $(CLIPS) --labels $(CLIP_LABELS))
	python3 tests/bench/unpack.py $(BENCH)/toy --work $(BENCH)/unpack --bytes $(UNPACK_BYTES) --program $(BIN)/incdec-download --json $(BENCH)/unpack.json
	python3 tests/bench/step.py --python $(PYTHON) --bin $(BIN) --json $(BENCH)/step.json

# Hours in full; CAMPAIGN='--kills 2 --starts 1 --flips 1 --removals 2' takes minutes, `--help` has the rest.
.PHONY: campaign
CAMPAIGN ?=
campaign: $(BUILT) .venv/.finished ## kill, start twice, damage and silence every stage on toy data: a table of what it survives, under build/campaign
	.venv/bin/python tests/campaign/run.py --bin $(BIN) --work build/campaign --json build/campaign.json $(CAMPAIGN)

# What only a GPU can show; not run yet, for lack of one. `make setup DEVICE=cuda` and `make setup-peers` come first.
GPU ?= cuda:0
bench-gpu: $(BUILT) ## training steps on the GPU beside PyTorch, eager and compiled: a table, and JSON under build/bench
	@mkdir -p $(BENCH)
	python3 tests/bench/step.py --python $(PYTHON) --bin $(BIN) --device $(GPU) --batches 1,4,16 --threads 1 --json $(BENCH)/step-gpu.json

check-gpu: $(INSTALLED) .venv/.finished ## the tests that compute, the seed's answers among them, on the GPU (to 1e-3)
	INCDEC_TEST_DEVICE=$(GPU) OMP_NUM_THREADS=1 cargo test --locked --test it -- model:: train:: --test-threads 2

lint: $(INSTALLED) ## formatting, clippy and documentation, as .ci/run checks them
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib --locked

# ---- removing ----------------------------------------------------------------------------------------------------------
clean-download: ## remove the downloaded clips of DATA and their ledger
	rm -rf $(DATA)/raw $(DOWNLOADED)
clean-decode: ## remove the shards of DATA
	rm -rf $(SHARDS)
clean-manifest: ## remove the manifest of DATA
	rm -rf $(DATA)/manifests
clean-tasks: ## remove all tasks of DATA
	rm -rf $(DATA)/tasks
clean-train: ## remove the run RUN
	rm -rf $(RUN_DIR)
clean-report: ## remove the report of RUN
	rm -f $(REPORT)
clean-demo: ## remove the demo
	rm -rf demo
clean: ## remove what cargo built (data and runs stay)
	cargo clean
