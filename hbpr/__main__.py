"""`python -m hbpr`: the `hbpr` command, also where its program is not on the PATH."""

from hbpr.cli.main import main

if __name__ == "__main__":
    main()
