"""`python -m skiff` is the `skiff` command."""

from skiff.cli import main

if __name__ == "__main__":
    main()
