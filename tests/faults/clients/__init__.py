"""The load of the fault runs: clients that behave as badly as real ones, and write down what they were told. See load.py."""
