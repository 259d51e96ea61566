# The pipeline. Each stage is a target. A stage's record is the last file that it publishes; beside
# it lie two stamps, `.made` (touched when the stage has succeeded) and `.made-by` (the settings that
# it was last asked to take). A stage runs when what it reads, or a setting that it takes, is newer
# than `.made`, or when its record is absent. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
$(if $(wildcard Cargo.toml),,$(error run make in the checkout: every path here begins there))

# ---- what may be set: make report DATA=build/clips SCENARIO=decremental ... ----------------------------------------
# The data folder; everything that a stage makes lies below it.
DATA ?= Kinetics
# The label tables, and the clips as <subcategory>/<id>_<start>_<end>.mp4. A RAW of your own is
# never downloaded into.
LABELS ?= $(DATA)/Info
RAW ?= $(DATA)/raw
# Where to download from: empty for the official archives, else a URL or a folder of the same
# layout.
SOURCE ?=
# Clips that exist only as the seed's frame folders (id_<clip>/jpgs); empty for none.
FRAME_FOLDERS ?=
# Jobs of a stage, and the share of labelled clips that may be missing at the source, and fail at
# decoding.
JOBS ?= $(shell nproc)
MAX_FAILED ?= 0.01
# Anything, to decode once more what the machine and not the file kept from being decoded; empty for
# no.
RETRY ?=
FPS ?= 5
FRAME_SIZE ?= 200x200
CODEC ?= jpeg
QUALITY ?= 90
# Which clips come and go, and when.
SCENARIO ?= substitution
SEED ?= 0
TASKS ?=
SCHEDULE ?= $(SCHEDULE_OF_SCENARIO)
# How the model is updated, and the weights that it starts from; empty for none.
APPROACH ?= finetune
PRETRAINED ?=
DEVICE ?= auto
RUN ?= $(SCENARIO)-$(APPROACH)-seed-$(SEED)
RUNS ?= $(DATA)/runs
# Any other flags of a stage and of cleaning, as their --help lists them; a value with spaces stands
# in quotes.
DOWNLOAD_FLAGS ?=
DECODE_FLAGS ?=
TASKS_FLAGS ?=
TRAIN_FLAGS ?=
CLEAN_FLAGS ?=
# The binaries. Those of another folder are taken as they are.
BIN ?= target/release
# The demo's server and toy clips.
DEMO_PORT ?= 8713
DEMO_TOY ?= --train 8 --validation 2 --test 3
# The cells of `make reproduce`, and how they are trained.
SCENARIOS ?= substitution decremental incremental-decremental joint-incremental
METHODS ?= finetune feature-extraction ewc lwf fd
SEEDS ?= 0 1 2
GEOMETRY ?= seed
REPRODUCE_TRAIN ?= --compat twyn2024 --variant A0 --geometry $(GEOMETRY) --sampler imbalanced --batch-size 4 --accumulation 4 \
    --weight-decay 5e-4 --scheduler fixed --epochs 100 --early-stop 10
# What the benchmarks work on, how much, and the python with PyTorch and the other programs that
# ours is held against (`make setup-peers` makes one); the GPU of what only a GPU can show.
BENCH := build/bench
CLIPS ?= $(BENCH)/clips
CLIP_LABELS ?=
UNPACK_BYTES ?= 3e8
PYTHON ?= $(if $(wildcard .venv-peers/.finished),.venv-peers/bin/python,python3)
GPU ?= cuda:0
# How much the campaign tries.
CAMPAIGN ?=

# ---- what is refused -------------------------------------------------------------------------------------------------
# Paths, and what targets are made of; lists of the latter; flags, which the shell splits; what is
# one word of a command line.
PATHS := DATA LABELS RAW RUNS RUN SCHEDULE SCENARIO APPROACH SEED BIN DEMO_PORT
LISTS := SCENARIOS METHODS SEEDS
FLAGS := DOWNLOAD_FLAGS DECODE_FLAGS TASKS_FLAGS TRAIN_FLAGS CLEAN_FLAGS REPRODUCE_TRAIN DEMO_TOY CAMPAIGN
WORDS := SOURCE FRAME_FOLDERS JOBS MAX_FAILED RETRY FPS FRAME_SIZE CODEC QUALITY TASKS PRETRAINED DEVICE GEOMETRY CLIPS CLIP_LABELS \
    UNPACK_BYTES PYTHON GPU
SETTINGS := $(PATHS) $(LISTS) $(FLAGS) $(WORDS)
# Variables of other programs, which the command line may set as the environment does.
PASSED_ON := INCDEC_% CARGO_% RUST% OMP_NUM_THREADS

hash := \#
define newline


endef
# The content of a variable. What a user gave is taken to the letter: a $ of his is a $.
content = $(if $(filter file,$(origin $(1))),$($(1)),$(value $(1)))
# Text, or what a variable holds, as one word of a shell's command line.
quoted = '$(subst ','\'',$(1))'
as_word = $(call quoted,$(call content,$(1)))
# $(call flag,--name,VARIABLE): the flag with what the variable holds; nothing where it holds
# nothing.
flag = $(if $(call content,$(2)),$(1) $(call as_word,$(2)))

# What make reads as its own in a target, or what ends a quoted word; what a shell does not take for
# a part of a word.
IN_NO_PATH := ' " $$ $(hash) ; & : % \ * ? [ ~ | < > ( ) `
IN_NO_FLAGS := $$ $(hash) ; & | < > ( ) `
# Those of the characters $(2) that the variable $(1) holds.
among = $(strip $(foreach character,$(2),$(findstring $(character),$(call content,$(1)))))
refuse_line_break = $(if $(findstring $(newline),$(call content,$(1))),$(error $(1) may hold no line break))
refuse_empty = $(if $(call content,$(1)),,$(error $(1) is empty: give it a value, or leave it out for the usual one))
refuse_space = $(if $(filter-out 1,$(words x$(call content,$(1))x)),$(error \
    $(1) may hold no white space: it is "$(call content,$(1))"))
# The message leaves out what the variable holds: it may be a secret.
refuse_characters = $(if $(call among,$(1),$(2)),$(error $(1) may hold none of $(2)))
refuse_unknown = $(error $(1) is no setting of this Makefile; the nearest is $(shell .ci/nearest $(call quoted,$(1)) $(SETTINGS)))

GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach name,$(filter-out $(SETTINGS) $(PASSED_ON),$(GIVEN)),$(call refuse_unknown,$(name)))
$(foreach name,$(SETTINGS),$(call refuse_line_break,$(name)))
$(foreach name,$(filter-out SCHEDULE,$(PATHS)),$(call refuse_empty,$(name)))
$(foreach name,$(PATHS),$(call refuse_space,$(name)))
$(foreach name,$(PATHS) $(LISTS),$(call refuse_characters,$(name),$(IN_NO_PATH)))
$(foreach name,$(FLAGS),$(call refuse_characters,$(name),$(IN_NO_FLAGS)))

# ---- where things lie ------------------------------------------------------------------------------------------------
# The scenarios that exchange or withdraw subcategories follow a schedule; the other two have none.
SCHEDULE_OF_SCENARIO = $(if $(filter decremental,$(SCENARIO)),$(LABELS)/subcategories_to_remove.csv,$(if \
    $(filter incremental-decremental,$(SCENARIO)),$(LABELS)/subcategories_to_substitute.csv))

DOWNLOADED := $(DATA)/downloads.parquet
SHARDS := $(DATA)/shards
INDEX := $(SHARDS)/index.parquet
MANIFESTS := $(DATA)/manifests
MANIFEST := $(MANIFESTS)/clips.parquet
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
	@echo 'Settings, with what they are now: DATA=$(DATA) SCENARIO=$(SCENARIO) APPROACH=$(APPROACH) SEED=$(SEED)' DEVICE=$(call quoted,$(DEVICE))

# ---- installing and building -----------------------------------------------------------------------------------------
# Here DEVICE chooses the wheel: `make setup DEVICE=cuda` installs the full one.
setup: ## install what is missing (DEVICE=cuda for a GPU's libtorch)
	@.ci/setup $(if $(filter cuda%,$(DEVICE)),cuda,cpu)

doctor: ## say what is there, what is missing and how to get it
	@.ci/doctor

SOURCES := Cargo.toml Cargo.lock build.rs $(shell find src -name '*.rs' -o -name '*.cpp' -o -name '*.h')
BUILT := $(if $(filter target/release,$(BIN)),target/release/.built)
INSTALLED := .libtorch/.finished

$(INSTALLED) .venv/.finished:
	@.ci/setup

$(BUILT): $(SOURCES) $(INSTALLED)
	cargo build --release --locked --bins
	@touch '$@'

build: $(BUILT) ## build the release binaries into target/release

# ---- the stages ------------------------------------------------------------------------------------------------------
# A recipe becomes its program (exec), so that a signal which ends make ends the program, and
# touches `.made` afterwards. The record follows `.made` by a rule without recipe: make never
# deletes it, and what comes later depends on the record's own time, so that a stage which changed
# nothing has nothing run after it. The binaries come after the bar: a code edit alone does not run
# a stage again; where it changes what a file holds, the file's format version makes the readers ask
# for it.

# $(call run,COMMAND) says the command as it can be typed, and becomes its program.
run = @printf '%s\n' $(call quoted,$(1)); exec $(1)
# FORCE where the record $(1) is absent.
absent = $(if $(wildcard $(1)),,FORCE)

# Passwords and signatures stand before an @ and behind a ? of a URL.
without_secrets := sed -E 's|(://)[^/ ]*@|\1|g; s|(://[^? ]*)[?][^ ]*|\1|g'
# $(call made_by,SETTINGS): keeps the settings in the target, which changes only with them and only
# its owner reads.
define made_by
@mkdir -p '$(@D)'
@settings=$$(printf '%s\n' $(1) | $(without_secrets)); cmp -s '$@' - <<<"$$settings" || install -m 600 /dev/stdin '$@' <<<"$$settings"
endef

# The source reaches the program by the environment: no make that prints its recipes prints it.
export DOWNLOAD_SOURCE := $(call content,SOURCE)
DOWNLOAD_SETTINGS = $(if $(DOWNLOAD_SOURCE),--source "$$DOWNLOAD_SOURCE") $(call flag,--frame-folders,FRAME_FOLDERS) \
    $(call flag,--max-missing,MAX_FAILED) $(DOWNLOAD_FLAGS)
DECODE_SETTINGS = $(call flag,--fps,FPS) $(call flag,--frame-size,FRAME_SIZE) $(call flag,--codec,CODEC) \
    $(call flag,--quality,QUALITY) $(call flag,--max-failed,MAX_FAILED) $(call flag,--frame-folders,FRAME_FOLDERS) $(DECODE_FLAGS)
TASKS_SETTINGS = --scenario '$(SCENARIO)' --seed '$(SEED)' $(call flag,--tasks,TASKS) $(call flag,--schedule,SCHEDULE) $(TASKS_FLAGS)
TRAIN_SETTINGS = --approach '$(APPROACH)' --seed '$(SEED)' $(call flag,--device,DEVICE) $(call flag,--pretrained,PRETRAINED) $(TRAIN_FLAGS)

$(DATA)/.made-by: FORCE
	$(call made_by,'$(RAW)' '$(LABELS)' $(DOWNLOAD_SETTINGS))
$(SHARDS)/.made-by: FORCE
	$(call made_by,'$(RAW)' '$(LABELS)' $(DECODE_SETTINGS))
$(MANIFESTS)/.made-by: FORCE
	$(call made_by,'$(LABELS)')
$(TASK_DIR)/.made-by: FORCE
	$(call made_by,$(TASKS_SETTINGS))
$(RUN_DIR)/.made-by: FORCE
	$(call made_by,'$(TASK_DIR)' $(TRAIN_SETTINGS))

SPLIT_TABLES := $(addprefix $(LABELS)/,train.csv validation.csv test.csv)
LABEL_TABLES := $(LABELS)/classes.csv $(SPLIT_TABLES)

labels: | $(BUILT) ## fetch the published subset's label tables into LABELS
	$(call run,'$(BIN)/incdec-download' labels --out '$(LABELS)')

$(LABEL_TABLES):
	@echo '$@ is missing' >&2
	@echo 'hint: $(if $(wildcard $(SPLIT_TABLES)),the other tables of $(LABELS) are there: put this one beside them,make labels fetches \
	    the published tables into $(LABELS)); LABELS=folder names another folder' >&2
	@exit 1

download: $(DOWNLOADED) ## fetch the clips that the labels name
$(DOWNLOADED): $(DATA)/.made ;
$(DATA)/.made: $(LABEL_TABLES) $(DATA)/.made-by $(call absent,$(DOWNLOADED)) | $(BUILT)
	@set -- '$(BIN)/incdec-download' --labels '$(LABELS)' --out '$(RAW)' --ledger '$(DOWNLOADED)' $(DOWNLOAD_SETTINGS); \
	echo "$$*" | $(without_secrets); \
	exec "$$@"
	@touch '$@'

decode: $(INDEX) ## decode the clips into frame shards
$(INDEX): $(SHARDS)/.made ;
# Clips that lie elsewhere are the user's own: nothing is downloaded for them.
$(SHARDS)/.made: $(if $(filter $(DATA)/raw,$(RAW)),$(DOWNLOADED)) $(LABEL_TABLES) $(SHARDS)/.made-by $(call absent,$(INDEX)) $(if $(RETRY),FORCE) | $(BUILT)
	$(call run,'$(BIN)/incdec-decode' --clips '$(RAW)' --labels '$(LABELS)' --out '$(SHARDS)' $(call flag,--jobs,JOBS) $(DECODE_SETTINGS) $(if $(RETRY),--retry))
	@touch '$@'

manifest: $(MANIFEST) ## join labels and shards into clips.parquet, and audit them
$(MANIFEST): $(MANIFESTS)/.made ;
$(MANIFESTS)/.made: $(INDEX) $(LABEL_TABLES) $(MANIFESTS)/.made-by $(call absent,$(MANIFEST)) | $(BUILT)
	$(call run,'$(BIN)/incdec-manifest' --labels '$(LABELS)' --shards '$(SHARDS)' --out '$(MANIFEST)')
	@touch '$@'

tasks: $(AVAILABILITY) ## deal the clips out to the tasks of SCENARIO
$(AVAILABILITY): $(TASK_DIR)/.made ;
$(TASK_DIR)/.made: $(MANIFEST) $(SCHEDULE) $(TASK_DIR)/.made-by $(call absent,$(AVAILABILITY)) | $(BUILT)
	$(call run,'$(BIN)/incdec-tasks' --manifest '$(MANIFEST)' --out '$(TASK_DIR)' $(TASKS_SETTINGS))
	@touch '$@'

train: $(FINISHED) ## train task after task by APPROACH
$(FINISHED): $(RUN_DIR)/.made ;
$(RUN_DIR)/.made: $(AVAILABILITY) $(INDEX) $(RUN_DIR)/.made-by $(call absent,$(FINISHED)) | $(BUILT)
	$(call run,'$(BIN)/incdec-train' --availability '$(TASK_DIR)' --shards '$(SHARDS)' --out '$(RUN_DIR)' $(TRAIN_SETTINGS))
	@touch '$@'

report: $(REPORT) ## one HTML page of the run
$(REPORT): $(RUN_DIR)/.reported ;
$(RUN_DIR)/.reported: $(FINISHED) $(call absent,$(REPORT)) | $(BUILT)
	$(call run,'$(BIN)/incdec-report' --out '$(REPORT)' '$(RUN_DIR)')
	@touch '$@'

# ---- the demo --------------------------------------------------------------------------------------------------------
# A toy source is written, served on loopback, and goes through every stage as the real one would,
# under two scenarios.
DEMO_SOURCE := demo/source
DEMO_URL = http://127.0.0.1:$(DEMO_PORT)
DEMO_SCENARIOS := substitution decremental
DEMO_RUNS := $(DEMO_SCENARIOS:%=demo/runs/%-finetune-seed-0)
DEMO_TRAIN := --frames 8 --resize 72 --size 64 --epochs 6 --batch-size 8 --lr-first-task 1e-3 --lr-first-task-head 1e-3 \
    --lr-backbone 5e-4 --lr-head 5e-4
DEMO_MAKE = $(MAKE) --no-print-directory DATA=demo RAW=demo/raw LABELS=$(DEMO_SOURCE)/Info RUNS=demo/runs \
    SOURCE=$(call quoted,$(DEMO_URL)) FRAME_FOLDERS= FRAME_SIZE=72x72 DEVICE=cpu TRAIN_FLAGS=$(call quoted,$(DEMO_TRAIN))

# The server says its URL and then a token; only what answers with that token at the URL is the
# server. The shell stays, to end both the server and the download when it is ended itself.
demo-data: $(BUILT) # the toy source's clips, decoded
	@mkdir -p demo && touch demo/.begun
	$(call run,'$(BIN)/incdec-toy' write --out $(DEMO_SOURCE) $(DEMO_TOY))
	@exec 3< <(exec '$(BIN)/incdec-toy' serve $(DEMO_SOURCE) $(call flag,--port,DEMO_PORT)); server=$$!; download=; \
	trap 'kill $$server $$download 2>/dev/null || true; wait' EXIT; trap 'exit 143' TERM INT HUP; \
	read -r url <&3 && read -r token <&3 && '$(BIN)/incdec-toy' ask $(call quoted,$(DEMO_URL)) "$$token" || { \
	    echo 'demo: its server does not answer on port' $(call quoted,$(DEMO_PORT)) >&2; \
	    echo 'hint: DEMO_PORT=number chooses a port that nothing else listens on' >&2; \
	    exit 1; \
	}; \
	$(DEMO_MAKE) download & download=$$!; \
	wait $$download
	@exec $(DEMO_MAKE) manifest

.PHONY: $(DEMO_SCENARIOS:%=demo-train-%)
$(DEMO_SCENARIOS:%=demo-train-%): demo-train-%: demo-data
	@exec $(DEMO_MAKE) train SCENARIO=$* APPROACH=finetune SEED=0 RUN=$*-finetune-seed-0

demo: $(DEMO_SCENARIOS:%=demo-train-%) ## the whole pipeline on a toy data set, up to demo/report.html
	@exec $(DEMO_MAKE) demo/report.html
	@[ demo/report.html -nt demo/.begun ] || echo 'demo: everything was there already; nothing was done'
	@echo "demo/report.html: $$(tail -n 1 demo/summary.txt)"

demo/report.html: demo/.reported ;
demo/.reported: $(DEMO_RUNS:%=%/run.json) $(call absent,demo/report.html)
	$(call run,'$(BIN)/incdec-report' --out demo/report.html $(DEMO_RUNS) >demo/summary.txt)
	@cat demo/summary.txt
	@touch '$@'

# ---- the real data ---------------------------------------------------------------------------------------------------
kinetics: ## the published subset of Kinetics-700-2020: 32 GB to read, 7 GB on disk, an hour or two at 100 Mbit/s
	@exec $(MAKE) --no-print-directory labels
	@exec $(MAKE) --no-print-directory manifest

# ---- the seed's experiments ------------------------------------------------------------------------------------------
# Every cell of the published table, scenario x (finetune, feature extraction, EWC, LwF, FD) x seed,
# is a run of its own in RUNS: what is done is passed over, what was stopped goes on, `make -k`
# passes over a cell that fails, JOBS=2 trains two at a time, and SCENARIOS, METHODS and SEEDS
# choose a part. `make reproduce DEVICE=cuda:0 PRETRAINED=file.pt GEOMETRY=tf`.

# One run at a time where JOBS is not given: training wants the whole machine.
TABLE_JOBS = $(if $(filter file,$(origin JOBS)),,$(call flag,--jobs,JOBS))
# The first word of MAKEFLAGS holds make's own one-letter flags.
KEEP_GOING = $(if $(findstring k,$(firstword -$(MAKEFLAGS))),--keep-going)
# The tasks are the published ones: what would have no effect is refused.
refuse_given = $(if $(filter command,$(origin $(1))),$(error make reproduce takes no $(1): its tasks are the published ones))
$(if $(filter reproduce%,$(MAKECMDGOALS)),$(foreach name,TASKS SCHEDULE TASKS_FLAGS,$(call refuse_given,$(name))))
reproduce: $(MANIFEST) | $(BUILT) ## the seed's whole table of experiments (days on a GPU), one page and one Parquet file
	$(call run,'$(BIN)/incdec-experiment' table --labels '$(LABELS)' --manifest '$(MANIFEST)' --shards '$(SHARDS)' --tasks-dir '$(DATA)/tasks' \
	    --runs '$(RUNS)' --scenarios $(SCENARIOS) --methods $(METHODS) --seeds $(SEEDS) $(TABLE_JOBS) $(KEEP_GOING) \
	    -- $(call flag,--device,DEVICE) $(call flag,--pretrained,PRETRAINED) $(REPRODUCE_TRAIN))

# The demo's clips, fewer and smaller frames and one epoch a task: the same cells in minutes, one
# for each core at a time.
TOY_TRAIN := --compat twyn2024 --sampler imbalanced --batch-size 4 --accumulation 1 --frames 4 --resize 36 --size 32 --geometry tf \
    --epochs 1 --early-stop 10 --lr-first-task 1e-3 --lr-first-task-head 1e-3 --lr-backbone 1e-3 --lr-head 1e-3 --threads 1 --workers 1
reproduce-toy: demo-data ## the same table on the toy data, in minutes, under demo/reproduction
	@exec $(DEMO_MAKE) reproduce JOBS=$(call as_word,JOBS) RUNS=demo/reproduction REPRODUCE_TRAIN=$(call quoted,$(TOY_TRAIN))

# ---- tests -----------------------------------------------------------------------------------------------------------
test: $(INSTALLED) .venv/.finished ## install what is missing and run the tests
	OMP_NUM_THREADS=1 cargo test --locked

test-goldens: $(INSTALLED) .venv/.finished ## only the tests against the seed's own answers (also those in the folder INCDEC_GOLDENS)
	OMP_NUM_THREADS=1 cargo test --locked --test it -- metrics:: tasks:: model:: train::goldens audit:: unlearning::

setup-peers: ## install the programs that ours is compared with (about 6 GB, into .venv-peers)
	@.ci/setup peers

test-pytorch: $(INSTALLED) ## load our checkpoints in PyTorch, strictly, and compare logits (after make setup-peers)
	INCDEC_PYTORCH=$$(command -v $(call as_word,PYTHON)) OMP_NUM_THREADS=1 exec cargo test --locked --test it -- --ignored --nocapture checkpoints::pytorch

# Ours and other programs in turn on the same work. Without CLIPS the toy's videos serve; a peer
# that PYTHON lacks is named in the table. Criterion's benchmarks of single functions are `cargo
# bench`.
TOY_VIDEOS := --train 1 --validation 0 --test 0 --seconds 5 --size 256 --fps 20

bench: $(BUILT) ## ours beside other programs: tables, and JSON under build/bench (CLIPS=folder of videos, after make setup-peers)
	'$(BIN)/incdec-toy' write --out $(BENCH)/toy $(TOY_VIDEOS)
	$(if $(filter $(BENCH)/clips,$(CLIPS)),mkdir -p $(BENCH)/clips && cat $(BENCH)/toy/train/*.tar.gz | tar xzif - -C $(BENCH)/clips)
	python3 tests/bench/decode.py $(call flag,--python,PYTHON) --bin '$(BIN)' --peers tests/peers/decode.py $(call flag,--clips,CLIPS) \
	    --json $(BENCH)/decode.json
	python3 tests/bench/load_peers.py $(call flag,--python,PYTHON) --bin '$(BIN)' --work $(BENCH)/load --json $(BENCH)/load.json \
	    $(if $(CLIP_LABELS),$(call flag,--clips,CLIPS) $(call flag,--labels,CLIP_LABELS))
	python3 tests/bench/unpack.py $(BENCH)/toy --work $(BENCH)/unpack $(call flag,--bytes,UNPACK_BYTES) --program '$(BIN)/incdec-download' \
	    --json $(BENCH)/unpack.json
	python3 tests/bench/step.py $(call flag,--python,PYTHON) --bin '$(BIN)' --json $(BENCH)/step.json

# Hours in full; CAMPAIGN='--kills 2 --starts 1 --flips 1 --removals 2' takes minutes, `--help` has
# the rest.
.PHONY: campaign
campaign: $(BUILT) .venv/.finished ## kill, start twice, damage and silence every stage on toy data: a table of what it survives, under build/campaign
	.venv/bin/python tests/campaign/run.py --bin "$(BIN)" --work build/campaign --json build/campaign.json $(CAMPAIGN)

# What only a GPU can show; not run yet, for lack of one. `make setup DEVICE=cuda` and `make
# setup-peers` come first.
bench-gpu: $(BUILT) ## training steps on the GPU beside PyTorch, eager and compiled: a table, and JSON under build/bench
	@mkdir -p $(BENCH)
	python3 tests/bench/step.py $(call flag,--python,PYTHON) --bin '$(BIN)' $(call flag,--device,GPU) --batches 1,4,16 --threads 1 --json $(BENCH)/step-gpu.json

check-gpu: $(INSTALLED) .venv/.finished ## the tests that compute, the seed's answers among them, on the GPU (to 1e-3)
	INCDEC_TEST_DEVICE=$(call as_word,GPU) OMP_NUM_THREADS=1 cargo test --locked --test it -- model:: train:: --test-threads 2

lint: $(INSTALLED) ## formatting, clippy, documentation and this file's quoting, as .ci/run checks them
	.ci/lint-makefile Makefile
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib --locked

# ---- removing ----------------------------------------------------------------------------------------------------------
# What a record proves to be a stage's own work, unchanged, is removed; everything else stays, and
# is counted. CLEAN_FLAGS=--dry-run only lists.
clean-download: | $(BUILT) ## remove the clips of DATA that were downloaded, and their ledger
	$(call run,'$(BIN)/incdec-clean' download '$(DATA)' --clips '$(RAW)' $(CLEAN_FLAGS))
clean-decode: | $(BUILT) ## remove the shards of DATA
	$(call run,'$(BIN)/incdec-clean' decode '$(SHARDS)' $(CLEAN_FLAGS))
clean-manifest: | $(BUILT) ## remove the manifest of DATA
	$(call run,'$(BIN)/incdec-clean' manifest '$(MANIFESTS)' $(CLEAN_FLAGS))
clean-tasks: | $(BUILT) ## remove all tasks of DATA
	$(call run,'$(BIN)/incdec-clean' tasks '$(DATA)/tasks' $(CLEAN_FLAGS))
clean-train: | $(BUILT) ## remove the run RUN
	$(call run,'$(BIN)/incdec-clean' train '$(RUN_DIR)' $(CLEAN_FLAGS))
clean-report: | $(BUILT) ## remove the report of RUN
	$(call run,'$(BIN)/incdec-clean' report '$(RUN_DIR)' $(CLEAN_FLAGS))
clean-demo: ## remove the demo
	rm -rf ./demo
clean: ## remove what cargo built (data and runs stay)
	cargo clean
