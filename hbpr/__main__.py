"""``python -m hbpr``: the `hbpr` command, wherever the package is found."""

from hbpr.cli.main import main

if __name__ == "__main__":
    main()
