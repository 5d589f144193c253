"""The independent checker of the fault runs: reads the histories of the clients, the topics, Postgres and Redis, and says what contradicts what.
It shares no code with Berth; docs/protocol.md, docs/state-digest.md and the README of the availability are all that it knows. See __main__.py."""
