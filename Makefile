# Each verb is a plain command or two; the README shows them for systems without make.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= auto
BIN = $(VENV)/bin
LABS = L1_Sampling/L1_Sampling.ipynb L2_Training/L2_Training.ipynb L3_Context/L3_Context.ipynb \
	L4_FastSampling/L4_FastSampling.ipynb Capstone/Capstone.ipynb going_further/demo.ipynb going_further/solvers.ipynb going_further/editing.ipynb \
	going_further/guidance.ipynb going_further/flows.ipynb going_further/transformers.ipynb
SHEETS = $(wildcard L?_*/L?_*_exercises.ipynb)

# COURSE_STEPS shortens what the labs train, which is most of their time and not what the tests compare. Two notebooks at
# once with one thread each are done sooner than one after the other with two.
RUN_AGAIN = COURSE_STEPS=20 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile \
	--nbval-lax --nbval-current-env --nbval-cell-timeout=600

# What takes long and changes seldom is left to `make test`.
QUICK = --ignore=tests/exercises --ignore=tests/going_further --ignore=tests/test_own_model.py --ignore=tests/test_own_pictures.py \
	--ignore=tests/test_reading_pictures.py --ignore=tests/test_picture_kinds.py --ignore=tests/test_compare.py \
	--ignore=tests/test_sheets.py --ignore=tests/test_make_weights.py --ignore=tests/test_lab2.py \
	--ignore=tests/test_lab3.py --ignore=tests/test_peers.py --ignore=tests/browser --ignore=tests/website --ignore=tests/teaching \
	--deselect=tests/test_documents.py::test_snippet_runs_as_written

.PHONY: help lab solved check test notebooks sheets data weights cards pictures bench site answers slides clean

help:
	@echo "make lab        open the course in JupyterLab, at your copy of the exercise sheet of Lab 1"
	@echo "                (the first time it installs; TORCH=cpu takes the small build of PyTorch, TORCH=cuda the one"
	@echo "                for NVIDIA GPUs; else it looks whether there is such a GPU)"
	@echo "make solved     open Lab 1 with its solutions"
	@echo "make check      style, and the unit tests of the module and its support (under two minutes)"
	@echo "make test       style, unit tests, every lab run again and compared, its sheets run with and without solutions"
	@echo "make notebooks  run the labs and store their outputs"
	@echo "make sheets     make the exercise sheets from the labs"
	@echo "make data       draw the sprites again"
	@echo "make weights    train the networks again (hours; ARGS=--bf16 halves them on new processors)"
	@echo "make cards      write the tables of the model card, the README and the speed page from the stored figures"
	@echo "make pictures   draw the pictures of the README and of the model card again (5 minutes)"
	@echo "make bench      measure speed and memory, and write the tables of docs/SPEED.md (25 minutes)"
	@echo "make site       build the labs as a site, with the page that draws sprites in the browser (needs Node.js)"
	@echo "make answers    write the answer key for teachers"
	@echo "make slides     make slides of the labs"
	@echo "make clean      remove the environment"

lab: $(VENV)/lab.done
	$(BIN)/python -m exercise_tools.make_sheets --mine
	$(BIN)/jupyter lab L1_Sampling/my_L1_Sampling.ipynb

solved: $(VENV)/lab.done
	$(BIN)/jupyter trust $(LABS)
	$(BIN)/jupyter lab $(firstword $(LABS))

check: $(VENV)/test.done
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m pytest tests -n 2 --dist loadfile $(QUICK)

test: $(VENV)/test.done
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m pytest tests -n 2 --dist loadfile
	$(RUN_AGAIN) $(LABS)
	$(BIN)/python -m exercise_tools.make_sheets --solved build/solved
	$(RUN_AGAIN) build/solved
	COURSE_PROGRESS=off $(RUN_AGAIN) $(SHEETS)

notebooks: $(VENV)/test.done
	TQDM_DISABLE=1 $(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
		--ExecutePreprocessor.store_widget_state=False $(LABS)

sheets: $(VENV)/lab.done
	$(BIN)/python -m exercise_tools.make_sheets

data: $(VENV)/lab.done
	$(BIN)/python -m data.make_sprites

weights: $(VENV)/lab.done
	$(BIN)/python -m weights.make_weights $(ARGS)

cards: $(VENV)/lab.done
	$(BIN)/python -m weights.card
	$(BIN)/python -m tests.benchmarks.report
	$(BIN)/python going_further/ablate.py
	$(BIN)/python -m going_further.measure_cost --tables

pictures: $(VENV)/lab.done
	$(BIN)/python -m docs.make_pictures
	$(BIN)/python going_further/sample.py --checkpoint going_further/sprites_unet.pt --num-samples 25 --sampler dpm++ \
		--out going_further/samples.png

bench: $(VENV)/test.done
	$(BIN)/python -m tests.benchmarks.bench
	$(BIN)/python -m tests.benchmarks.report

site: $(VENV)/lab.done
	$(BIN)/python -m pip install -r requirements-site.txt onnx onnxscript -c constraints.txt
	$(BIN)/python -m browser.make_page --out build/site/browser
	$(BIN)/python -m website.build

answers: $(VENV)/test.done
	$(BIN)/python -m teaching.answers --out build/answers

slides: $(VENV)/lab.done
	$(BIN)/python -m pip install -r teaching/requirements.txt -c constraints.txt
	$(BIN)/python -m teaching.slides --out build/slides

clean:
	rm -rf $(VENV)

$(VENV)/lab.done: requirements.txt constraints.txt
	$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14) and 'Python 3.10 to 3.14 is needed, this is ' + sys.version)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m support.install --torch $(TORCH)
	touch $@

$(VENV)/test.done: $(VENV)/lab.done requirements-test.txt requirements-site.txt
	$(BIN)/python -m pip install -r requirements-test.txt -c constraints.txt
	touch $@
