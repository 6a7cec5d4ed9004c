# The commands one needs. `pip install rust-just` gives `just`; each line also runs by hand.

# Install everything into the active virtual environment, and the hooks that run before a commit.
setup:
    pip install -c constraints.txt -e ".[dev]"
    pre-commit install

# The inner loop: the tests that take moments.
fast *arguments:
    pytest -m "not slow" {{arguments}}

# All tests.
test *arguments:
    pytest {{arguments}}

# Lint, format, spelling and types.
check:
    pre-commit run --all-files

# Show the documentation while you write it.
docs:
    mkdocs serve
