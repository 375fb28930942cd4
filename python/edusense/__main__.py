"""`python -m edusense`: the command line, also where the script is not on the PATH."""

from edusense.cli.main import main

main()
