# Two commands: `make book` builds the book, `make test` tests everything, the built pages included.
# Both create .venv and install into it what they need. PIP_ARGS reaches pip: see the README.

PYTHON ?= python3
PIP_ARGS ?=
# Which versions are installed: those that are proven together, or another list of the kind.
CONSTRAINTS ?= constraints.txt
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# Of 15 000 modules that are installed, a sixth is ever imported: each is compiled when it first is,
# and kept. All of them at once would take pip a minute.
unexport PYTHONDONTWRITEBYTECODE
# A process a core and one more (tests/conftest.py), each a file of tests at a time, in their order:
# the long ones are not last.
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: book notebooks site pdf test unit deep lint serve dist release agreed plain results bench clean

book: $(VENV)/installed
	@mkdir -p _build/html && test -w _build/html || \
		{ echo "error: the book is written into $(CURDIR)/_build/html: let that be a folder you can write"; exit 1; }
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "The book is built. Open $(CURDIR)/_build/html/index.html, or type: make serve"

# The branch that Colab and Binder open: each page with cells as a notebook. BOOK_REF says which
# commit or tag these install, once repository.url in _config.yml says from where.
notebooks: book
	$(BIN)/python -m attention_limits_book.branch _build/html _build/notebooks

# The book as one PDF, beside its pages, which lead to it then. Chromium prints it: $CHROMIUM, or that
# of the path.
pdf: book
	$(BIN)/python -m attention_limits_book.paper _build/html _build/html/the-limits-of-attention.pdf

# What is published: the book in its newest state, and the released versions beside it, whose
# archives lie in _build/releases, each in a folder that has the name of its tag.
site: book
	$(BIN)/python -m attention_limits_book.site _build/html _build/releases _build/site

test: book lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not alone and not deep" $(SIDE_BY_SIDE)

# The loop while one writes: no built book, no browser, nothing that takes long, and each test with
# a few of its parameters.
unit: $(VENV)/installed lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --few 3 \
		-m "not alone and not deep and not slow and not browser" $(SIDE_BY_SIDE)

# What takes longest: the book built twice and compared, each page run outside of it, records
# trained again, every combination of parameters, random examples by the thousand,
# and the package that is published.
deep: book dist
	HYPOTHESIS_PROFILE=deep OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "deep or hypothesis" \
		$(SIDE_BY_SIDE)

lint: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --num-workers 2

serve: book
	$(BIN)/python -m http.server --bind localhost --directory _build/html $(PORT)

# Wheel and sdist, of what lies in code/, as they would be uploaded.
dist: $(VENV)/publishing
	rm -rf _build/dist
	$(BIN)/python -m build --outdir _build/dist .
	$(BIN)/twine check --strict _build/dist/*

# What the release of a version consists of, with its notes: make release TAG=v0.2.0. First it is
# asked whether all files agree on the version, before the minutes that the rest takes.
release: agreed notebooks pdf dist
	$(BIN)/python -m attention_limits_book.release "$(TAG)" _build/release

agreed: $(VENV)/installed
	@$(BIN)/python -m attention_limits_book.release "$(TAG)"

# The exit from Jupyter Book 1, which is in maintenance: the conf.py that it exports, read by a Sphinx
# that it does not allow, in a copy of what git knows.
plain: $(VENV)/installed
	rm -rf _build/plain
	git checkout-index --all --prefix=_build/plain/
	cd _build/plain && $(CURDIR)/$(BIN)/jupyter-book config sphinx . && sed -i.old "s/'jupyter_book', //" conf.py
	$(PYTHON) -m venv _build/plain/.venv
	cd _build/plain && .venv/bin/python -m pip install --quiet --no-compile --editable . \
		--requirement tests/plain.txt $(PIP_ARGS)
	cd _build/plain && .venv/bin/sphinx-build -W -n --keep-going . _build/html

# Measures anew what the book quotes of clocks and of training, and says first how long that takes;
# leave the machine alone meanwhile. One that was killed on its way goes on.
results: $(VENV)/installed
	$(BIN)/attention-limits results --out code/attention_limits/results

# Likewise the comparison with peers, which are installed for it and for nothing else.
bench: $(VENV)/installed
	@echo "This takes about eight minutes, and rewrites code/attention_limits/results/speed.json"
	$(BIN)/python -m pip install --quiet --requirement benchmarks/peers.txt --constraint constraints.txt $(PIP_ARGS)
	$(BIN)/attention-limits bench --out code/attention_limits/results
	$(BIN)/python -m pytest -m alone

clean:
	rm -rf _build

$(VENV)/installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[book,test]' --constraint $(CONSTRAINTS) $(PIP_ARGS)
	touch $@

$(VENV)/publishing: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[publish]' --constraint $(CONSTRAINTS) $(PIP_ARGS)
	touch $@
