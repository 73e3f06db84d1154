"""The command `nhip` of a package. What it is called in messages is `nhip`."""

import sys

from nhip import main

if __name__ == "__main__":
    sys.exit(main(prog_name="nhip"))
