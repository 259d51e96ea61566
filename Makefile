# The pipeline. Each stage is a target. A stage's record is the last file that it publishes; beside
# it lie two stamps, `.made` (touched when the stage has succeeded) and `.made-by` (the settings that
# it was last asked to take); of a report, which lies with its run, `.reported` and `.reported-by`.
# A stage runs when what it reads, or a setting that it takes, is newer than `.made`, or when its
# record is absent. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
$(if $(wildcard Cargo.toml),,$(error run make in the checkout: every path here begins there))

# ---- what may be set: make report DATA=build/clips SCENARIO=decremental ... ----------------------------------------
# `make help` lists these, each with the comment above it and with what it is.

# The data folder; everything that a stage makes lies below it.
DATA ?= Kinetics
# Folder of the label tables.
LABELS ?= $(DATA)/Info
# The clips as <subcategory>/<id>_<start>_<end>.mp4. A RAW of your own is never downloaded into.
RAW ?= $(DATA)/raw
# Where to download from: empty for the official archives, else a URL or a folder of the same
# layout.
SOURCE ?=
# Clips that exist only as the seed's frame folders (id_<clip>/jpgs); empty for none.
FRAME_FOLDERS ?=
# Jobs of a stage at a time.
JOBS ?= $(shell nproc)
# Share of the labelled clips that may be missing at the source, and of clips that may fail at
# decoding.
MAX_FAILED ?= 0.01
# Anything, to decode once more what the machine and not the file kept from being decoded; empty for
# no.
RETRY ?=
# Frames a second that are decoded.
FPS ?= 5
# Width x height of decoded frames, in pixels; by FRAME_FOLDERS the size that the seed's frames have, which are then stored byte
# for byte.
FRAME_SIZE ?= $(if $(FRAME_FOLDERS),short:240,200x200)
# How decoded frames are stored.
CODEC ?= jpeg
# Quality of stored JPEG frames, 1 to 100.
QUALITY ?= 90
# Which clips come and go from task to task: substitution, decremental, incremental-decremental,
# joint-incremental or events.
SCENARIO ?= substitution
# Seed of the tasks and of the training.
SEED ?= 0
# Number of tasks; empty for the schedule's, or 6.
TASKS ?=
# How many subcategories leave or are exchanged when: a CSV file, empty for none.
SCHEDULE ?= $(SCHEDULE_OF_SCENARIO)
# SCENARIO=events: a CSV file of who comes and goes when.
EVENTS ?=
# SCENARIO=events: a CSV file of who is there from the start; empty for everyone.
START ?=
# Label tables of videos of your own (own-data): what no split may divide.
GROUP_BY ?=
# The same: which category each label is of, a CSV file, where the folders' names do not tell it.
TAXONOMY ?=
# The same: which label each video has, a CSV file, where the folders' names do not tell it.
LIST ?=
# How the model is updated: finetune, ewc, lwf or fd; with a buffer of earlier clips: er, der++ or
# gdumb; as a head on cached features: ridge, ranpac, sisa or head-finetune.
APPROACH ?= finetune
# Weights that training starts from (make weights fetches some); empty for none.
PRETRAINED ?=
# The file of weights whose backbone make features freezes; empty for PRETRAINED.
BACKBONE ?=
# Which published weights make weights fetches: what `incdec-weights list` names.
WEIGHTS ?= seed
# Where to compute: auto, cpu or cuda:N; for make setup, cpu or cuda.
DEVICE ?= auto
# What is erased: flags that choose clips (--clips FILE, --source ID, --subcategory NAME, --unlabelled, ...).
ERASE ?=
# A name for the request to erase.
REQUEST ?=
# The clip that make where looks for.
CLIP ?=
# Folder of the archives that the download keeps, where erasing looks too; empty for none.
KEEP_ARCHIVES ?=
# What make predict applies to VIDEO: a run directory or a file of weights; empty for the run RUN.
CHECKPOINT ?=
# The runs that make audit judges, and their references: run directories, separated by spaces.
AUDITED ?=
# Videos that make predict looks at, separated by spaces; a name with spaces stands in quotes.
VIDEO ?=
# Where make install puts binaries, man pages and completions.
PREFIX ?= /usr/local
# What stands before PREFIX where a package is made.
DESTDIR ?=
# Name of the run, which is its folder's below RUNS.
RUN ?= $(SCENARIO)-$(APPROACH)-seed-$(SEED)
# Folder of the run directories.
RUNS ?= $(DATA)/runs
# Other flags of incdec-own-data, as its --help lists them; a value with spaces stands in quotes.
OWN_DATA_FLAGS ?=
# Other flags of incdec-download.
DOWNLOAD_FLAGS ?=
# Other flags of incdec-decode.
DECODE_FLAGS ?=
# Other flags of incdec-tasks.
TASKS_FLAGS ?=
# Other flags of incdec-features.
FEATURES_FLAGS ?=
# Other flags of incdec-audit.
AUDIT_FLAGS ?=
# Other flags of incdec-train.
TRAIN_FLAGS ?=
# Where else clips are erased and looked for: --store s3://bucket/prefix --signed --cache FOLDER.
ELSEWHERE ?=
# Other flags of incdec-report: --frames Kinetics/shards shows frames of what was withdrawn or lost,
# in which people can be seen.
REPORT_FLAGS ?=
# Other flags of incdec-predict.
PREDICT_FLAGS ?=
# Other flags of incdec-clean: --dry-run only lists.
CLEAN_FLAGS ?=
# Folder that make slurm writes sbatch files into.
SLURM ?= build/slurm
# Into how many parts make slurm divides download, decode and manifest; each is a task of an array,
# and has JOBS processors where it can use them.
PARTS ?= 8
# Processes that train together in make slurm, each with JOBS processors, and a GPU where DEVICE is
# cuda.
PROCESSES ?= 1
# Folder of the binaries. Those of another folder than target/release are taken as they are.
BIN ?= target/release
# Port of the demo's server.
DEMO_PORT ?= 8713
# The demo's clips: flags of incdec-toy write. Ten training clips a subcategory are the fewest of
# which the decremental scenario has some arrive in every task; the appearance as a cue lets a model
# learn in minutes.
DEMO_TOY ?= --train 10 --validation 2 --test 3 --cue appearance
# How the demo trains: flags of incdec-train.
DEMO_TRAIN ?= --frames 4 --resize 72 --size 64 --epochs 1 --batch-size 8 --sampler imbalanced --lr-first-task 1e-3 \
    --lr-first-task-head 1e-3 --lr-backbone 5e-4 --lr-head 5e-4
# Scenarios of make reproduce.
SCENARIOS ?= substitution decremental incremental-decremental joint-incremental
# Methods of make reproduce.
METHODS ?= finetune feature-extraction ewc lwf fd
# Seeds of make reproduce.
SEEDS ?= 0 1 2
# Geometry of the model of make reproduce, seed or tf; empty for that of PRETRAINED where these are
# published weights, else the seed's.
GEOMETRY ?=
# How make reproduce trains: flags of incdec-train.
REPRODUCE_TRAIN ?= --compat twyn2024 $(call flag,--geometry,GEOMETRY) --sampler imbalanced --batch-size 4 --accumulation 4 \
    --weight-decay 5e-4 --scheduler fixed --epochs 100 --early-stop 10
BENCH := build/bench
# Folder of videos that the benchmarks work on.
VIDEOS ?= $(BENCH)/clips
# Label tables of those videos, where there are some.
CLIP_LABELS ?=
# Bytes that the benchmark of unpacking works on.
UNPACK_BYTES ?= 3e8
# The python with PyTorch and the other programs that the benchmarks compare with (`make
# setup-peers` makes one).
PYTHON ?= $(if $(wildcard .venv-peers/.finished),.venv-peers/bin/python,python3)
# Which of the README's and the guide's commands make test-readme runs, by what they need: quick,
# demo, peers, network, gpu, cluster or audit.
MARKS ?= quick demo peers
# The GPU of what only a GPU can show.
GPU ?= cuda:0
# How much the campaign tries: flags of tests/campaign/run.py.
CAMPAIGN ?=

# ---- what is refused -------------------------------------------------------------------------------------------------
# Paths, and what targets are made of; lists of the latter; flags, which the shell splits; what is
# one word of a command line.
PATHS := WEIGHTS DATA LABELS RAW RUNS RUN SCHEDULE EVENTS START SCENARIO APPROACH SEED BIN DEMO_PORT PREFIX SLURM
LISTS := SCENARIOS METHODS SEEDS MARKS
FLAGS := OWN_DATA_FLAGS DOWNLOAD_FLAGS DECODE_FLAGS TASKS_FLAGS FEATURES_FLAGS AUDIT_FLAGS AUDITED TRAIN_FLAGS REPORT_FLAGS CLEAN_FLAGS ERASE ELSEWHERE REPRODUCE_TRAIN DEMO_TOY DEMO_TRAIN CAMPAIGN PREDICT_FLAGS VIDEO
WORDS := SOURCE FRAME_FOLDERS JOBS MAX_FAILED RETRY FPS FRAME_SIZE CODEC QUALITY TASKS PRETRAINED BACKBONE DEVICE GEOMETRY REQUEST CLIP KEEP_ARCHIVES VIDEOS CLIP_LABELS \
    CHECKPOINT DESTDIR UNPACK_BYTES PYTHON GPU GROUP_BY TAXONOMY LIST PARTS PROCESSES
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
$(foreach name,$(filter-out SCHEDULE EVENTS START,$(PATHS)),$(call refuse_empty,$(name)))
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
FEATURES := $(DATA)/features/features.parquet
# The features where APPROACH is a head on them.
FEATURES_OF_APPROACH = $(if $(filter ridge ranpac sisa head-finetune,$(APPROACH)),$(FEATURES))
RUN_DIR := $(RUNS)/$(RUN)
FINISHED := $(RUN_DIR)/run.json
REPORT := $(RUN_DIR)/report.html
AUDIT := $(DATA)/audit

.PHONY: help setup setup-peers doctor build own-data labels download decode manifest tasks features train report audit audit-toy demo-data demo kinetics reproduce weights try \
    predict install slurm reproduce-toy erase where verify-erased test test-goldens test-pytorch test-readme bench bench-gpu check-gpu nccl dist lint \
    clean-download clean-decode clean-manifest clean-tasks clean-train clean-report clean-demo clean FORCE
.DEFAULT_GOAL := help

help: ## list the targets and the settings
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | awk -F '\t' '{ printf "  %-18s %s\n", $$1, $$2 }'
	@printf '\n%s\n\n' 'Settings (make TARGET NAME=value ...), each with what it is now:'
	@{ $(foreach name,$(SETTINGS),printf '%s=%s\n' $(name) $(call as_word,$(name));) } | $(without_secrets) | .ci/settings Makefile

# ---- installing and building -----------------------------------------------------------------------------------------
# Here DEVICE chooses the wheel: `make setup DEVICE=cuda` installs the full one.
setup: ## install what is missing (DEVICE=cuda for a GPU's libtorch)
	@.ci/setup $(if $(filter cuda%,$(DEVICE)),cuda,cpu)

doctor: ## say what is there, what is missing and how to get it
	@.ci/doctor

SOURCES := Cargo.toml Cargo.lock build.rs $(shell find src -name '*.rs' -o -name '*.cpp' -o -name '*.h')
# The stages' programs are what a newcomer waits for; the others are built when a target wants one.
STAGES := toy download decode manifest tasks train report
# What works on the demo's data is compiled lightly, in less time, and fully by the first target that
# works on other data; where that was done before, it serves the demo, too. The full build's stamps go
# when its programs are replaced.
FULLY_BUILT := $(if $(filter target/release,$(BIN)),target/release/.built)
DEMO_BUILT := $(if $(FULLY_BUILT),target/release/.demo-built)
BUILT := $(if $(filter demo,$(DATA)),$(DEMO_BUILT),$(FULLY_BUILT))
ALL_BUILT := $(if $(FULLY_BUILT),target/release/.all-built)
LIGHTLY := --config profile.release.opt-level=0 $(patsubst %,--config profile.release.package.%.opt-level=0,incdec parquet \
    serde_arrow tch arrow-array arrow-buffer arrow-data arrow-ipc half csv-core tar \
    turbojpeg-sys zstd-sys bzip2-sys)
INSTALLED := .libtorch/.finished

# What several processes exchange their GPUs' tensors over: built of its own, loaded from here at
# run time.
NCCL := target/lib/libincdec_nccl.so

# A run says of which commit the program was that trained it.
with_commit = INCDEC_COMMIT=$$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || true)

$(INSTALLED):
	@.ci/setup build

.venv/.finished: | $(INSTALLED)
	@.ci/setup

$(FULLY_BUILT): $(SOURCES) $(INSTALLED)
	$(with_commit) cargo build --release --locked $(STAGES:%=--bin incdec-%)
	@touch '$(DEMO_BUILT)' '$@'

$(DEMO_BUILT): $(SOURCES) $(INSTALLED)
	$(with_commit) cargo build --release --locked $(LIGHTLY) $(STAGES:%=--bin incdec-%)
	@rm -f '$(FULLY_BUILT)' '$(ALL_BUILT)' && touch '$@'

$(ALL_BUILT): $(SOURCES) $(INSTALLED)
	$(with_commit) cargo build --release --locked --bins
	@touch '$(DEMO_BUILT)' '$(FULLY_BUILT)' '$@'

$(NCCL): src/lib/train/world/nccl/nccl.cpp src/lib/train/world/c10d/shared.h src/lib/exception/guarded.h .ci/nccl | $(INSTALLED) .venv/.finished
	@.ci/nccl '$@'

nccl: $(NCCL) ## build what several processes exchange GPUs' tensors over (no GPU is needed)

build: $(ALL_BUILT) ## build the release binaries into target/release

# ---- the stages ------------------------------------------------------------------------------------------------------
# A recipe becomes its program (exec), so that a signal which ends make ends the program, and
# touches `.made` afterwards. The record follows `.made` by a rule without recipe: make never
# deletes it, and what comes later depends on the record's own time, so that a stage which changed
# nothing has nothing run after it. The binaries come after the bar: a code edit alone does not run
# a stage again; where it changes what a file holds, the file's format version makes the readers ask
# for it.

# $(call say,COMMAND) says the command on one line as it can be typed, with quotes only where they
# are needed, and keeps it; $(call run,COMMAND) also becomes its program.
say = set -- $(1); line=$$(printf '%q ' "$$@"); printf '%s\n' "$${line% }"
run = @$(call say,$(1)); exec "$$@"
# $(call needs,VARIABLE,WHAT IT IS): what a target cannot do without.
needs = $(if $(call content,$(1)),,$(error make $@ needs $(1): $(2)))
needs_backbone = $(if $(call content,BACKBONE)$(call content,PRETRAINED),,$(error \
    $(if $(FEATURES_OF_APPROACH),APPROACH=$(APPROACH),make features) needs BACKBONE: a file of weights that `make weights` fetched, or a \
    checkpoint of a run, such as the demo's $(DEMO_BACKBONE)))
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
    $(call flag,--keep-archives,KEEP_ARCHIVES) $(call flag,--max-missing,MAX_FAILED) $(DOWNLOAD_FLAGS)
DECODE_SETTINGS = $(call flag,--fps,FPS) $(call flag,--frame-size,FRAME_SIZE) $(call flag,--codec,CODEC) \
    $(call flag,--quality,QUALITY) $(call flag,--max-failed,MAX_FAILED) $(call flag,--frame-folders,FRAME_FOLDERS) $(DECODE_FLAGS)
TASKS_SETTINGS = --scenario '$(SCENARIO)' --seed '$(SEED)' $(call flag,--tasks,TASKS) $(call flag,--schedule,SCHEDULE) \
    $(call flag,--events,EVENTS) $(call flag,--start,START) $(TASKS_FLAGS)
FEATURES_SETTINGS = --checkpoint $(if $(BACKBONE),$(call as_word,BACKBONE),$(call as_word,PRETRAINED)) $(call flag,--device,DEVICE) $(FEATURES_FLAGS)
TRAIN_SETTINGS = --approach '$(APPROACH)' --seed '$(SEED)' $(call flag,--device,DEVICE) \
    $(if $(FEATURES_OF_APPROACH),--features '$(FEATURES)',$(call flag,--pretrained,PRETRAINED)) $(TRAIN_FLAGS)

DOWNLOAD_COMMAND = '$(BIN)/incdec-download' --labels '$(LABELS)' --out '$(RAW)' --ledger '$(DOWNLOADED)' $(DOWNLOAD_SETTINGS)
DECODE_COMMAND = '$(BIN)/incdec-decode' --clips '$(RAW)' --labels '$(LABELS)' --out '$(SHARDS)' $(call flag,--jobs,JOBS) \
    $(DECODE_SETTINGS) $(if $(RETRY),--retry)
MANIFEST_COMMAND = '$(BIN)/incdec-manifest' --labels '$(LABELS)' --shards '$(SHARDS)' --out '$(MANIFEST)'
TASKS_COMMAND = '$(BIN)/incdec-tasks' --manifest '$(MANIFEST)' --out '$(TASK_DIR)' $(TASKS_SETTINGS)
FEATURES_COMMAND = '$(BIN)/incdec-features' --shards '$(SHARDS)' --out '$(FEATURES)' $(call flag,--withdrawn,WITHDRAWN) $(FEATURES_SETTINGS)
TRAIN_COMMAND = '$(BIN)/incdec-train' --availability '$(TASK_DIR)' --shards '$(SHARDS)' --out '$(RUN_DIR)' \
    $(WITHDRAWAL_FLAGS) $(TRAIN_SETTINGS)
REPORT_COMMAND = '$(BIN)/incdec-report' --out '$(REPORT)' $(WITHDRAWAL_FLAGS) $(REPORT_FLAGS) '$(RUN_DIR)'

$(DATA)/.made-by: FORCE
	$(call made_by,'$(RAW)' '$(LABELS)' $(DOWNLOAD_SETTINGS))
$(SHARDS)/.made-by: FORCE
	$(call made_by,'$(RAW)' '$(LABELS)' $(DECODE_SETTINGS))
$(MANIFESTS)/.made-by: FORCE
	$(call made_by,'$(LABELS)')
$(TASK_DIR)/.made-by: FORCE
	$(call made_by,$(TASKS_SETTINGS))
$(DATA)/features/.made-by: FORCE
	$(call made_by,$(FEATURES_SETTINGS))
$(RUN_DIR)/.made-by: FORCE
	$(call made_by,'$(TASK_DIR)' $(TRAIN_SETTINGS))
$(RUN_DIR)/.reported-by: FORCE
	$(call made_by,$(REPORT_FLAGS))

SPLIT_TABLES := $(addprefix $(LABELS)/,train.csv validation.csv test.csv)
# The list of withdrawn clips is an input of every stage where it exists.
WITHDRAWN := $(wildcard $(LABELS)/withdrawn.csv)
# The ledger of withdrawals, which the report tells of where it exists.
WITHDRAWALS := $(wildcard $(DATA)/erasures.parquet)
WITHDRAWAL_FLAGS = $(call flag,--withdrawn,WITHDRAWN) $(call flag,--withdrawals,WITHDRAWALS)
LABEL_TABLES := $(LABELS)/classes.csv $(SPLIT_TABLES) $(WITHDRAWN)

own-data: | $(ALL_BUILT) ## make label tables of the videos in RAW, in LABELS (OWN_DATA_FLAGS=--dry-run only shows them)
	$(call run,'$(BIN)/incdec-own-data' --clips '$(RAW)' --out '$(LABELS)' $(call flag,--group-by,GROUP_BY) \
	    $(call flag,--taxonomy,TAXONOMY) $(call flag,--list,LIST) $(OWN_DATA_FLAGS))

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
	@set -- $(DOWNLOAD_COMMAND); \
	echo "$$*" | $(without_secrets); \
	exec "$$@"
	@touch '$@'

decode: $(INDEX) ## decode the clips into frame shards
$(INDEX): $(SHARDS)/.made ;
# Clips that lie elsewhere are the user's own: nothing is downloaded for them.
$(SHARDS)/.made: $(if $(filter $(DATA)/raw,$(RAW)),$(DOWNLOADED)) $(LABEL_TABLES) $(SHARDS)/.made-by $(call absent,$(INDEX)) $(if $(RETRY),FORCE) | $(BUILT)
	$(call run,$(DECODE_COMMAND))
	@touch '$@'

manifest: $(MANIFEST) ## join labels and shards into clips.parquet, and audit them
$(MANIFEST): $(MANIFESTS)/.made ;
$(MANIFESTS)/.made: $(INDEX) $(LABEL_TABLES) $(MANIFESTS)/.made-by $(call absent,$(MANIFEST)) | $(BUILT)
	$(call run,$(MANIFEST_COMMAND))
	@touch '$@'

tasks: $(AVAILABILITY) ## deal the clips out to the tasks of SCENARIO
$(AVAILABILITY): $(TASK_DIR)/.made ;
$(TASK_DIR)/.made: $(MANIFEST) $(SCHEDULE) $(EVENTS) $(START) $(TASK_DIR)/.made-by $(call absent,$(AVAILABILITY)) | $(BUILT)
	$(call run,$(TASKS_COMMAND))
	@touch '$@'

features: $(FEATURES) ## what the frozen backbone of BACKBONE (or PRETRAINED) makes of every clip
$(FEATURES): $(DATA)/features/.made ;
$(DATA)/features/.made: $(INDEX) $(WITHDRAWN) $(DATA)/features/.made-by $(call absent,$(FEATURES)) | $(ALL_BUILT)
	$(call needs_backbone)
	$(call run,$(FEATURES_COMMAND))
	@touch '$@'

train: $(FINISHED) ## train task after task by APPROACH
$(FINISHED): $(RUN_DIR)/.made ;
$(RUN_DIR)/.made: $(AVAILABILITY) $(INDEX) $(WITHDRAWN) $(FEATURES_OF_APPROACH) $(RUN_DIR)/.made-by $(call absent,$(FINISHED)) | $(BUILT)
	$(call run,$(TRAIN_COMMAND))
	@touch '$@'

report: $(REPORT) ## one HTML page of the run
$(REPORT): $(RUN_DIR)/.reported ;
$(RUN_DIR)/.reported: $(FINISHED) $(WITHDRAWN) $(WITHDRAWALS) $(RUN_DIR)/.reported-by $(call absent,$(REPORT)) | $(BUILT)
	$(call run,$(REPORT_COMMAND))
	@touch '$@'

# ---- on a cluster -----------------------------------------------------------------------------------------------------
# Each merge has the settings of its stage that it takes.
DOWNLOAD_MERGE = '$(BIN)/incdec-download' merge --labels '$(LABELS)' --out '$(RAW)' --ledger '$(DOWNLOADED)' $(DOWNLOAD_SETTINGS)
DECODE_MERGE = '$(BIN)/incdec-decode' merge --labels '$(LABELS)' --out '$(SHARDS)' $(call flag,--max-failed,MAX_FAILED)
MANIFEST_MERGE = '$(BIN)/incdec-manifest' merge --labels '$(LABELS)' --shards '$(SHARDS)' --out '$(MANIFEST)'
# Clips that lie elsewhere are the user's own: nothing is downloaded for them.
DOWNLOAD_STAGES = download $(call quoted,$(DOWNLOAD_COMMAND)) download-merge $(call quoted,$(DOWNLOAD_MERGE))

slurm: | $(if $(FEATURES_OF_APPROACH),$(ALL_BUILT),$(BUILT)) ## write sbatch files for the pipeline into SLURM: arrays of PARTS, merges, training by PROCESSES
	$(if $(FEATURES_OF_APPROACH),$(call needs_backbone)$(if $(filter-out 1,$(PROCESSES)),$(error APPROACH=$(APPROACH) trains in one process: leave out PROCESSES)))
	@.ci/slurm '$(SLURM)' $(call as_word,PARTS) $(call as_word,JOBS) $(call as_word,PROCESSES) $(call as_word,DEVICE) \
	    $(if $(filter $(DATA)/raw,$(RAW)),$(DOWNLOAD_STAGES)) \
	    decode $(call quoted,$(DECODE_COMMAND)) decode-merge $(call quoted,$(DECODE_MERGE)) \
	    manifest $(call quoted,$(MANIFEST_COMMAND)) manifest-merge $(call quoted,$(MANIFEST_MERGE)) tasks $(call quoted,$(TASKS_COMMAND)) \
	    $(if $(FEATURES_OF_APPROACH),features $(call quoted,$(FEATURES_COMMAND))) train $(call quoted,$(TRAIN_COMMAND)) \
	    report $(call quoted,$(REPORT_COMMAND))

# ---- withdrawing ------------------------------------------------------------------------------------------------------
# Where erasing looks and works.
ERASE_PLACES = --data '$(DATA)' --labels '$(LABELS)' --raw '$(RAW)' --shards '$(SHARDS)' --manifest '$(MANIFEST)' --tasks '$(DATA)/tasks' \
    --features '$(DATA)/features' --runs-folder '$(RUNS)' --runs-folder '$(AUDIT)' $(call flag,--frame-folders,FRAME_FOLDERS) $(call flag,--kept-archives,KEEP_ARCHIVES) $(ELSEWHERE)

erase: | $(ALL_BUILT) ## erase withdrawn clips everywhere (ERASE='--clips FILE' REQUEST=name; with --dry-run in ERASE it only says what it would do)
	$(call needs,ERASE,the choice of clips as in ERASE='--clips FILE')$(call needs,REQUEST,a name for the request)
	$(call run,'$(BIN)/incdec-erase' apply $(call flag,--request,REQUEST) $(ERASE_PLACES) $(ERASE))
where: | $(ALL_BUILT) ## say what is held of one clip, and where (CLIP=id)
	$(call needs,CLIP,the clip's id)
	$(call run,'$(BIN)/incdec-erase' plan $(ERASE_PLACES) -- $(call as_word,CLIP))
verify-erased: | $(ALL_BUILT) ## read everything again and list what is left of withdrawn clips
	$(call run,'$(BIN)/incdec-erase' verify $(ERASE_PLACES))

# The run is not made for it: an answer may be asked for while other settings are tried.
predict: | $(ALL_BUILT) ## the probabilities of each category for VIDEO, by the run RUN or CHECKPOINT
	$(if $(VIDEO),,$(error make predict wants VIDEO='one.mp4 two.mp4'))
	$(call run,'$(BIN)/incdec-predict' --checkpoint $(if $(CHECKPOINT),$(call as_word,CHECKPOINT),'$(RUN_DIR)') \
	    $(call flag,--device,DEVICE) $(PREDICT_FLAGS) $(VIDEO))

# The file is checked by the id that git gives its content, and what is there already stays.
weights: | $(ALL_BUILT) ## fetch published weights into weights/ (WEIGHTS=seed, kinetics-600-a0, -a1 or -a2)
	$(call run,'$(BIN)/incdec-weights' fetch '$(WEIGHTS)' --out 'weights/$(WEIGHTS).pt')

# Runs are named, not made: whatever was trained may be judged.
audit: | $(ALL_BUILT) ## judge the runs AUDITED beside references that never saw what left, up to audit.html
	$(call needs,AUDITED,the runs as in AUDITED='run-directory ...')
	$(call run,'$(BIN)/incdec-audit' --shards '$(SHARDS)' --out '$(AUDIT)' $(if $(wildcard $(FEATURES)),--features '$(FEATURES)') \
	    $(WITHDRAWAL_FLAGS) $(call flag,--device,DEVICE) $(AUDIT_FLAGS) $(AUDITED))
	$(call run,'$(BIN)/incdec-report' --audit '$(AUDIT)' $(call flag,--withdrawals,WITHDRAWALS) --out '$(AUDIT)/audit.html' \
	    --latex '$(AUDIT)/audit.tex' --csv '$(AUDIT)/audit.csv')

# ---- installing ------------------------------------------------------------------------------------------------------
# Each binary writes its own man pages and completions. The benchmarks stay here, and so does
# libtorch, where the binaries look for it.
PROGRAMS := own-data download decode manifest tasks features train predict audit report erase clean toy weights experiment
INSTALL_TO = $(call quoted,$(call content,DESTDIR)$(call content,PREFIX))
COMPLETIONS := bash:bash-completion/completions zsh:zsh/site-functions fish:fish/vendor_completions.d

install: $(ALL_BUILT) ## binaries, man pages and completions below PREFIX (/usr/local)
	@to=$(INSTALL_TO); \
	share="$$to/share"; \
	install -d "$$to/bin" "$$share/man/man1" $(foreach kind,$(COMPLETIONS),"$$share/$(lastword $(subst :, ,$(kind)))"); \
	for name in $(PROGRAMS); do \
	    program='$(BIN)'/"incdec-$$name"; \
	    install -m 755 "$$program" "$$to/bin/"; \
	    "$$program" --generate man "$$share/man/man1"; \
	    $(foreach kind,$(COMPLETIONS),"$$program" --generate $(firstword $(subst :, ,$(kind))) "$$share/$(lastword $(subst :, ,$(kind)))";) \
	done; \
	[ ! -e '$(NCCL)' ] || install -D -m 755 '$(NCCL)' "$$to/lib/$(notdir $(NCCL))"; \
	echo "$$to: binaries, man pages and completions of $(words $(PROGRAMS)) programs"

# ---- for machines without Rust ---------------------------------------------------------------------------------------
# What links no FFmpeg, with the library for NCCL, the tests that compute, a few clips that are
# decoded already, and a script that finds PyTorch. The programs are built once more without FFmpeg,
# in place, since a test is built beside the programs that it starts: they do what they did.
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
DIST := target/dist/incdec-$(VERSION)-$(shell uname -m)-linux.tar.xz
DIST_PROGRAMS := $(filter-out decode predict toy,$(PROGRAMS)) bench bench-load bench-step
WITHOUT_FFMPEG := --release --locked --no-default-features --features torch
DIST_TOY := build/dist
DIST_MAKE = $(MAKE) --no-print-directory DATA=$(DIST_TOY)/work RAW=$(DIST_TOY)/work/raw LABELS=$(DIST_TOY)/source/Info \
    SOURCE=$(DIST_TOY)/source FRAME_FOLDERS= FRAME_SIZE=72x72 SCENARIO=substitution SEED=0 TASKS=2

dist: $(FULLY_BUILT) $(NCCL) ## an archive for a machine with PyTorch and neither Rust nor FFmpeg, into target/dist
	$(call run,'$(BIN)/incdec-toy' write --out $(DIST_TOY)/source --train 4 --validation 1 --test 1 --cue appearance)
	@$(DIST_MAKE) tasks
	@rm -rf $(DIST_TOY)/toy && mkdir -p $(DIST_TOY)/toy
	@cp -r $(DIST_TOY)/work/shards $(DIST_TOY)/work/tasks $(DIST_TOY)/work/manifests $(DIST_TOY)/toy
	$(with_commit) cargo build $(WITHOUT_FFMPEG) --bins
	@tests=$$($(with_commit) cargo test $(WITHOUT_FFMPEG) --test it --no-run 2>&1 | tee /dev/stderr | sed -n 's|.*(\(.*/it-[0-9a-f]*\))$$|\1|p'); \
	exec .ci/pack $(DIST) target/release "$$tests" $(NCCL) $(DIST_TOY)/toy $(DIST_PROGRAMS)

# ---- the demo --------------------------------------------------------------------------------------------------------
# A toy source is written, served on loopback, and goes through every stage as the real one would,
# under two scenarios.
DEMO_SOURCE := demo/source
DEMO_URL = http://127.0.0.1:$(DEMO_PORT)
DEMO_SCENARIOS := substitution decremental
DEMO_RUNS := $(DEMO_SCENARIOS:%=demo/runs/%-finetune-seed-0)
# The figures that the README shows are a processor's, which is taken where DEVICE is not given.
DEMO_DEVICE = $(if $(filter file,$(origin DEVICE)),cpu,$(call content,DEVICE))
DEMO_MAKE = $(MAKE) --no-print-directory DATA=demo RAW=demo/raw LABELS=$(DEMO_SOURCE)/Info RUNS=demo/runs \
    SOURCE=$(call quoted,$(DEMO_URL)) FRAME_FOLDERS= FRAME_SIZE=72x72 DEVICE=$(call quoted,$(DEMO_DEVICE)) TRAIN_FLAGS=$(call quoted,$(DEMO_TRAIN))

# The server says its URL and then a token; only what answers with that token at the URL is the
# server. The shell stays, to end both the server and the download when it is ended itself.
demo-data: $(DEMO_BUILT) # the toy source's clips, decoded
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

# The playground: one run on the demo's data, whatever the scenario, approach and seed. Of a flag
# that is given twice the last one counts: TRAIN_FLAGS comes behind what the demo says. Replay draws
# by itself, from lists that are balanced; heads on features see the clips through the first task of
# the demo's first run, where no other weights are given.
DEMO_BACKBONE := $(firstword $(DEMO_RUNS))/checkpoints/task-0.safetensors
TRY_TRAIN = $(DEMO_TRAIN) $(if $(filter er der++ gdumb,$(APPROACH)),--sampler balanced) $(TRAIN_FLAGS)
TRY_DEMO_BACKBONE := $(if $(FEATURES_OF_APPROACH),$(if $(call content,BACKBONE)$(call content,PRETRAINED),,$(DEMO_BACKBONE)))

try: demo-data $(if $(TRY_DEMO_BACKBONE),demo-train-$(firstword $(DEMO_SCENARIOS))) ## a run of your own on the demo's data (SCENARIO=decremental APPROACH=ewc SEED=1), and its page
	@exec $(DEMO_MAKE) report TRAIN_FLAGS=$(call quoted,$(TRY_TRAIN)) $(if $(TRY_DEMO_BACKBONE),BACKBONE='$(DEMO_BACKBONE)')
	@echo 'the page: demo/runs/$(RUN)/report.html'

demo/report.html: demo/.reported ;
demo/.reported: $(DEMO_RUNS:%=%/run.json) $(call absent,demo/report.html)
	@$(call say,'$(BIN)/incdec-report' --out demo/report.html $(DEMO_RUNS)); exec "$$@" >demo/summary.txt
	@cat demo/summary.txt
	@touch '$@'

# ---- the toy audit ---------------------------------------------------------------------------------------------------
# The demo's clips, withdrawn by a schedule of three tasks: methods of unlearning, an exact head on
# the features of the first run, and both references, three seeds each. All methods of a seed share
# task 0. What is done is passed over.
TOY_AUDIT := demo/audit
TOY_AUDIT_TRAIN := --frames 2 --resize 36 --size 32 --geometry tf --epochs 6 --batch-size 16 --lr-first-task 4e-3 --lr-first-task-head 4e-3 \
    --lr-backbone 1e-3 --lr-head 1e-3 --device cpu --threads 1 --workers 1
TOY_AUDIT_METHODS := neggrad-plus scrub salun ssd rollback
TOY_AUDIT_SEEDS := 0 1 2
TOY_AUDIT_RUNS := $(foreach seed,$(TOY_AUDIT_SEEDS),$(foreach method,none $(TOY_AUDIT_METHODS) ridge,$(TOY_AUDIT)/runs/$(method)-$(seed)))
# $(call toy_train,RUN,FLAGS) trains a run on the toy audit's tasks.
toy_train = $(call run,'$(BIN)/incdec-train' --availability $(TOY_AUDIT)/tasks --shards demo/shards --out $(1) $(TOY_AUDIT_TRAIN) $(2))

# The manifest is there when these are made: audit-toy makes it first.
$(TOY_AUDIT)/tasks/availability.parquet: $(wildcard demo/manifests/clips.parquet)
	@mkdir -p '$(@D)'
	@printf '%s\n' smoking,phone,fatigue,food,selfcare 0,0,0,0,0 0,0,0,3,3 0,0,2,3,3 >$(TOY_AUDIT)/schedule.csv
	$(call run,'$(BIN)/incdec-tasks' --manifest demo/manifests/clips.parquet --scenario decremental --seed 0 --tasks 3 \
	    --schedule $(TOY_AUDIT)/schedule.csv --out '$(@D)')

$(TOY_AUDIT)/runs/none-%/run.json: $(TOY_AUDIT)/tasks/availability.parquet
	$(call toy_train,'$(@D)',--seed $*)

$(TOY_AUDIT)/features/features.parquet: $(TOY_AUDIT)/runs/none-0/run.json
	@mkdir -p '$(@D)'
	$(call run,'$(BIN)/incdec-features' --checkpoint '$(<D)/checkpoints/task-0.safetensors' --shards demo/shards --out '$@' --device cpu)

$(TOY_AUDIT)/runs/ridge-%/run.json: $(TOY_AUDIT)/features/features.parquet
	$(call toy_train,'$(@D)',--seed $* --approach ridge --features '$<')

# $(call toy_methods,SEED): the methods of a seed go on from task 0 of the run that unlearns nothing.
define toy_methods
$(TOY_AUDIT_METHODS:%=$(TOY_AUDIT)/runs/%-$(1)/run.json): $(TOY_AUDIT)/runs/%-$(1)/run.json: $(TOY_AUDIT)/runs/none-$(1)/run.json
	$$(call toy_train,'$$(@D)',--seed $(1) --unlearn $$* --from-run '$$(<D)')
endef
$(foreach seed,$(TOY_AUDIT_SEEDS),$(eval $(call toy_methods,$(seed))))

audit-toy: demo-data | $(ALL_BUILT) ## methods of unlearning beside their references on the toy data, up to demo/audit/audit.html
	@exec $(MAKE) --no-print-directory -j '$(JOBS)' $(TOY_AUDIT_RUNS:%=%/run.json)
	$(call run,'$(BIN)/incdec-audit' --shards demo/shards --out $(TOY_AUDIT)/tables --features $(TOY_AUDIT)/features/features.parquet \
	    --train-references --shadows 64 --device cpu $(TOY_AUDIT_RUNS))
	$(call run,'$(BIN)/incdec-report' --audit $(TOY_AUDIT)/tables --out $(TOY_AUDIT)/audit.html --latex $(TOY_AUDIT)/audit.tex \
	    --csv $(TOY_AUDIT)/audit.csv)

# ---- the real data ---------------------------------------------------------------------------------------------------
kinetics: ## the published subset of Kinetics-700-2020: 32 GB to read, 7 GB on disk, an hour or two at 100 Mbit/s
	@exec $(MAKE) --no-print-directory labels
	@exec $(MAKE) --no-print-directory manifest

# ---- the seed's experiments ------------------------------------------------------------------------------------------
# Every cell of the published table, scenario x (finetune, feature extraction, EWC, LwF, FD) x seed,
# is a run of its own in RUNS: what is done is passed over, what was stopped goes on, `make -k`
# passes over a cell that fails, JOBS=2 trains two at a time, and SCENARIOS, METHODS and SEEDS
# choose a part. `make weights`, then `make reproduce DEVICE=cuda:0 PRETRAINED=weights/seed.pt`: the
# model gets the size and the geometry of published weights by itself.

# One run at a time where JOBS is not given: training wants the whole machine.
TABLE_JOBS = $(if $(filter file,$(origin JOBS)),,$(call flag,--jobs,JOBS))
# The first word of MAKEFLAGS holds make's own one-letter flags.
KEEP_GOING = $(if $(findstring k,$(firstword -$(MAKEFLAGS))),--keep-going)
# The tasks are the published ones: what would have no effect is refused.
refuse_given = $(if $(filter command,$(origin $(1))),$(error make reproduce takes no $(1): its tasks are the published ones))
$(if $(filter reproduce%,$(MAKECMDGOALS)),$(foreach name,TASKS SCHEDULE TASKS_FLAGS,$(call refuse_given,$(name))))
reproduce: $(MANIFEST) | $(ALL_BUILT) ## the seed's whole table of experiments (days on a GPU), one page and one Parquet file
	$(call run,'$(BIN)/incdec-experiment' table --labels '$(LABELS)' --manifest '$(MANIFEST)' --shards '$(SHARDS)' --tasks-dir '$(DATA)/tasks' \
	    $(WITHDRAWAL_FLAGS) --runs '$(RUNS)' --scenarios $(SCENARIOS) --methods $(METHODS) --seeds $(SEEDS) $(TABLE_JOBS) $(KEEP_GOING) \
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

test-readme: $(ALL_BUILT) $(INSTALLED) .venv/.finished ## run the commands of README and guide that need what MARKS names, and compare what they print
	INCDEC_README=$(call as_word,MARKS) INCDEC_README_BIN='$(BIN)' INCDEC_PYTORCH=$$(command -v $(call as_word,PYTHON)) OMP_NUM_THREADS=1 \
	    exec cargo test --locked --test it -- --ignored --nocapture readme::

setup-peers: ## install the programs that ours is compared with (about 6 GB, into .venv-peers)
	@.ci/setup peers

test-pytorch: $(INSTALLED) ## load our checkpoints in PyTorch, strictly, and compare logits (after make setup-peers)
	INCDEC_PYTORCH=$$(command -v $(call as_word,PYTHON)) OMP_NUM_THREADS=1 exec cargo test --locked --test it -- --ignored --nocapture checkpoints::pytorch

# Ours and other programs in turn on the same work. Without VIDEOS the toy's videos serve; a peer
# that PYTHON lacks is named in the table. Criterion's benchmarks of single functions are `cargo
# bench`.
TOY_VIDEOS := --train 1 --validation 0 --test 0 --seconds 5 --size 256 --fps 20

bench: $(ALL_BUILT) ## ours beside other programs: tables, and JSON under build/bench (VIDEOS=folder of videos, after make setup-peers)
	'$(BIN)/incdec-toy' write --out $(BENCH)/toy $(TOY_VIDEOS)
	$(if $(filter $(BENCH)/clips,$(call content,VIDEOS)),mkdir -p $(BENCH)/clips && cat $(BENCH)/toy/train/*.tar.gz | tar xzif - -C $(BENCH)/clips)
	python3 tests/bench/decode.py $(call flag,--python,PYTHON) --bin '$(BIN)' --peers tests/peers/decode.py $(call flag,--clips,VIDEOS) \
	    --json $(BENCH)/decode.json
	python3 tests/bench/load_peers.py $(call flag,--python,PYTHON) --bin '$(BIN)' --work $(BENCH)/load --json $(BENCH)/load.json \
	    $(if $(CLIP_LABELS),$(call flag,--clips,VIDEOS) $(call flag,--labels,CLIP_LABELS))
	python3 tests/bench/unpack.py $(BENCH)/toy --work $(BENCH)/unpack $(call flag,--bytes,UNPACK_BYTES) --program '$(BIN)/incdec-download' \
	    --json $(BENCH)/unpack.json
	python3 tests/bench/step.py $(call flag,--python,PYTHON) --bin '$(BIN)' --json $(BENCH)/step.json

# Hours in full; CAMPAIGN='--kills 2 --starts 1 --flips 1 --removals 2' takes minutes, `--help` has
# the rest.
.PHONY: campaign
campaign: $(ALL_BUILT) .venv/.finished ## kill, start twice, damage and silence every stage on toy data: a table of what it survives, under build/campaign
	.venv/bin/python tests/campaign/run.py --bin "$(BIN)" --work build/campaign --json build/campaign.json $(CAMPAIGN)

# What only a GPU can show. `make setup DEVICE=cuda` and `make setup-peers` come first.
bench-gpu: $(ALL_BUILT) ## training steps on the GPU beside PyTorch, eager and compiled: a table, and JSON under build/bench
	@mkdir -p $(BENCH)
	python3 tests/bench/step.py $(call flag,--python,PYTHON) --bin '$(BIN)' $(call flag,--device,GPU) --batches 1,4,16 --threads 1 --json $(BENCH)/step-gpu.json

check-gpu: $(INSTALLED) .venv/.finished $(NCCL) ## the tests that compute, the seed's answers among them, on the GPU (to 1e-3)
	INCDEC_TEST_DEVICE=$(call as_word,GPU) OMP_NUM_THREADS=1 cargo test --locked --test it -- model:: train:: --test-threads 2

lint: $(INSTALLED) ## formatting, clippy, documentation and this file's quoting, as .ci/run checks them
	.ci/lint-makefile Makefile
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib --locked

# ---- removing ----------------------------------------------------------------------------------------------------------
# What a record proves to be a stage's own work, unchanged, is removed; everything else stays, and
# is counted. CLEAN_FLAGS=--dry-run only lists.
clean-download: | $(ALL_BUILT) ## remove the clips of DATA that were downloaded, and their ledger
	$(call run,'$(BIN)/incdec-clean' download '$(DATA)' --clips '$(RAW)' $(CLEAN_FLAGS))
clean-decode: | $(ALL_BUILT) ## remove the shards of DATA
	$(call run,'$(BIN)/incdec-clean' decode '$(SHARDS)' $(CLEAN_FLAGS))
clean-manifest: | $(ALL_BUILT) ## remove the manifest of DATA
	$(call run,'$(BIN)/incdec-clean' manifest '$(MANIFESTS)' $(CLEAN_FLAGS))
clean-tasks: | $(ALL_BUILT) ## remove all tasks of DATA
	$(call run,'$(BIN)/incdec-clean' tasks '$(DATA)/tasks' $(CLEAN_FLAGS))
clean-train: | $(ALL_BUILT) ## remove the run RUN
	$(call run,'$(BIN)/incdec-clean' train '$(RUN_DIR)' $(CLEAN_FLAGS))
clean-report: | $(ALL_BUILT) ## remove the report of RUN
	$(call run,'$(BIN)/incdec-clean' report '$(RUN_DIR)' $(CLEAN_FLAGS))
clean-demo: ## remove the demo
	rm -rf ./demo
clean: ## remove what cargo built (data and runs stay)
	cargo clean
