"""The command `python -m glam_node.node.run.tethered PROGRAM ARGUMENT...`: a program that ends with its parent."""

import os
import sys

from glam_node.node.run.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the program and its arguments are ours
