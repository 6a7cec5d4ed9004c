# Trains the shipped engines, the most valuable first. A repeated call continues where it stopped:
#
#     make -f export/trainings.mk DATA=data OUT=trainings
#
# DATA holds photos/train, photos/eval, paintings/train, paintings/eval (with any folders inside),
# clips/train, and the loss networks vgg/distilled-encoder-relu5_1.safetensors and
# vgg/vgg19-normalised-relu4_1.safetensors.
#
# On a GPU, add DEVICE=cuda BATCH=32 and the targets that gain the most: OUT/large.onnx
# OUT/stytr2-draft.onnx OUT/any-picture-draft.onnx. These need no clips.
# `make -f export/trainings.mk pack` packs the rest of DATA into OUT/data.tar; unpack it on the
# machine with the GPU.
#
# Each training writes the engine OUT/NAME.onnx; OUT/NAME.run holds its log, samples and progress.
# A training starts from what the last round left: the engine of that name in export/drafts, or else
# the one that ships. So to train on, also on another machine, copy what turned out better into
# export/drafts, or into engines/zoo if it is fit to ship, and call this again.

DATA ?= data
OUT ?= trainings
DEVICE ?= cpu
BATCH ?= 4
PYTHON ?= python
DRAFTS := export/drafts
SHIPPED := engines/zoo
# Steps of one round: a few hours on two cores.
STEPS ?= 12000
LAST_STEPS ?= 2500

DISTILLED := $(DATA)/vgg/distilled-encoder-relu5_1.safetensors
VGG := $(DATA)/vgg/vgg19-normalised-relu4_1.safetensors
# The distilled network is 16 times cheaper; the real one's shallow layers see the finest patterns.
REAL_SHALLOW := --network $(DISTILLED) --network $(VGG):relu1_1,relu2_1

TRAIN := $(PYTHON) -m export train
COMMON = --photos $(DATA)/photos/train --evaluate $(DATA)/photos/eval --judge $(VGG) \
	--device $(DEVICE) --batch-size $(BATCH) --out $@ --run $(@:.onnx=.run)
STYLES := --styles export/sixteen.csv --pictures $(DATA)/paintings/train
PICTURES := --pictures $(DATA)/paintings/train --evaluate-pictures $(DATA)/paintings/eval
# $(call STEADY,200): the temporal term, with this weight.
STEADY = --temporal-weight $(1) --clips $(DATA)/clips/train
# Gentle settings, for trainings that start from a net that already paints.
REFINE := --learning-rate 5e-4 --style-warm-up 1 --style-weight 8
# $(call FROM,small) starts from what there is of `small`; from nothing if there is nothing.
FROM = $(addprefix --start-from ,$(firstword $(wildcard $(DRAFTS)/$(1).onnx $(SHIPPED)/$(1).onnx)))

all: $(addprefix $(OUT)/,medium.onnx any-picture.onnx stytr2.onnx small.onnx large.onnx wct.onnx)

$(OUT)/medium-draft.onnx: | $(OUT)
	$(TRAIN) many-style $(STYLES) $(COMMON) --network $(DISTILLED) $(call FROM,medium) \
		$(call STEADY,200) --style-warm-up 1 --content-weight 1.8 --crop 160 --steps $(STEPS)

$(OUT)/medium.onnx: $(OUT)/medium-draft.onnx
	$(TRAIN) many-style $(STYLES) $(COMMON) $(REAL_SHALLOW) $(REFINE) $(call STEADY,400) \
		--content-weight 2.2 --crop 160 --start-from $< --steps $(LAST_STEPS)

$(OUT)/any-picture-draft.onnx: $(OUT)/medium.onnx
	$(TRAIN) any-picture $(PICTURES) $(COMMON) --network $(DISTILLED) \
		$(or $(call FROM,any-picture),--start-from $<) --crop 160 --picture-crop 192 --steps $(STEPS)

$(OUT)/any-picture.onnx: $(OUT)/any-picture-draft.onnx
	$(TRAIN) any-picture $(PICTURES) $(COMMON) $(REAL_SHALLOW) $(REFINE) \
		--content-weight 1.6 --crop 160 --start-from $< --steps $(LAST_STEPS)

$(OUT)/stytr2-draft.onnx: | $(OUT)
	$(TRAIN) stytr2 --compact --preset paper-code $(PICTURES) $(COMMON) --network $(DISTILLED) \
		--balanced true --covariances true --warm-up 1000 --learning-rate 4e-4 --crop 192 \
		$(call FROM,stytr2) --steps $(STEPS)

$(OUT)/stytr2.onnx: $(OUT)/stytr2-draft.onnx
	$(TRAIN) stytr2 --compact --preset paper-code $(PICTURES) $(COMMON) $(REAL_SHALLOW) \
		--balanced true --covariances true --warm-up 100 --learning-rate 2e-4 --crop 256 \
		--start-from $< --steps $(LAST_STEPS)

$(OUT)/small.onnx: | $(OUT)
	$(TRAIN) many-style $(STYLES) $(COMMON) $(REAL_SHALLOW) --width 32 --residual-blocks 5 \
		--decoder-width 16 --style-warm-up 1 $(call FROM,small) --crop 160 --steps $(STEPS)

$(OUT)/large.onnx: | $(OUT)
	$(TRAIN) many-style $(STYLES) $(COMMON) $(REAL_SHALLOW) --width 128 --residual-blocks 5 \
		--decoder-width 48 $(call FROM,large) --steps $(STEPS)

$(OUT)/wct.onnx: | $(OUT)
	$(TRAIN) wct --pictures $(DATA)/paintings/train --photos $(DATA)/photos/train \
		--teachers $(VGG),$(DISTILLED) $(REAL_SHALLOW) --start-from $(SHIPPED)/wct.onnx \
		--steps 1000 --style-steps $(STEPS) --crop 192 \
		--device $(DEVICE) --batch-size $(BATCH) --out $@ --run $(@:.onnx=.run)

$(OUT):
	mkdir -p $@

pack: | $(OUT)
	$(PYTHON) -m export.data.pack $(DATA) $(OUT)/data.tar

.PHONY: all pack
.DELETE_ON_ERROR:
