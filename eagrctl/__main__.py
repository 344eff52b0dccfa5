"""`python -m eagrctl`."""

from eagrctl.cli.app import main

main()
