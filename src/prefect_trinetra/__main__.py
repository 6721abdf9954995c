"""`python -m prefect_trinetra` is the command line."""

from prefect_trinetra.cli import main

if __name__ == "__main__":
    main()
