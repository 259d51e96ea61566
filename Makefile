# The pipeline. Each stage is a target; the file that stands for it is the last one the stage publishes, so a stage runs
# when what it reads, or a setting that it takes, is newer. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
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

.PHONY: help setup doctor build test bench lint download labels decode manifest tasks train report demo kinetics \
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

$(INSTALLED):
	@.ci/setup

$(BUILT): $(SOURCES) $(INSTALLED)
	cargo build --release --bins
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

$(addprefix $(LABELS)/,train.csv validation.csv test.csv):
	@echo "$@ is missing. hint: make labels fetches the published tables" >&2; exit 1

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
