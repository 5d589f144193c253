"""The fault runs: a cluster of real parts, what is done to it, and what its clients saw. `./dev faults --help`; README.md here says which file holds what."""
