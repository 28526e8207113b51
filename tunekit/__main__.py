"""``python -m tunekit`` is the ``tunekit`` command."""

from tunekit.cli import main

if __name__ == "__main__":
    main()
