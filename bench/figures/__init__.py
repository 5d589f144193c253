"""The figures of ./dev bench: a module a group. A module joins by being named in GROUPS.

A group is a module with
  NAMES        the figures that it makes, in order; a name given to ./dev bench runs the groups that have it (a prefix will do)
  PARTS        the parts of the stack that it needs ("" for none)
  PROGRAMS     what is to be built for it
  ABOUT        what it does and how long that takes, in one line
  run(bench)   yields Figure after Figure
"""

GROUPS = ["codec", "fold", "book", "latency", "postgres", "replay", "restore", "memory", "query", "takeover", "failover", "nodes"]
