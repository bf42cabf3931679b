"""The command line `glam-node`. Commands import slow modules when they run, so that `--help` stays fast."""
