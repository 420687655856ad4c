"""What is measured: a file each, and in it `run(bench, report)`. run.py has their order."""
