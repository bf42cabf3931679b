"""`python -m glam_node` is `glam-node`."""

from glam_node.node.cli.main import main

if __name__ == "__main__":
    main()
